"""Intervals of agreement coefficients from few items: by jackknife, and by a model where labels are uneven.

A bootstrap or jackknife of 20 items cannot know what the few rare labels among them might have been, and covers
far less often than it says. The posterior of a simple model can: each item has a true label, which each rater
reports with a probability s and otherwise guesses by the label shares (the one-coin model of Dawid and Skene
1979, Appl. Statist. 28). Then kappa and alpha are s^2, whatever the distance between labels. The interval holds the
truth as often as it says for raters of unequal skill too (docs/coverage.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Coefficient = Callable[[Floats, Floats], Floats]
"""From kappa and the share of the commonest label, both of shape (...), to the coefficient."""

SMALLEST = 10
"""Below this number of items no method that was tried covers well enough, so there is no interval."""
RARE = 20
"""With fewer items than this beside the commonest label, the jackknife alone covers too rarely."""
DISAGREEING = 6
"""Of more than two labels the model knows less, and the jackknife holds from this many items with a disagreement on."""
SHARES = 1 / (1 + np.exp(-np.linspace(-5.0, 5.0, 61)))
KAPPAS = np.concatenate([np.linspace(-0.98, 0.98, 99), [0.985, 0.99, 0.995, 1.0]])
"""The grid on which the likelihood is taken; limits lie between its points."""


def fisher_jackknife(value: float, without: Floats, level: float) -> tuple[float, float]:
    """Jackknife interval by t on Fisher's scale, arctanh.

    Args:
        value: the coefficient of all clusters, in (-1, 1].
        without: the coefficient without each cluster in turn.
        level: the confidence level.
    """
    groups = len(without)
    error = math.sqrt((groups - 1) / groups * float(((without - without.mean()) ** 2).sum()))
    bounded = min(max(value, -0.999), 0.999)
    half = float(stats.t.ppf((1 + level) / 2, groups - 1)) * error / (1 - bounded**2)
    return math.tanh(math.atanh(bounded) - half), math.tanh(math.atanh(bounded) + half)


def posterior_interval(
    raters: Floats, common: Floats, level: float, *, weight: float, coefficient: Coefficient
) -> tuple[float, float]:
    """Quantiles of the coefficient where kappa and the share of the commonest label are uniform before the data.

    Args:
        raters: ratings of each item.
        common: how many of them are the commonest label.
        level: between the two quantiles.
        weight: what an item counts, below 1 where items of one cluster are alike.
        coefficient: the figure whose interval is asked for, under the model.
    """
    pairs, times = np.unique(np.column_stack([raters, common]), axis=0, return_counts=True)
    kappa, share = np.meshgrid(KAPPAS, SHARES, indexing="ij")
    rare = np.minimum(share, 1 - share)
    total = np.where(rare + kappa * (1 - rare) < 0, -np.inf, 0.0)  # two raters: no chance below 0
    for (rated, hits), count in zip(pairs, times, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            total += count * np.log(np.maximum(_chance(kappa, share, rated, hits), 0.0))
    total = np.where(np.isnan(total), -np.inf, total) * weight
    area = np.gradient(KAPPAS)[:, None] * (SHARES * (1 - SHARES))  # the shares lie evenly on the logit
    masses = np.exp(total - total.max()) * area
    figures, places = np.unique(coefficient(kappa, share).round(9), return_inverse=True)
    sums = np.bincount(places.ravel(), weights=masses.ravel())
    below = (np.cumsum(sums) - sums / 2) / sums.sum()
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], below, figures)
    return float(low), float(high)


def _chance(kappa: Floats, share: Floats, rated: float, hits: float) -> Floats:
    """Probability that ``hits`` of ``rated`` raters say the commonest label, but for the binomial factor.

    For two raters the model is written in kappa itself, which lets it be negative.
    """
    rest, others = rated - hits, 1 - share
    if rated == 2:
        both = {2: share, 0: others}.get(int(hits))
        return np.asarray((1 - kappa) * share**hits * others**rest + (0 if both is None else kappa * both))
    skill = np.sqrt(np.maximum(kappa, 0.0))
    told, guessed = skill + (1 - skill) * share, (1 - skill) * share
    missed, told_other = (1 - skill) * others, skill + (1 - skill) * others
    found = share * told**hits * missed**rest + others * guessed**hits * told_other**rest
    return np.asarray(np.where(kappa < 0, 0.0, found))
