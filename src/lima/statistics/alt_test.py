"""May a judge model stand in for human annotators? The alternative annotator test (arXiv 2501.10970).

Each person is left out in turn: is the judge as close to the remaining people as the one left out was, up to a
margin for what that person's work costs?
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lima.statistics.estimates import Undefined

METHOD = "alt-test"
SMALLEST_PEOPLE = 3
SMALLEST_ITEMS = 30
Labels = Mapping[Hashable, object]
"""One rater's labels by item."""


@dataclass(frozen=True)
class AltTest:
    """``passed``: the judge beats at least half of the people (winning rate >= 1/2)."""

    winning_rate: float
    """Share of people against whom the judge holds, after Benjamini-Yekutieli correction."""
    advantage: float
    """Mean probability that the judge is at least as close to the others as the person left out."""
    people: int
    items: int
    epsilon: float
    passed: bool
    method: str = METHOD


def alt_test(
    judge: Labels, people: Sequence[Labels], *, epsilon: float = 0.2, alpha: float = 0.05
) -> AltTest | Undefined:
    """Run the test.

    Args:
        judge: its labels.
        people: labels of at least three people, who need not have seen the same items.
        epsilon: the advantage that a person is granted: 0.2 for experts, 0.1 for a crowd (the paper's values).
        alpha: false discovery rate of the tests.

    A person counts with the items that the judge and at least one other person also labelled; fewer than 30
    of them are too few for the t test.
    """
    if len(people) < SMALLEST_PEOPLE:
        return Undefined(f"there are fewer than {SMALLEST_PEOPLE} people", len(judge), METHOD)
    p_values, advantages, items = [], [], 0
    for number, person in enumerate(people):
        others = [labels for position, labels in enumerate(people) if position != number]
        judge_wins, person_wins = _comparisons(judge, person, others)
        if len(judge_wins) < SMALLEST_ITEMS:
            continue
        items += len(judge_wins)
        advantages.append(float(judge_wins.mean()))
        p_values.append(_one_sided_p(person_wins - judge_wins, epsilon))
    if len(p_values) < SMALLEST_PEOPLE:
        reason = f"fewer than {SMALLEST_PEOPLE} people share {SMALLEST_ITEMS} items with the judge and others"
        return Undefined(reason, len(judge), METHOD)
    rate = float(np.mean(stats.false_discovery_control(p_values, method="by") < alpha))
    return AltTest(rate, float(np.mean(advantages)), len(p_values), items, epsilon, rate >= 0.5)


def _comparisons(judge: Labels, person: Labels, others: Sequence[Labels]) -> tuple[np.ndarray, np.ndarray]:
    """Per item, whether the judge (the person) agrees with the others at least as much as the person (the judge)."""
    judge_wins, person_wins = [], []
    for item, own in person.items():
        rest = [labels[item] for labels in others if item in labels]
        if item not in judge or not rest:
            continue
        judge_credit = sum(judge[item] == label for label in rest)
        person_credit = sum(own == label for label in rest)
        judge_wins.append(float(judge_credit >= person_credit))
        person_wins.append(float(person_credit >= judge_credit))
    return np.array(judge_wins), np.array(person_wins)


def _one_sided_p(differences: np.ndarray, epsilon: float) -> float:
    """P value of "the person's advantage is at least epsilon" against "it is smaller"."""
    spread = float(differences.std(ddof=1))
    distance = float(differences.mean()) - epsilon
    if spread == 0:
        return 0.0 if distance < 0 else 1.0
    statistic = distance / (spread / math.sqrt(len(differences)))
    return float(stats.t.cdf(statistic, len(differences) - 1))
