"""The win rate that a system would have if its answers were as long as the baseline's.

A logistic regression after Dubois et al. 2024 (arXiv 2404.04475) without its term for the difficulty of each
prompt, which is known for one fixed prompt set alone: so it works on any prompts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lima.statistics.estimates import Result, Undefined
from lima.statistics.logits import fit
from lima.statistics.preferences import CREDITS, Outcome

METHOD = "logistic regression on length, cluster-robust"


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
    level: float = 0.95,
) -> LengthControlled:
    """Fit logit P(win) = a + b tanh(d / sd(d)); the score is the logistic of a.

    Args:
        outcomes: seen from the system under test; a tie counts as half a win.
        differences: length of its answer minus length of the baseline's, in any unit.
        clusters: the prompt of each verdict.
        credits: the part of the win that each verdict gives, where verdicts are graded.
        level: confidence level; the interval is by t on clusters - 1 degrees of freedom, on the logit scale.
    """
    n, groups = len(outcomes), len(set(clusters))
    reason = _why_not(outcomes, differences, groups)
    if reason:
        return LengthControlled(Undefined(reason, n, METHOD), Undefined(reason, n, METHOD))
    lengths = np.asarray(differences, dtype=float)
    design = np.column_stack([np.ones(n), np.tanh(lengths / lengths.std())])
    wins = np.array(credits or [CREDITS[outcome] for outcome in outcomes])

    def likelihood(parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        chance = 1 / (1 + np.exp(-(design @ parameters)))
        information = (design * (chance * (1 - chance))[:, None]).T @ design
        return (wins - chance)[:, None] * design, information

    found = fit(likelihood, 2, clusters)
    if found is None:
        reason = "length separates wins from losses, or there are too few prompts"
        return LengthControlled(Undefined(reason, n, METHOD), Undefined(reason, n, METHOD))
    return LengthControlled(found.probability(0, level, METHOD), found.logit(1, level, METHOD))


def _why_not(outcomes: Sequence[Outcome], differences: Sequence[float], groups: int) -> str:
    if groups < 3:
        return "there are fewer than three prompts"
    if len(set(outcomes)) == 1:
        return "all verdicts are equal"
    if len(set(differences)) == 1:
        return "the answers differ in length by the same amount throughout"
    return ""
