"""What votes of people and verdicts of a judge give together, and the cheapest mix for a wanted width.

By the variance of the tuned estimate (`lima.statistics.joint`): of a vote's variance, the part that the judge
explains, its squared correlation with people, falls with the verdicts, and the rest with the votes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lima.statistics.joint import SMALLEST


@dataclass(frozen=True)
class JointDesign:
    """A planned mean by people and a judge, each unit a prompt of its own."""

    variance: float
    """Of one vote: 1 - ties - gap^2 for win - loss."""
    correlation: float
    """Of the judge's verdict with a vote of people on the same unit, in [0, 1)."""
    level: float = 0.95

    def half_width(self, votes: int, verdicts: int) -> float:
        """Of the interval that this many votes give, each on a unit that the judge rated too; without verdicts, of people alone."""
        explained = self.correlation**2 if verdicts else 0.0
        spread = (1 - explained) / votes + explained / max(1, verdicts)
        critical = float(stats.t.ppf((1 + self.level) / 2, max(1, votes - 1)))
        return critical * math.sqrt(self.variance * spread)

    def worth(self, votes: int, verdicts: int) -> int:
        """Votes of people alone that give as much."""
        explained = self.correlation**2
        return round(votes / (1 - explained + explained * votes / verdicts))


@dataclass(frozen=True)
class Mix:
    """A number of votes and of verdicts, and what they cost together."""

    votes: int
    verdicts: int
    half_width: float
    cost: float


def cheapest(
    wanted: float, design: JointDesign, *, units: int, vote_price: float, verdict_price: float
) -> Mix | None:
    """The cheapest mix whose interval has a half-width of at most ``wanted``; None where all units are too few.

    Every unit gets at most one vote and one verdict, and votes are given on units that the judge rates.
    """
    found = []
    for votes in range(min(SMALLEST, units), units + 1):
        for verdicts in {0, _verdicts(wanted, design, votes, units)}:
            width = design.half_width(votes, verdicts)
            if width <= wanted:
                cost = votes * vote_price + verdicts * verdict_price
                found.append(Mix(votes, verdicts, width, cost))
    return min(found, key=lambda mix: (mix.cost, mix.half_width), default=None)


def of_panel(correlation: float, alike: float, judges: int) -> float:
    """Correlation with people of the mean of several judges, each correlated with people as given.

    Scores have equal spread, and ``alike`` is the correlation of two judges' errors (score minus people's), so that two
    judges correlate by 2 r - 1 + 2 alike (1 - r), cut at 1.

    >>> of_panel(0.5, 1.0, 4), round(of_panel(0.5, 0.0, 2), 3)
    (0.5, 0.707)
    """
    between = min(1.0, 2 * correlation - 1 + 2 * alike * (1 - correlation))
    spread = max((1 + (judges - 1) * between) / judges, correlation**2, 1e-9)
    return min(0.99, correlation / math.sqrt(spread))


def effective_judges(judges: int, alike: float) -> float:
    """Judges with independent errors that a panel is worth (Kish 1965, Survey Sampling, section 5.4)."""
    return judges / (1 + (judges - 1) * alike)


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's, of two scores of the same units, both of which vary."""
    return float(np.corrcoef(first, second)[0, 1])


def _verdicts(wanted: float, design: JointDesign, votes: int, units: int) -> int:
    """The fewest verdicts that reach the width with this many votes, at least one a vote; all units where no number does."""
    explained = design.correlation**2
    critical = float(stats.t.ppf((1 + design.level) / 2, max(1, votes - 1)))
    left = (wanted / critical) ** 2 / design.variance - (1 - explained) / votes
    if left <= 0:
        return units
    return min(units, max(votes, math.ceil(explained / left * (1 - 1e-12))))
