"""How many independent judges a panel is worth: judges that err on the same texts are fewer than they seem."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import Estimate, Result, Undefined
from lima.statistics.few_items import fisher_jackknife

METHOD = "effective number of judges, jackknife by cluster"
CORRELATION = "Pearson's correlation, jackknife by cluster"
ALIKE = 1 - 1e-9
"""A correlation so near to 1 or -1 that Fisher's scale has no place for it."""
SAME = 1e-9
"""What exceeds 1 by less is 1."""
SMALLEST = 10
"""Clusters below which covariances of errors are noise."""
Floats = NDArray[np.float64]


def effective_number(
    errors: Sequence[Sequence[float]], clusters: Sequence[Hashable], *, level: float = 0.95
) -> Result:
    """The number of judges with independent errors whose mean would vary as that of these judges does.

    The mean variance of one judge's error over the variance of the error of their mean (Kish 1965, Survey Sampling,
    section 5.4): k judges with errors of equal variance and correlation r are worth k / (1 + (k - 1) r).

    Args:
        errors: by text, each judge's score minus what people say.
        clusters: the prompt of each text.
        level: of the interval, a jackknife by cluster on the log of what exceeds 1 (Fisher's scale of an intraclass
            correlation, up to a constant).
    """
    table = np.array(errors, dtype=float)
    if (reason := _too_few(clusters)) or table.shape[1] < 2:
        return Undefined(reason or "there are fewer than two judges", len(errors), METHOD)
    value, without = _worth(table), [_worth(rows) for rows in _without_each(table, clusters)]
    if value is None or None in without:
        return Undefined("the mean of the judges never errs, or errs always alike", len(errors), METHOD)
    groups, beyond = len(without), [x - 1 for x in (value, *without) if x is not None]
    if min(beyond) < SAME:
        note = "no interval: the judges err alike, or would without some prompt"
        return Estimate(max(1.0, value), None, None, level, len(errors), groups, METHOD, note)
    logs = np.log(beyond[1:])
    error = math.sqrt((groups - 1) / groups * float(((logs - logs.mean()) ** 2).sum()))
    factor = math.exp(float(stats.t.ppf((1 + level) / 2, groups - 1)) * error)
    low, high = 1 + (value - 1) / factor, 1 + (value - 1) * factor
    return Estimate(value, low, high, level, len(errors), groups, METHOD)


def error_correlation(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95
) -> Result:
    """Pearson's correlation of two judges' errors, with a jackknife by cluster on Fisher's scale."""
    table = np.array([first, second], dtype=float).T
    if reason := _too_few(clusters):
        return Undefined(reason, len(first), CORRELATION)
    if any(len(set(errors)) < 2 for errors in (first, second)):
        return Undefined("one of the two never errs, or errs always alike", len(first), CORRELATION)
    without = [_correlation(rows) for rows in _without_each(table, clusters)]
    value, groups = float(np.corrcoef(table.T)[0, 1]), len(without)
    if None in without or abs(value) > ALIKE:
        note = "no interval: the errors are all alike, or would be without some prompt"
        return Estimate(value, None, None, level, len(first), groups, CORRELATION, note)
    known = np.array([x for x in without if x is not None])
    low, high = fisher_jackknife(value, known, level)
    return Estimate(value, low, high, level, len(first), groups, CORRELATION)


def _too_few(clusters: Sequence[Hashable]) -> str:
    if len(set(clusters)) >= SMALLEST:
        return ""
    return f"people voted on fewer than {SMALLEST} prompts that all judges rated"


def _without_each(table: Floats, clusters: Sequence[Hashable]) -> Iterator[Floats]:
    """The rows without each cluster in turn."""
    place = {name: k for k, name in enumerate(dict.fromkeys(clusters))}
    rows = np.array([place[name] for name in clusters])
    return (table[rows != k] for k in range(len(place)))


def _correlation(table: Floats) -> float | None:
    known = all(len(set(errors)) > 1 for errors in table.T)
    return float(np.asarray(np.corrcoef(table.T))[0, 1]) if known else None


def _worth(table: Floats) -> float | None:
    covariance = np.cov(table, rowvar=False)
    single, joint = float(np.trace(covariance)) / len(covariance), float(covariance.mean())
    return single / joint if joint > 1e-12 and single > 1e-12 else None
