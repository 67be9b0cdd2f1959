"""Confidence intervals for shares and means when several verdicts share a prompt (LIMA, sections 4 and 5).

Five ratings of one prompt are not five independent points: the prompt is the unit that was sampled, so
every interval here is by cluster. With one verdict a prompt they fall back to the textbook forms.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.bootstrap import added_up
from lima.statistics.estimates import ALIKE, Estimate, Result, Undefined, negligible

Floats = NDArray[np.float64]


def share(hits: Sequence[bool], clusters: Sequence[Hashable], *, level: float = 0.95) -> Result:
    """The share of hits with an interval by cluster.

    One unit a cluster: Wilson's interval. Otherwise Wilson's form with the effective sample size
    n* = p(1-p) / v, v the cluster-robust variance, at most n, and a t quantile on clusters - 1 degrees of
    freedom (Korn and Graubard 1998, Survey Methodology 24; Franco et al. 2019, J. Surv. Stat. Methodol. 7).
    It stays inside [0, 1]. When all clusters are alike, v says nothing and n* is the number of clusters.
    """
    totals = cluster_totals([float(hit) for hit in hits], clusters)
    n, groups = len(hits), len(totals)
    if groups == n:
        return wilson(sum(hits), n, level=level)
    method = "Wilson with effective n, by cluster"
    value = float(totals[:, 0].sum() / n)
    if groups == 1:
        return Estimate(value, None, None, level, n, 1, method, "no interval: a single cluster")
    low, high = _by_t(totals, level)
    return Estimate(value, low, high, level, n, groups, method)


def _by_t(totals: Floats, level: float) -> tuple[float, float]:
    """Limits of a share in Wilson's form with the effective sample size and t, see `share`."""
    hits, n = float(totals[:, 0].sum()), float(totals[:, 1].sum())
    value, groups, variance = hits / n, len(totals), _robust_variance(totals)
    spread = value * (1 - value)
    effective = min(n, spread / variance) if groups < n and spread > 0 and variance > 0 else float(groups)
    return _wilson_bounds(value, effective, float(stats.t.ppf((1 + level) / 2, groups - 1)))


def wilson(successes: int, n: int, *, level: float = 0.95) -> Result:
    """Wilson's score interval for a share of ``n`` independent units (Wilson 1927, JASA 22).

    >>> [round(100 * x, 1) for x in (wilson(24, 30).low, wilson(24, 30).high)]
    [62.7, 90.5]
    """
    if n == 0:
        return Undefined("there is nothing to count", 0, "Wilson")
    assert 0 <= successes <= n, (successes, n)
    critical = float(stats.norm.ppf((1 + level) / 2))
    low, high = _wilson_bounds(successes / n, n, critical)
    return Estimate(successes / n, low, high, level, n, n, "Wilson")


def newcombe(first: tuple[int, int], second: tuple[int, int], *, level: float = 0.95) -> Result:
    """The difference of two independent shares, each ``(successes, n)``: first minus second.

    Newcombe's hybrid of two Wilson intervals (Newcombe 1998, Statistics in Medicine 17, method 10).
    """
    method = "Newcombe"
    one, two = wilson(*first, level=level), wilson(*second, level=level)
    n = first[1] + second[1]
    if isinstance(one, Undefined) or isinstance(two, Undefined):
        return Undefined("one of the two groups is empty", n, method)
    value = one.value - two.value
    (low_1, high_1), (low_2, high_2) = one.interval, two.interval
    low = value - math.hypot(one.value - low_1, high_2 - two.value)
    high = value + math.hypot(high_1 - one.value, two.value - low_2)
    return Estimate(value, low, high, level, n, n, method)


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], clusters: Sequence[Hashable], *, level: float = 0.95
) -> Result:
    """Share of ``first`` minus share of ``second``, two outcomes of the same units, such as a win and a loss, or two systems' hits.

    Units with both outcomes say as little about the difference as those with neither (McNemar's test), so they count as that. One unit a cluster: the score interval, see `_score_limits`. Otherwise the limits of the two shares are joined with
    their correlation (Newcombe 1998, Statistics in Medicine 17, paired method 10; Zou and Donner 2008's MOVER). Each share
    has Wilson's form with the effective sample size of `share` and a t quantile. Where all clusters are alike the
    correlation is taken as -1: the widest.
    """
    alone = [[a > b for a, b in zip(*pair, strict=True)] for pair in ((first, second), (second, first))]
    one, two = (cluster_totals([float(x) for x in hits], clusters) for hits in alone)
    n, groups = len(first), len(one)
    if n == 0:
        return Undefined("there is nothing to count", 0, "score")
    hits, others = float(one[:, 0].sum()), float(two[:, 0].sum())
    value, method = (hits - others) / n, "joined Wilson limits (MOVER), by cluster"
    if groups == 1:
        return Estimate(value, None, None, level, n, 1, method, "no interval: a single cluster")
    if groups == n:
        low, high = _score_limits(hits, others, n, level)
        return Estimate(value, low, high, level, n, n, "score interval of a paired difference")
    low, high = _joined_limits(one, two, level)
    return Estimate(value, max(-1.0, low), min(1.0, high), level, n, groups, method)


def _score_limits(hits: float, others: float, n: int, level: float) -> tuple[float, float]:
    """The differences d that a score test does not reject (Tango 1998, Statistics in Medicine 17).

    The quantile lies a third of the way from that of the normal distribution to that of t on n - 1 degrees of freedom: with
    the first ten prompts cover as little as 91 %, with the second always more than 97 % (docs/coverage.md). The variance is
    that of the likeliest shares whose difference is d: those of ``others`` solve a quadratic equation.
    """
    tail = (1 + level) / 2
    critical = float((2 * stats.norm.ppf(tail) + stats.t.ppf(tail, n - 1)) / 3) ** 2

    def inside(d: float) -> bool:
        b, c = (2 * n - hits + others) * d - hits - others, -others * d * (1 - d)
        other = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        return (hits - others - n * d) ** 2 <= critical * n * max(0.0, 2 * other + d * (1 - d))

    def limit(end: float) -> float:
        near, far = (hits - others) / n, end
        for _ in range(50):
            middle = (near + far) / 2
            near, far = (middle, far) if inside(middle) else (near, middle)
        return near

    return limit(-1.0), limit(1.0)


def _joined_limits(one: Floats, two: Floats, level: float) -> tuple[float, float]:
    n = float(one[:, 1].sum())
    p, q = float(one[:, 0].sum() / n), float(two[:, 0].sum() / n)
    (low_p, high_p), (low_q, high_q) = (_by_t(totals, level) for totals in (one, two))
    both = _robust_covariance(one, two)
    spread = math.sqrt(both[0, 0] * both[1, 1])
    tie = both[0, 1] / spread if spread > 0 else -1.0
    below, above = (p - low_p, high_q - q), (high_p - p, q - low_q)
    low = p - q - math.sqrt(max(0.0, below[0] ** 2 + below[1] ** 2 - 2 * tie * below[0] * below[1]))
    high = p - q + math.sqrt(max(0.0, above[0] ** 2 + above[1] ** 2 - 2 * tie * above[0] * above[1]))
    return low, high


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95) -> Result:
    """The mean of all values with a cluster-robust t interval on clusters - 1 degrees of freedom.

    The variance is that of an intercept-only regression with clustered errors (Liang and Zeger 1986,
    Biometrika 73, times G / (G - 1)); with one value a cluster it is s^2 / n and the interval Student's.
    """
    method = "cluster-robust t"
    n = len(values)
    if n == 0:
        return Undefined("there is no value", 0, method)
    totals = cluster_totals(values, clusters)
    groups = len(totals)
    value = float(totals[:, 0].sum() / n)
    if groups == 1:
        return Estimate(value, None, None, level, n, 1, method, "no interval: a single cluster")
    error = math.sqrt(_robust_variance(totals))
    if error == 0:
        return Estimate(value, None, None, level, n, groups, method, ALIKE)
    half = float(stats.t.ppf((1 + level) / 2, groups - 1)) * error
    return Estimate(value, value - half, value + half, level, n, groups, method, standard_error=error)


def mean_share(values: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95) -> Result:
    """`clustered_mean` of values in [0, 1], its interval cut there."""
    mean = clustered_mean(values, clusters, level=level)
    if isinstance(mean, Undefined) or mean.low is None or mean.high is None:
        return mean
    return replace(mean, low=max(0.0, mean.low), high=min(1.0, mean.high))


@dataclass(frozen=True)
class VarianceSplit:
    """How much of the spread lies between prompts and how much between answers to one prompt."""

    between: float
    within: float
    correlation: float
    """Intra-class correlation: between / (between + within)."""
    design_effect: float
    """Factor by which the naive variance of the mean is too small: 1 + (m - 1) * correlation."""
    n: int
    clusters: int
    method: str = "one-way random effects, analysis of variance"


def variance_split(values: Sequence[float], clusters: Sequence[Hashable]) -> VarianceSplit | Undefined:
    """Variance between and within clusters (Searle, Casella and McCulloch 1992, section 3.6).

    A negative between-variance, which sampling noise can give, counts as 0. Clusters may differ in size.
    """
    method = VarianceSplit.method
    totals = cluster_totals(values, clusters)
    n, groups = len(values), len(totals)
    if groups < 2:
        return Undefined("there are fewer than two clusters", n, method)
    if groups == n:
        return Undefined("every cluster has one value", n, method)
    sums, sizes = totals[:, 0], totals[:, 1]
    data = np.asarray(values, dtype=float)
    if negligible(np.ptp(data), np.abs(data).max()):
        return Undefined("all values are equal", n, method)
    mean = data.mean()
    squares_between = float((sizes * (sums / sizes - mean) ** 2).sum())
    squares_within = max(0.0, float(((data - mean) ** 2).sum()) - squares_between)
    within = squares_within / (n - groups)
    typical = float(n - (sizes**2).sum() / n) / (groups - 1)
    between = max(0.0, (squares_between / (groups - 1) - within) / typical)
    if between + within == 0:
        return Undefined("all values are equal", n, method)
    correlation = between / (between + within)
    return VarianceSplit(between, within, correlation, 1 + (typical - 1) * correlation, n, groups)


def cluster_totals(values: Sequence[float], clusters: Sequence[Hashable]) -> Floats:
    """Sum and count of the values of each cluster, clusters in order of appearance: shape (G, 2)."""
    units = np.column_stack([np.asarray(values, dtype=float), np.ones(len(values))])
    return added_up(units, clusters)


def _robust_variance(totals: Floats) -> float:
    """Variance of sum / count under clustering, with the factor G / (G - 1); exactly 0 where all are alike."""
    sums, counts = totals[:, 0], totals[:, 1]
    groups = len(totals)
    residuals = sums - counts * (sums.sum() / counts.sum())
    largest = max(np.abs(sums).max(), counts.max())  # scores are of the size of 1, so counts are a scale too
    if negligible(np.abs(residuals).max(), largest):
        return 0.0
    return float((residuals**2).sum() / counts.sum() ** 2 * groups / (groups - 1))


def _robust_covariance(first: Floats, second: Floats) -> Floats:
    """Covariance of two shares of the same units under clustering; zeros where one has no spread."""
    if not _robust_variance(first) or not _robust_variance(second):
        return np.zeros((2, 2))
    counts = first[:, 1]
    residuals = [sums[:, 0] - counts * (sums[:, 0].sum() / counts.sum()) for sums in (first, second)]
    return np.asarray(np.cov(np.stack(residuals)))


def _wilson_bounds(value: float, n: float, critical: float) -> tuple[float, float]:
    squared = critical * critical
    centre = (value + squared / (2 * n)) / (1 + squared / n)
    half = critical / (1 + squared / n) * math.sqrt(value * (1 - value) / n + squared / (4 * n * n))
    low = 0.0 if value == 0 else max(0.0, centre - half)
    high = 1.0 if value == 1 else min(1.0, centre + half)
    return low, high
