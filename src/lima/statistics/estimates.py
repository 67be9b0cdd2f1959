"""What a statistic returns: a value with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

ALIKE = "no interval: all clusters are alike"
ROUNDING = 1e-12
"""A spread below this part of its own scale is the rounding of floating-point sums, not spread."""


def negligible(spread: float, scale: float) -> bool:
    """Whether a spread is none at all, but for the rounding of numbers of this size."""
    return abs(spread) <= ROUNDING * abs(scale)


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval.

    ``n`` counts the units behind the value (verdicts, ratings, pairs) and ``clusters`` the independent
    groups among them (prompts, as a rule). ``low`` and ``high`` are None where the value exists but no
    interval does (a single prompt); ``note`` then says why.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    clusters: int
    method: str
    note: str = ""
    standard_error: float | None = None
    """Of the value, where there is one; the interval need not be a multiple of it."""

    def __post_init__(self) -> None:
        for bound in (self.value, self.low, self.high):
            assert bound is None or math.isfinite(bound), self

    @property
    def interval(self) -> tuple[float, float]:
        """Both bounds, where it is certain that there are any."""
        assert self.low is not None, self
        assert self.high is not None, self
        return self.low, self.high

    @property
    def mirrored(self) -> Estimate:
        """The same figure seen from the other side: of a difference, the second minus the first."""
        low, high = (None if x is None else -x for x in (self.high, self.low))
        return replace(self, value=-self.value, low=low, high=high)

    def rescaled(self, factor: float, shift: float = 0.0) -> Estimate:
        """The estimate of ``factor * value + shift``; ``factor`` is positive."""
        assert factor > 0, factor
        low, high = (None if x is None else factor * x + shift for x in (self.low, self.high))
        error = None if self.standard_error is None else factor * self.standard_error
        return replace(self, value=factor * self.value + shift, low=low, high=high, standard_error=error)


@dataclass(frozen=True)
class Undefined:
    """No such figure for these data, and why: reads as "undefined because <reason>"."""

    reason: str
    n: int
    method: str

    def __str__(self) -> str:
        return f"undefined because {self.reason}"


Result: TypeAlias = Estimate | Undefined


@dataclass(frozen=True)
class Significance:
    """A two-sided p value with its statistic, the number of units tested and the method."""

    p: float
    statistic: float
    n: int
    method: str
    adjusted: float | None = None
    """The p value after Holm's correction over a family of tests, where there is one."""

    def __post_init__(self) -> None:
        assert 0 <= self.p <= 1, self
