"""The language of a text: from its script where only one language uses it, else from py3langid, which ships its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from lima.errors import LimaError
from lima.extras import install

SHORTEST = 40
"""Texts with fewer characters get no language, unless their script decides."""
SEEN = 1500
"""Characters that are looked at."""
SURE = 0.95
"""Probability below which the answer is None."""
SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "ja": re.compile("[\u3041-\u30ff]"),
    "th": re.compile("[\u0e01-\u0e5b]"),
    "lo": re.compile("[\u0e81-\u0edf]"),
    "km": re.compile("[\u1780-\u17ff]"),
    "my": re.compile("[\u1000-\u109f]"),
    "ko": re.compile("[\uac00-\ud7a3]"),
    "zh": re.compile("[\u3400-\u9fff]"),
}
"""Languages with a script that no other has; Chinese, where there are no kana."""
SCRIPT_LETTERS_MIN = 4
"""This many letters of a script decide the language, however short the text."""
KANA_SHARE = 0.1
"""A smaller share of kana among kana and Chinese characters is not Japanese."""


def detect(text: str) -> str | None:
    """The ISO 639-1 code of the language; None for short texts and where there is doubt.

    Raises:
        LimaError: the package is missing.
    """
    text = text[:SEEN]
    if not text.isascii() and (found := _by_script(text)):
        return found
    if len(text.strip()) < SHORTEST:
        return None
    language, probability = _identifier().classify(text)
    return str(language) if probability >= SURE else None


def _by_script(text: str) -> str | None:
    """The language whose script most letters have; None where they are of a script that many share."""
    counts = {name: len(letters.findall(text)) for name, letters in SCRIPTS.items()}
    total = sum(counts.values())
    if total < SCRIPT_LETTERS_MIN or 2 * total <= sum(map(str.isalpha, text)):
        return None
    if counts["ja"] >= KANA_SHARE * (counts["ja"] + counts["zh"]) > 0:
        counts["ja"] += counts["zh"]
    return max(counts, key=lambda name: counts[name])


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped,unused-ignore]
    except ModuleNotFoundError:
        raise LimaError(f"the rule 'language' needs a package: {install('curate')}") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
