"""The win rate that a system would have if its answers were as long as the baseline's.

A logistic regression after Dubois et al. 2024 (arXiv 2404.04475). Its term for the difficulty of each prompt is
estimated from the other systems of the study, where there are enough of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import ALIKE, Estimate, Result, Undefined, negligible
from lima.statistics.logits import Fit, Likelihood, Rows, fit, logistic
from lima.statistics.preferences import CREDITS, Outcome

Floats = NDArray[np.float64]

METHOD = "logistic regression on length, cluster-robust"
SMALLEST_SIDE = 5
SMALLEST_SHARE = 0.1
"""Fewer pairs, or a smaller share of them, on one side of equal length: the figure there is extrapolated."""


@dataclass(frozen=True)
class LengthControlled:
    """Win + tie/2 at equal length, and how strongly verdicts follow length."""

    score: Result
    coefficient: Result
    """Logit per unit of tanh(difference of length / its standard deviation); 0: no effect."""


def length_controlled(
    outcomes: Sequence[Outcome],
    differences: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    credits: Sequence[float] | None = None,
    difficulty: Sequence[float] | None = None,
    level: float = 0.95,
) -> LengthControlled:
    """Fit logit P(win) = a + b tanh(d / sd(d)) + c x; the score is the mean over prompts of logistic(a + c x).

    Args:
        outcomes: seen from the system under test; a tie counts as half a win.
        differences: length of its answer minus length of the baseline's, in any unit.
        clusters: the prompt of each verdict.
        credits: the part of the win that each verdict gives, where verdicts are graded.
        difficulty: x, how well other systems do on the prompt of each verdict, on the logit scale (`difficulties`).
        level: confidence level; the interval is by t on clusters - 1 degrees of freedom, on the logit scale.

    Where one system's answers are always the longer ones, equal length was never seen, and there is no score; where
    they nearly always are, the score's note says that it is extrapolated.
    """
    n, groups = len(outcomes), len(set(clusters))
    reason = _why_not(outcomes, differences, groups)
    if reason:
        return LengthControlled(Undefined(reason, n, METHOD), Undefined(reason, n, METHOD))
    lengths = np.asarray(differences, dtype=float)
    columns = [np.ones(n), np.tanh(lengths / lengths.std())]
    method = METHOD
    if difficulty is not None and np.std(difficulty) > 0:
        columns.append(np.asarray(difficulty, dtype=float) - np.mean(difficulty))
        method = METHOD.replace("length", "length and difficulty")
    wins = np.array(credits or [CREDITS[outcome] for outcome in outcomes])
    found = fit(_likelihood(np.column_stack(columns), wins), len(columns), clusters)
    if found is None:
        reason = "length separates wins from losses, or there are too few prompts"
        return LengthControlled(Undefined(reason, n, method), Undefined(reason, n, method))
    hard = columns[2] if len(columns) > 2 else np.zeros(n)
    score = _at_equal_length(found, hard, level, method)
    note = "; ".join(filter(None, (score.note, _overlap(lengths))))
    return LengthControlled(replace(score, note=note), found.logit(1, level, method))


def _at_equal_length(found: Fit, difficulty: Floats, level: float, method: str) -> Estimate:
    """The mean chance of a win without the term of length, its interval by the delta method on the logit scale."""
    if len(found.parameters) == 2:
        return found.probability(0, level, method)
    chances = 1 / (1 + np.exp(-(found.parameters[0] + found.parameters[2] * difficulty)))
    slopes = chances * (1 - chances)
    mean = float(chances.mean())
    gradient = np.array([slopes.mean(), 0.0, (slopes * difficulty).mean()]) / (mean * (1 - mean))
    variance = float(gradient @ found.covariance @ gradient)
    scale = float(gradient @ found.model_covariance @ gradient)
    if variance <= 0 or negligible(variance, scale):
        return Estimate(mean, None, None, level, found.n, found.clusters, method, ALIKE)
    half = float(stats.t.ppf((1 + level) / 2, found.clusters - 1)) * math.sqrt(variance)
    low, high = (logistic(math.log(mean / (1 - mean)) + side * half) for side in (-1, 1))
    return Estimate(mean, low, high, level, found.n, found.clusters, method)


def difficulties(credits: Iterable[Mapping[Hashable, float]]) -> dict[Hashable, float]:
    """How well the given systems do on each prompt against one baseline, as a logit: the term of Dubois et al.

    Args:
        credits: mean credit (win 1, tie 1/2, loss 0) by prompt, of each system.

    Half a win and half a loss are added to each prompt, so that none is infinitely easy or hard.
    """
    given: dict[Hashable, list[float]] = defaultdict(list)
    for prompts in credits:
        for prompt, credit in prompts.items():
            given[prompt].append(credit)
    return {
        prompt: math.log((sum(values) + 0.5) / (len(values) - sum(values) + 0.5))
        for prompt, values in given.items()
    }


def _likelihood(design: Floats, wins: Floats) -> Likelihood:
    def likelihood(parameters: Floats, rows: Rows) -> tuple[Floats, Floats]:
        chosen = design[rows]
        chance = 1 / (1 + np.exp(-(chosen @ parameters)))
        information = (chosen * (chance * (1 - chance))[:, None]).T @ chosen
        return (wins[rows] - chance)[:, None] * chosen, information

    return likelihood


def _overlap(lengths: Floats) -> str:
    """What to say where equal length lies at the edge of what was seen."""
    side = int(min((lengths >= 0).sum(), (lengths <= 0).sum()))
    if side >= max(SMALLEST_SIDE, SMALLEST_SHARE * len(lengths)):
        return ""
    return f"extrapolated: only {side} of {len(lengths)} pairs lie on the other side of equal length"


def _why_not(outcomes: Sequence[Outcome], differences: Sequence[float], groups: int) -> str:
    if groups < 3:
        return "there are fewer than three prompts"
    if len(set(outcomes)) == 1:
        return "all verdicts are equal"
    if len(set(differences)) == 1:
        return "the answers differ in length by the same amount throughout"
    if min(differences) > 0 or max(differences) < 0:
        return "one system's answers are always the longer ones, so that equal length was never seen"
    return ""
