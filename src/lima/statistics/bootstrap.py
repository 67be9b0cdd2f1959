"""The bootstrap by cluster, for every statistic that is a function of per-cluster sums.

Shares, means, differences, kappas and alphas all are: a cluster contributes a row of totals, and the
statistic is computed from the column sums. So a round needs one matrix product and no loop over clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import Estimate, Result, Undefined, negligible

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Maps sums of shape (..., K) to values of shape (...); NaN where the figure does not exist."""


@dataclass(frozen=True)
class Resampling:
    """How a bootstrap is done: the level of its interval, the number of resamples, and their seed."""

    level: float = 0.95
    rounds: int = 10_000
    seed: int = 0


STANDARD = Resampling()
SMALLEST_DEFINED_SHARE = 0.9
"""Below this share of rounds in which the statistic exists, its interval would mislead."""
CELLS_AT_ONCE = 4_000_000


def bootstrap(
    totals: Floats,
    statistic: Statistic,
    *,
    n: int,
    resampling: Resampling = STANDARD,
) -> Result:
    """The statistic of all clusters with its BCa interval (Efron 1987, JASA 82), clusters drawn with replacement.

    Args:
        totals: one row of sums a cluster, shape (G, K) (`added_up` makes them of units).
        statistic: from column sums to the figure, see `Statistic`.
        n: number of units behind the figure, for the record.
        resampling: level, rounds and seed; the same seed gives the same interval.
    """
    groups, level, rounds = len(totals), resampling.level, resampling.rounds
    method = f"BCa bootstrap by cluster, {rounds:,} rounds"
    if groups == 0:
        return Undefined("there is nothing to count", n, method)
    value = float(statistic(totals.sum(axis=0)))
    if np.isnan(value):
        return Undefined("the figure does not exist for these data", n, method)
    if groups == 1:
        return Estimate(value, None, None, level, n, 1, method, "no interval: a single cluster")
    draws = np.concatenate(list(_rounds(totals, statistic, rounds, np.random.default_rng(resampling.seed))))
    draws = draws[~np.isnan(draws)]
    if len(draws) < SMALLEST_DEFINED_SHARE * rounds:
        note = f"no interval: the figure exists in only {len(draws):,} of {rounds:,} resamples"
        return Estimate(value, None, None, level, n, groups, method, note)
    if negligible(np.ptp(draws), np.abs(draws).max()):
        note = "no interval: every resample gives the same figure"
        return Estimate(value, None, None, level, n, groups, method, note)
    tails = bca_tails(draws, value, _jackknife(totals, statistic), level)
    low, high = np.quantile(draws, tails)
    return Estimate(value, float(low), float(high), level, n, groups, method)


def added_up(rows: Floats, clusters: Sequence[Hashable]) -> Floats:
    """Rows of one cluster added up, clusters in order of appearance."""
    assert len(rows) == len(clusters), (len(rows), len(clusters))
    position: dict[Hashable, int] = {}
    index = [position.setdefault(cluster, len(position)) for cluster in clusters]
    totals = np.zeros((len(position), rows.shape[1]))
    np.add.at(totals, index, rows)
    return totals


def ratio(sums: Floats) -> Floats:
    """First sum over second, the statistic of means and shares; NaN where the second is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan))


def bca_tails(draws: Floats, value: float, jackknife: Floats, level: float) -> tuple[float, float]:
    """The two quantile levels of the BCa interval; ties with the value count half (discrete data)."""
    below = ((draws < value).sum() + 0.5 * (draws == value).sum()) / len(draws)
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    deviations = jackknife.mean() - jackknife
    spread = (deviations**2).sum()
    acceleration = (deviations**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    tails = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + stats.norm.ppf(tail)
        tails.append(float(stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))))
    return tails[0], tails[1]


def _rounds(
    totals: Floats, statistic: Statistic, rounds: int, generator: np.random.Generator
) -> Iterator[Floats]:
    groups = len(totals)
    step = max(1, CELLS_AT_ONCE // groups)
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        chosen = generator.integers(0, groups, size=(size, groups))
        chosen += np.arange(size)[:, None] * groups
        weights = np.bincount(chosen.ravel(), minlength=size * groups).reshape(size, groups)
        yield statistic(weights @ totals)


def _jackknife(totals: Floats, statistic: Statistic) -> Floats:
    """The statistic without each cluster in turn; rounds in which it does not exist are left out."""
    values = statistic(totals.sum(axis=0) - totals)
    return np.asarray(values[~np.isnan(values)])
