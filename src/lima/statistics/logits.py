"""Newton's method for concave log-likelihoods of logit form, with cluster-robust errors (used by two modules)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.bootstrap import added_up
from lima.statistics.estimates import ALIKE, Estimate, negligible

Floats = NDArray[np.float64]
Rows = slice | NDArray[np.int64]
Likelihood = Callable[[Floats, Rows], tuple[Floats, Floats]]
"""Maps parameters (K,) and a choice of units to their scores (n, K) and their information matrix (K, K)."""
EVERY = slice(None)
FEW_CLUSTERS = 60
"""Below this many the errors are corrected for the leverage of each cluster; above, that changes nothing."""

SMALLEST_REST = 1e-3
"""A cluster that alone settles a parameter leaves nothing to compare it with."""
STEPS = 100
LARGEST = 15.0
"""A logit beyond this means that the data separate: the likelihood has no maximum."""


@dataclass(frozen=True)
class Fit:
    """Maximum-likelihood parameters with two covariances: cluster-robust, and the inverse of the information."""

    parameters: Floats
    covariance: Floats
    model_covariance: Floats
    """The scale against which a robust variance counts as none: that of units without clusters."""
    n: int
    clusters: int

    def logit(self, position: int, level: float, method: str) -> Estimate:
        """One parameter with its interval by t on clusters - 1 degrees of freedom."""
        value = float(self.parameters[position])
        critical = float(stats.t.ppf((1 + level) / 2, self.clusters - 1))
        variance = float(self.covariance[position, position])
        if variance <= 0 or negligible(variance, float(self.model_covariance[position, position])):
            return Estimate(value, None, None, level, self.n, self.clusters, method, ALIKE)
        half = critical * math.sqrt(variance)
        return Estimate(value, value - half, value + half, level, self.n, self.clusters, method)

    def probability(self, position: int, level: float, method: str) -> Estimate:
        """The logistic of `logit`."""
        logit = self.logit(position, level, method)
        if logit.low is None:
            return replace(logit, value=logistic(logit.value))
        low, high = logit.interval
        return replace(logit, value=logistic(logit.value), low=logistic(low), high=logistic(high))


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def fit(likelihood: Likelihood, size: int, clusters: Sequence[Hashable]) -> Fit | None:
    """Maximise, or return None where no finite maximum with finite errors is found.

    Covariance: the sandwich with factor G / (G - 1) * (n - 1) / (n - K) for G clusters of n units, as
    Stata and statsmodels have it. Few clusters: with each cluster's score freed of its own leverage instead, the
    form CR2 (Kauermann and Carroll 2001, JASA 96; Bell and McCaffrey 2002, Survey Methodology 28).
    """
    parameters = np.zeros(size)
    for _ in range(STEPS):
        scores, information = likelihood(parameters, EVERY)
        if np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, scores.sum(axis=0))
        parameters = parameters + np.clip(step, -2.0, 2.0)
        if np.abs(parameters).max() > LARGEST:
            return None
        if np.abs(step).max() < 1e-10:
            return _with_errors(likelihood, parameters, clusters)
    return None


def _with_errors(likelihood: Likelihood, parameters: Floats, clusters: Sequence[Hashable]) -> Fit | None:
    scores, information = likelihood(parameters, EVERY)
    totals = added_up(scores, clusters)
    groups, n, size = len(totals), len(scores), len(parameters)
    if groups < 2 or n <= size:
        return None
    bread = np.asarray(np.linalg.inv(information), dtype=np.float64)
    if groups < FEW_CLUSTERS:
        covariance = _by_leverage(likelihood, parameters, clusters, information)
    else:
        factor = groups / (groups - 1) * (n - 1) / (n - size)
        covariance = np.asarray(factor * bread @ (totals.T @ totals) @ bread)
    return Fit(parameters, covariance, bread, n, groups)


def _by_leverage(
    likelihood: Likelihood, parameters: Floats, clusters: Sequence[Hashable], information: Floats
) -> Floats:
    """The sandwich of scores s_g times (1 - I_g / I)^(-1/2), I_g being the information of cluster g."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, cluster in enumerate(clusters):
        members[cluster].append(row)
    root = np.linalg.inv(np.linalg.cholesky(information))  # root I root' = 1
    filling = np.zeros_like(information)
    for rows in members.values():
        scores, own = likelihood(parameters, np.array(rows))
        left, axes = np.linalg.eigh(np.eye(len(own)) - root @ own @ root.T)
        freed = axes @ ((axes.T @ root @ scores.sum(axis=0)) / np.sqrt(np.maximum(left, SMALLEST_REST)))
        filling += np.outer(freed, freed)
    return np.asarray(root.T @ filling @ root)
