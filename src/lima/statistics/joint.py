"""One estimate from a judge's many verdicts and people's few: prediction-powered inference, weighted and by cluster.

The judge's mean over all units is corrected by its error on the units that people voted on. How much it counts is
tuned so that the variance is smallest (Angelopoulos, Duchi and Zrnic 2023, "PPI++", arXiv 2311.01453, section 6):
a judge that says nothing of people's votes counts nothing, so that it can mislead no one. Units for people are
drawn with known probabilities and weighed by their inverse (Horvitz and Thompson 1952, JASA 47), in Hajek's form.
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

SMALLEST = 10
"""With fewer voted prompts than this the tuning follows noise, and no interval was found to hold."""
METHOD = "prediction-powered mean (PPI++), jackknife by cluster"
ALONE = "mean weighted by inverse probability, jackknife by cluster"


@dataclass(frozen=True)
class Joint:
    """People and a judge together, and people alone."""

    both: Result
    """``n`` counts votes of people, ``clusters`` the prompts that they voted on."""
    alone: Result
    tuning: float
    """How much the judge counts: 0 not at all; 1 as in the plain difference estimator."""
    worth: int | None
    """Votes of people alone that would give as narrow an interval; None without one."""
    verdicts: int
    """Units that the judge gave a verdict on."""


def joint_mean(
    people: Sequence[float | None],
    judge: Sequence[float | None],
    probabilities: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    votes: int,
    limits: tuple[float, float],
    level: float = 0.95,
) -> Joint:
    """The mean that people would give over all units of the kind that was sampled.

    Args:
        people: mean vote on each unit; None where nobody voted.
        judge: the judge's score of each unit, on any scale; None where it has no usable verdict, which counts as
            its mean score, a guess like any other.
        probabilities: with which each unit was drawn for people, in (0, 1].
        clusters: the prompt of each unit.
        votes: votes of people behind ``people``.
        limits: smallest and largest possible vote; intervals are cut there.
        level: confidence level; by t on voted clusters - 1 degrees of freedom.
    """
    voted = np.array([vote is not None for vote in people], dtype=bool)
    known = [score for score in judge if score is not None]
    guess = float(np.mean(known)) if known else 0.0
    scores = np.array([guess if score is None else score for score in judge], dtype=float)
    labels = np.array([0.0 if vote is None else vote for vote in people])
    weights = np.where(voted, 1 / np.asarray(probabilities, dtype=float), 0.0)
    units = np.column_stack([weights * labels, weights, weights * scores, scores, np.ones(len(scores))])
    totals = added_up(units, clusters)
    groups = int((totals[:, 1] > 0).sum())
    if not votes:
        nothing = Undefined("nobody voted on the units that were drawn", 0, METHOD)
        return Joint(nothing, nothing, 0.0, None, len(known))
    both, tuning = _jackknife(totals, tuned=True)
    alone, _ = _jackknife(totals, tuned=False)
    found = [
        _result(*values, n=votes, groups=groups, level=level, limits=limits, method=method)
        for values, method in ((both, METHOD), (alone, ALONE))
    ]
    sized = isinstance(found[0], Estimate) and found[0].low is not None and both[1] > 0
    worth = round(votes * alone[1] / both[1]) if sized else None
    return Joint(found[0], found[1], tuning, worth, len(known))


def _result(
    value: float,
    variance: float,
    *,
    n: int,
    groups: int,
    level: float,
    limits: tuple[float, float],
    method: str,
) -> Result:
    bare = Estimate(value, None, None, level, n, groups, method)
    if groups < SMALLEST:
        return replace(bare, note=f"no interval: fewer than {SMALLEST} prompts were voted on")
    if negligible(variance, limits[1] - limits[0]):
        return replace(bare, note=ALIKE)
    error = math.sqrt(variance)
    half = float(stats.t.ppf((1 + level) / 2, groups - 1)) * error
    low, high = max(limits[0], value - half), min(limits[1], value + half)
    return replace(bare, low=min(low, value), high=max(high, value), standard_error=error)


def _jackknife(totals: Floats, *, tuned: bool) -> tuple[tuple[float, float], float]:
    """Value and variance of the estimate, and its tuning; each cluster left out in turn, the tuning found anew."""
    sums, moments = totals.sum(axis=0), totals.T @ totals
    value, tuning = _estimate(sums[None], moments[None], tuned=tuned)
    products = totals[:, :, None] * totals[:, None, :]
    rest = sums - totals
    inside = rest[:, 1] > 0
    without, _ = _estimate(rest[inside], (moments - products)[inside], tuned=tuned)
    groups = len(without)
    variance = 0.0 if groups < 2 else (groups - 1) / groups * float(((without - without.mean()) ** 2).sum())
    return (float(value[0]), variance), float(tuning[0])


def _estimate(sums: Floats, moments: Floats, *, tuned: bool) -> tuple[Floats, Floats]:
    """The estimate and its tuning from sums (..., 5) by cluster and their second moments (..., 5, 5).

    With w the inverse probabilities of voted units, Y votes, f scores, the five sums are of wY, w, wf, f and 1. The
    influence of a cluster on the estimate is a + tuning * b, both linear in its sums; the tuning that makes the sum
    of its squares smallest is - sum(ab) / sum(bb).
    """
    votes, weight, weighed, scores, units = np.moveaxis(sums, -1, 0)
    difference = scores / units - weighed / weight
    if not tuned:
        return np.asarray(votes / weight), np.zeros(len(sums))
    zero = np.zeros(len(sums))
    a = np.stack([1 / weight, -votes / weight**2, zero, zero, zero], axis=-1)
    b = np.stack([zero, weighed / weight**2, -1 / weight, 1 / units, -scores / units**2], axis=-1)
    cross = np.einsum("gi,gij,gj->g", a, moments, b)
    square = np.einsum("gi,gij,gj->g", b, moments, b)
    scale = np.einsum("gi,gij,gj->g", np.abs(b), np.abs(moments), np.abs(b))
    flat = square <= 1e-12 * scale
    tuning = np.where(flat, 0.0, -cross / np.where(flat, 1.0, square)) + 0.0  # no minus zero
    return np.asarray(votes / weight + tuning * difference), np.asarray(tuning)


def inclusion(sizes: Sequence[float], expected: int) -> list[float]:
    """Probabilities in proportion to ``sizes`` that add up to ``expected``, none above 1.

    >>> inclusion([1, 1, 2], 2), inclusion([1, 1, 8], 2)
    ([0.5, 0.5, 1.0], [0.5, 0.5, 1.0])
    """
    left, places = np.asarray(sizes, dtype=float), min(expected, len(sizes))
    found = np.zeros(len(left))
    while True:
        open_ones = found < 1
        rest = places - int((~open_ones).sum())
        if rest <= 0:
            return [float(x) for x in np.where(open_ones, 0.0, found)]
        found[open_ones] = rest * left[open_ones] / left[open_ones].sum()
        if (found <= 1 + 1e-12).all():
            return [float(x) for x in np.minimum(found, 1.0)]
        found = np.where(found >= 1, 1.0, found)


def draw_sample(probabilities: Sequence[float], generator: np.random.Generator) -> list[int]:
    """Places of a sample of fixed size with exactly these probabilities, which add up to a whole number.

    Systematic sampling along a random order (Madow 1949, Ann. Math. Statist. 20).
    """
    order = generator.permutation(len(probabilities))
    steps = np.concatenate([[0.0], np.cumsum(np.asarray(probabilities)[order])])
    steps[-1] = round(steps[-1])
    marks = np.floor(steps + generator.random())
    return sorted(int(place) for place in order[np.diff(marks) > 0])
