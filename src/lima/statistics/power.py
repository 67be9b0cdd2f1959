"""How many prompts a comparison needs, and what a given number of prompts can see.

The score of a prompt is +1, 0 or -1 (win, tie, loss); with a share t of ties and a gap d = win - loss its
variance is (1 - t) - d^2, and the mean score is tested by its normal approximation.
"""

from __future__ import annotations

import math

from scipy import stats


def prompts_needed(gap: float, *, ties: float = 0.3, power: float = 0.8, alpha: float = 0.05) -> int:
    """Prompts (one verdict each) after which a true win-loss ``gap`` is found with probability ``power``.

    Two-sided level ``alpha``; gap and ties as shares.

    >>> [prompts_needed(gap) for gap in (0.05, 0.10, 0.15)]
    [2190, 542, 237]
    """
    _check(ties, power, alpha)
    if not 0 < abs(gap) <= 1 - ties:
        raise ValueError(f"gap {gap} must be above 0 and at most 1 - ties = {1 - ties:g}")
    return max(1, math.ceil(_quantiles(power, alpha) ** 2 * (1 - ties - gap * gap) / (gap * gap)))


def detectable_gap(
    prompts: int, *, ties: float = 0.3, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The smallest win-loss gap that ``prompts`` find with probability ``power``.

    None when even a system that wins every decided prompt would be missed.

    >>> round(detectable_gap(300), 3)
    0.134
    """
    _check(ties, power, alpha)
    if prompts < 1:
        raise ValueError(f"prompts is {prompts}, must be at least 1")
    squared = _quantiles(power, alpha) ** 2
    gap = math.sqrt(squared * (1 - ties) / (prompts + squared))
    return gap if gap <= 1 - ties else None


def power_of(gap: float, prompts: int, *, ties: float = 0.3, alpha: float = 0.05) -> float:
    """Probability that ``prompts`` find a true win-loss ``gap`` (in either direction, two-sided ``alpha``)."""
    _check(ties, 0.5, alpha)
    spread = max(1 - ties - gap * gap, 1e-12)
    shift = abs(gap) * math.sqrt(prompts / spread)
    critical = float(stats.norm.ppf(1 - alpha / 2))
    return float(stats.norm.cdf(shift - critical) + stats.norm.cdf(-shift - critical))


def _quantiles(power: float, alpha: float) -> float:
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))


def _check(ties: float, power: float, alpha: float) -> None:
    for name, value in (("ties", ties), ("power", power), ("alpha", alpha)):
        if not 0 <= value < 1 or (name != "ties" and value == 0):
            raise ValueError(f"{name} is {value}, must lie between 0 and 1")
