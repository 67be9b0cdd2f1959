"""Measurable features of style: how answers open, address the reader and are laid out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from lima.curate.text.clean import prose_of
from lima.curate.text.phrases import FIRST_PERSON, REFUSAL

OPENING_CHARACTERS = 250
LIST = re.compile(r"^\s*(?:[*+-]|\d+[.)])\s+\S", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+\S", re.MULTILINE)
CODE = re.compile(r"```")
SECOND_PERSON = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)
ACKNOWLEDGES = re.compile(
    r"^\s*(?:(?:that|this|what)(?: is|['’]s)? (?:a|an|really|very|quite)?\s?(?:\w+ )?(?:question|idea|point)|great|good|"
    r"sure|of course|certainly|thank|congratulations|i['’]?m (?:sorry|glad|happy)|i (?:understand|am sorry)|sorry|yes|no)\b",
    re.IGNORECASE,
)

FEATURES: Mapping[str, Callable[[str], bool]] = {
    "opens by acknowledging": lambda text: bool(ACKNOWLEDGES.search(text)),
    "opens with a refusal": lambda text: bool(REFUSAL.search(text[:OPENING_CHARACTERS])),
    "says I or my": lambda text: bool(FIRST_PERSON.search(prose_of(text))),
    "says you": lambda text: bool(SECOND_PERSON.search(prose_of(text))),
    "has a list": lambda text: bool(LIST.search(text)),
    "has headings": lambda text: bool(HEADING.search(text)),
    "has a code block": lambda text: bool(CODE.search(text)),
    "has several paragraphs": lambda text: "\n\n" in text.strip(),
    "ends with a question": lambda text: text.rstrip().endswith("?"),
}
"""Features of a text, by name."""


def shares(answers: Sequence[str]) -> dict[str, float]:
    """The share of answers with each of the `FEATURES`."""
    return {name: sum(map(has, answers)) / len(answers) for name, has in FEATURES.items()}


def openers(answers: Sequence[str], most: int = 8) -> list[tuple[str, int]]:
    """The commonest first two words."""
    counts = Counter(" ".join(answer.split()[:2]) for answer in answers)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
