"""How many independent judges a panel is worth: judges that err on the same texts are fewer than they seem."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import Estimate, Result, Undefined

METHOD = "effective number of judges, jackknife by cluster"
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
        level: of the interval, a jackknife by cluster on the log scale.
    """
    names = list(dict.fromkeys(clusters))
    if len(names) < SMALLEST:
        return Undefined(
            f"people voted on fewer than {SMALLEST} prompts that all judges rated", len(errors), METHOD
        )
    table = np.array(errors, dtype=float)
    if table.shape[1] < 2:
        return Undefined("there are fewer than two judges", len(errors), METHOD)
    place = {name: k for k, name in enumerate(names)}
    rows = np.array([place[name] for name in clusters])
    without = [_worth(table[rows != k]) for k in range(len(names))]
    value = _worth(table)
    if value is None or None in without:
        return Undefined("the mean of the judges never errs, or errs always alike", len(errors), METHOD)
    logs = np.log([x for x in without if x is not None])
    error = math.sqrt((len(names) - 1) / len(names) * float(((logs - logs.mean()) ** 2).sum()))
    factor = math.exp(float(stats.t.ppf((1 + level) / 2, len(names) - 1)) * error)
    return Estimate(value, value / factor, value * factor, level, len(errors), len(names), METHOD)


def _worth(table: Floats) -> float | None:
    covariance = np.cov(table, rowvar=False)
    single, joint = float(np.trace(covariance)) / len(covariance), float(covariance.mean())
    return single / joint if joint > 1e-12 and single > 1e-12 else None
