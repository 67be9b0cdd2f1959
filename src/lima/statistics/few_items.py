"""Intervals of agreement coefficients from few items: by jackknife, and by a model where labels are uneven.

A bootstrap or jackknife of 20 items cannot know what the few rare labels among them might have been, and covers
far less often than it says. The posterior of a simple model can: each item has a true label, which each rater
reports with a probability s and otherwise guesses by the label shares (the one-coin model of Dawid and Skene
1979, Appl. Statist. 28). Then kappa and alpha are s^2, whatever the distance between labels. The rarer labels keep
the proportions in which they were given, so that two figures are unknown: kappa and the share of the commonest label.
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
ENOUGH = 6
"""Nor does it cover with fewer items than this that show a disagreement, however many items there are."""
MISS = 0.8
"""Part of the miss of 5 % that the posterior leaves out of its interval."""
DISAGREEING = 4
"""Where labels are unequally far apart the model is wrong; the jackknife holds from this many items with a disagreement on."""
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
    counts: Floats, level: float, *, weight: float, coefficient: Coefficient
) -> tuple[float, float]:
    """The shortest interval of the coefficient's posterior, from a uniform kappa and share of the commonest label.

    Equal tails of 2.5 % would leave kappas near 1 out too often: few samples tell 0.95 from 1, and none lies above. The
    shortest interval covers 1 or 2 points less than its mass, so the mass is that of `MISS` (docs/coverage.md).

    Args:
        counts: how many ratings of each item are of each label, shape (items, labels).
        level: how often the interval is to hold the truth.
        weight: what an item counts, below 1 where items of one cluster are alike.
        coefficient: the figure whose interval is asked for, under the model.
    """
    kappa, common = np.meshgrid(KAPPAS, SHARES, indexing="ij")
    rows, times = np.unique(_seen(counts), axis=0, return_counts=True)
    rest = rows[:, 1:].T @ times
    shares = np.stack([common, *((1 - common) * part for part in rest / rest.sum())])
    with np.errstate(divide="ignore"):
        total = sum(
            count * np.log(_chance(kappa, shares, row)) for row, count in zip(rows, times, strict=True)
        )
    rarest = shares.min(axis=0)
    total = (
        np.where(rarest + kappa * (1 - rarest) < 0, -np.inf, total) * weight
    )  # two raters: no chance below 0
    area = np.gradient(KAPPAS)[:, None] * (SHARES * (1 - SHARES))  # the shares lie evenly on the logit
    masses = np.exp(total - total.max()) * area
    figures, places = np.unique(coefficient(kappa, common).round(9), return_inverse=True)
    heights = np.bincount(places.ravel(), weights=masses.ravel()).astype(float)
    return _shortest(figures, heights, 1 - MISS * (1 - level))


def _shortest(figures: Floats, masses: Floats, mass: float) -> tuple[float, float]:
    """The shortest interval that holds ``mass`` of all masses (Box and Tiao 1973, section 2.8)."""
    below = np.concatenate([[0.0], (np.cumsum(masses) - masses / 2) / masses.sum(), [1.0]])
    figures = np.concatenate([figures[:1], figures, figures[-1:]])
    start = np.linspace(0, 1 - mass, 101)
    low, high = np.interp(start, below, figures), np.interp(start + mass, below, figures)
    best = int(np.argmin(high - low))
    return float(low[best]), float(high[best])


def _seen(counts: Floats) -> Floats:
    """The columns of labels that were given, the commonest first."""
    totals = counts.sum(axis=0)
    order = np.argsort(-totals, kind="stable")
    return np.asarray(counts[:, order[totals[order] > 0]])


def _chance(kappa: Floats, shares: Floats, row: Floats) -> Floats:
    """Probability of an item's ratings, ``row[k]`` of label k, but for a constant.

    For two raters the model is written in kappa itself, which lets it be negative.
    """
    guessed = np.prod(shares ** row[:, None, None], axis=0)
    if row.sum() == 2:
        agreed = kappa * shares[row.argmax()] if row.max() == 2 else 0.0
        return np.asarray(np.maximum((1 - kappa) * guessed + agreed, 0.0))
    skill = np.sqrt(np.maximum(kappa, 0.0))
    found = np.zeros_like(kappa)
    for label, share in enumerate(shares):
        told = (1 - skill) * shares
        told[label] += skill
        found += share * np.prod(told ** row[:, None, None], axis=0)
    return np.where(kappa < 0, 0.0, found)
