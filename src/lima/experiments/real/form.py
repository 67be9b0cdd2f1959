"""Likeness of form: how many of ten features of an answer lie within the range of the training answers.

What an answer says does not matter: no feature counts words of a topic, and length is one of the ten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lima.experiments.real import verifiers

MIDDLE = 0.9
"""A feature counts as alike within the middle 90 % of the training answers."""


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _repeated(text: str) -> float:
    """Share of the sequences of three words that stand in the text more than once."""
    words = [word.lower() for word in verifiers.words(text)]
    triples = Counter(zip(words, words[1:], words[2:], strict=False))
    return _share(sum(count for count in triples.values() if count > 1), triples.total())


FEATURES: Mapping[str, Callable[[str], float]] = {
    "words": lambda text: len(verifiers.words(text)),
    "letters a word": lambda text: _share(sum(map(len, verifiers.words(text))), len(verifiers.words(text))),
    "words a sentence": lambda text: _share(len(verifiers.words(text)), verifiers.sentences(text)),
    "words a paragraph": lambda text: _share(len(verifiers.words(text)), len(verifiers.paragraphs(text))),
    "list lines": lambda text: _share(len(verifiers.ITEM.findall(text)), len(verifiers.lines(text))),
    "letters": lambda text: _share(sum(map(str.isalpha, text)), len(text)),
    "capitals": lambda text: _share(sum(map(str.isupper, text)), len(text)),
    "repeated triples of words": _repeated,
    "markup": lambda text: float(len(re.findall(r"</?\w+[^>]*>|https?://|\{|\}|&\w+;", text))),
    "begins like a sentence": lambda text: float(re.match(r"[\"“*#(]*[A-Z0-9]", text) is not None),
}
"""Each measures a text that is not blank."""


@dataclass(frozen=True)
class AnswerForm:
    """The range of each feature over some answers."""

    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, answers: Sequence[str]) -> AnswerForm:
        """Of answers that are taken as the model of form; none of them is blank."""
        ends = ((1 - MIDDLE) / 2, (1 + MIDDLE) / 2)
        found = {}
        for name, feature in FEATURES.items():
            low, high = np.quantile([feature(text) for text in answers], ends)
            found[name] = (float(low), float(high))
        return cls(found)

    def likeness(self, text: str) -> float:
        """The share of the features that lie in their range; 0 for a blank text."""
        if not text.strip():
            return 0.0
        inside = [low <= FEATURES[name](text) <= high for name, (low, high) in self.ranges.items()]
        return sum(inside) / len(inside)
