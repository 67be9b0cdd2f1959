"""What a raw dump holds, so that a test can recount what curation made of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lima.world.wordings import Style

DROPPED_BY: dict[Style, str] = {
    "terse": "length_min",
    "rambling": "length_max",
    "first-person": "first_person",
    "referring": "refers_to_others",
}
"""The rule that sees each popular flaw (recipe ``world-all``)."""
GOOD_SHARE = 0.6
"""Share of good answers outside the forums."""


@dataclass
class Planted:
    """Of one source: the files, and how many candidates are good or are to be dropped, by rule."""

    files: list[Path] = field(default_factory=list)
    good: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, rule: str | None) -> None:
        """Count one candidate; None where it is good."""
        if rule is None:
            self.good += 1
        else:
            self.dropped[rule] += 1


def any_style(flaws: tuple[Style, ...], rng: np.random.Generator) -> Style:
    """``good`` with `GOOD_SHARE`, else one of the flaws."""
    return "good" if rng.random() < GOOD_SHARE else flaws[int(rng.integers(len(flaws)))]
