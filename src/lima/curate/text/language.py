"""The language of a text, by py3langid, whose model is in its package: nothing is downloaded."""

from __future__ import annotations

from functools import cache
from typing import Any

from lima.errors import LimaError

SHORTEST = 40
"""Characters below which no language is told."""
SEEN = 1500
"""Characters that are looked at."""
SURE = 0.95
"""Probability below which the answer is None."""


def detect(text: str) -> str | None:
    """The ISO 639-1 code of the language; None for short texts and where there is doubt.

    Raises:
        LimaError: the package is missing.
    """
    if len(text.strip()) < SHORTEST:
        return None
    language, probability = _identifier().classify(text[:SEEN])
    return str(language) if probability >= SURE else None


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped,unused-ignore]
    except ModuleNotFoundError:
        raise LimaError("the rule 'language' needs a package: pip install 'lima-align[curate]'") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
