"""Intervals that hold at every vote at once, so that a study may be watched and stopped when it is decided.

The confidence sequence of Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"
(J. R. Statist. Soc. B 86, arXiv 2010.09686), in its hedged form with predictable plug-in bets (their Theorem 3 and
section 4). It asks for nothing but bounded scores that come in random order: each new prompt has the same mean
given those before it, hence one score a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import Estimate, Undefined

Floats = NDArray[np.float64]

METHOD = "betting confidence sequence, hedged (Waudby-Smith and Ramdas 2024)"
MOST = 0.5
"""Largest part of its stake that a bet may lose, one of the two values that the authors propose."""
GRID = 401
"""Means that are tried; limits lie one step outside of those that are not rejected."""


@dataclass(frozen=True)
class Watched:
    """A gap that was watched, and when it was decided."""

    gap: Estimate | Undefined
    decided_at: int | None
    """Prompts after which no gap of zero was left; None: not yet."""
    p: float
    """Of no gap, valid whenever one stops: 1 over the largest capital (Ville's inequality)."""
    price: float | None
    """How many times as wide the interval is as one at the same prompts that nobody watched."""


def watched_gap(scores: Sequence[float], *, level: float = 0.95) -> Watched:
    """Win - loss of one score a prompt in [-1, 1], in the order in which prompts came.

    >>> watched_gap([1.0] * 12).decided_at
    10
    """
    n = len(scores)
    if n == 0:
        return Watched(Undefined("nobody has answered yet", 0, METHOD), None, 1.0, None)
    low, high = _limits((np.asarray(scores, dtype=float) + 1) / 2, 1 - level)
    value = float(np.mean(scores))
    bounds = 2 * float(low[-1]) - 1, 2 * float(high[-1]) - 1
    gap = Estimate(value, min(bounds[0], value), max(bounds[1], value), level, n, n, METHOD)
    largest = float(_log_capital((np.asarray(scores) + 1) / 2, np.array([0.5]), 1 - level).max())
    p = min(1.0, math.exp(-largest))
    return Watched(gap, decided_at(scores, alpha=1 - level), p, _price(scores, bounds, level))


def decided_at(scores: Sequence[float], *, alpha: float = 0.05) -> int | None:
    """The first number of prompts at which a gap of zero is rejected; with no gap that ever happens with ``alpha`` at most."""
    capital = _log_capital((np.asarray(scores, dtype=float) + 1) / 2, np.array([0.5]), alpha)[:, 0]
    over = np.flatnonzero(capital >= math.log(1 / alpha))
    return int(over[0]) + 1 if len(over) else None


def watching(
    gap: float, ties: float, prompts: int, *, alpha: float, rounds: int = 500, seed: int = 0
) -> tuple[float, int | None]:
    """The share of simulated watched studies that are decided rightly, and the median of prompts until then.

    Args:
        gap: true win - loss.
        ties: share of ties, orders that disagree among them.
        prompts: where the study ends undecided.
        alpha: of the sequence.
        rounds: simulated studies.
        seed: of the simulation.
    """
    decided = 1 - ties
    shares = [(decided + gap) / 2, ties, (decided - gap) / 2]
    generator = np.random.default_rng(seed)
    found = []
    for row in generator.choice([1.0, 0.0, -1.0], p=shares, size=(rounds, prompts)):
        at = decided_at(row, alpha=alpha)
        if at is not None and row[:at].sum() * gap >= 0:
            found.append(at)
    return len(found) / rounds, int(np.median(found)) if found else None


def _limits(values: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Lower and upper limits of the mean of values in [0, 1] after each: those that every step before left."""
    means = np.linspace(0, 1, GRID)
    inside = np.maximum.accumulate(_log_capital(values, means, alpha), axis=0) < math.log(1 / alpha)
    step = means[1]
    first = np.where(inside.any(axis=1), inside.argmax(axis=1), 0)
    last = np.where(inside.any(axis=1), GRID - 1 - inside[:, ::-1].argmax(axis=1), GRID - 1)
    return np.maximum(0.0, means[first] - step), np.minimum(1.0, means[last] + step)


def _log_capital(values: Floats, means: Floats, alpha: float) -> Floats:
    """Logarithm of the hedged capital of bets against each mean, after each value: shape (values, means).

    Half of the capital bets that the mean is higher, half that it is lower; a bet knows only the values before it.
    """
    counts = np.arange(1, len(values) + 1)
    centres = (0.5 + np.cumsum(values)) / (counts + 1)
    spreads = (0.25 + np.cumsum((values - centres) ** 2)) / (counts + 1)
    before = np.concatenate([[0.25], spreads[:-1]])
    bets = np.sqrt(2 * math.log(2 / alpha) / (before * counts * np.log(counts + 1)))[:, None]
    with np.errstate(divide="ignore"):
        up = np.minimum(bets, MOST / means)
        down = np.minimum(bets, MOST / (1 - means))
    gains = values[:, None] - means
    rising, falling = (np.cumsum(np.log1p(bet), axis=0) for bet in (up * gains, -down * gains))
    return np.asarray(np.maximum(rising, falling) - math.log(2))


def _price(scores: Sequence[float], bounds: tuple[float, float], level: float) -> float | None:
    """The width against that of Student's interval at the same prompts, both cut where a gap can lie."""
    if len(scores) < 2 or len(set(scores)) == 1:
        return None
    error = float(np.std(scores, ddof=1)) / math.sqrt(len(scores))
    half = float(stats.t.ppf((1 + level) / 2, len(scores) - 1)) * error
    value = float(np.mean(scores))
    return (bounds[1] - bounds[0]) / (min(1.0, value + half) - max(-1.0, value - half))
