"""Licences in a set, and what they say against its use. A list of what to read first, not legal advice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from lima.records import Example

Use = Literal["commercial", "research"]
KNOWN_TERMS = {
    "internet-archive": "Dumps of Stack Exchange up to April 2024, which the Internet Archive keeps, come with the licences of their "
    "posts and no further terms.",
    "stack-exchange": "Who downloads a dump from Stack Exchange itself, as since July 2024, confirms that it is for projects which do not "
    "include training a large language model. The posts stay under their licences, but you gave your word: ask Stack Exchange "
    "before you tune a model on them.",
}
"""What follows from the terms of a source of raw data, by the name that ``--terms`` takes."""
NON_COMMERCIAL = re.compile(r"\bNC\b|non-?commercial|research only|academic", re.IGNORECASE)
NO_DERIVATIVES = re.compile(r"\bND\b|no-?deriv", re.IGNORECASE)
SHARE_ALIKE = re.compile(r"\bSA\b|share-?alike|\bGPL|\bODbL", re.IGNORECASE)


def licence_counts(examples: Sequence[Example]) -> Counter[str]:
    """Examples by licence; one with two licences counts for each."""
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update((example.meta.licence or "none stated").split(" and "))
    return counts


def terms_text(terms: str | None) -> str:
    """What the card says about the terms under which the raw data were obtained."""
    if terms is None:
        return "The terms under which the raw data were obtained are not stated (--terms); they may apply besides the licences."
    return f"The raw data were obtained under these terms: {terms}. {KNOWN_TERMS.get(terms, 'They apply besides the licences.')}"


def licence_warnings(examples: Sequence[Example], use: Use) -> list[str]:
    """Sentences on licences that stand against the intended use, or against each other."""
    counts = licence_counts(examples)
    found = []
    if unstated := counts.pop("none stated", 0):
        found.append(
            f"{unstated:,} {'example states' if unstated == 1 else 'examples state'} no licence. Find out before you pass the set on."
        )
    limited = {name: n for name, n in counts.items() if NON_COMMERCIAL.search(name)}
    if limited and use == "commercial":
        found.append(f"{_listed(limited)} forbid commercial use, which is the intended one.")
    if frozen := {name: n for name, n in counts.items() if NO_DERIVATIVES.search(name)}:
        found.append(f"{_listed(frozen)} forbid changed versions, and curation changes texts.")
    shared = {name: n for name, n in counts.items() if SHARE_ALIKE.search(name)}
    free = {name: n for name, n in shared.items() if name not in limited}
    closed = {name: n for name, n in shared.items() if name in limited}
    if free and closed:
        found.append(
            f"{_listed(free)} and {_listed(closed)} each ask for their own terms on a joint work. Publish them as "
            "separate files."
        )
    return found


def _listed(counts: dict[str, int]) -> str:
    return " and ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
