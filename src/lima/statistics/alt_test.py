"""May a judge model stand in for human annotators? The alternative annotator test (arXiv 2501.10970).

Each person is left out in turn: is the judge as close to the remaining people as the one left out was, up to a
margin for what that person's work costs?
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import Estimate, Undefined

METHOD = "alt-test"
SMALLEST_PEOPLE = 3
SMALLEST_ITEMS = 30
ROUNDS = 1_000
Labels = Mapping[Hashable, object]
"""One rater's labels by item; numbers where the closeness is the negative RMSE."""
Closeness = Literal["accuracy", "negative RMSE"]
Floats = NDArray[np.float64]


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
    rate_interval: Estimate
    """The winning rate with the middle 95 % of resamples of the items; it moves in steps of one person."""
    advantage_interval: Estimate
    """The advantage with a t interval by item."""
    closeness: Closeness = "accuracy"
    method: str = METHOD


def alt_test(
    judge: Labels,
    people: Sequence[Labels],
    *,
    epsilon: float = 0.2,
    alpha: float = 0.05,
    closeness: Closeness = "accuracy",
    level: float = 0.95,
    seed: int = 0,
) -> AltTest | Undefined:
    """Run the test.

    Args:
        judge: its labels.
        people: labels of at least three people, who need not have seen the same items.
        epsilon: the advantage that a person is granted: 0.2 for experts, 0.1 for a crowd (the paper's values).
        alpha: false discovery rate of the tests.
        closeness: how near a label is to those of the others: the share of equal ones, or for numbers on a
            scale the negative root of the mean squared distance.
        level: confidence level of both intervals.
        seed: of the resamples of items.

    A person counts with the items that the judge and at least one other person also labelled; fewer than 30
    of them are too few for the t test.
    """
    if len(people) < SMALLEST_PEOPLE:
        return Undefined(f"there are fewer than {SMALLEST_PEOPLE} people", len(judge), METHOD)
    wins = [_wins(judge, people, number, closeness) for number in range(len(people))]
    wins = [found for found in wins if len(found) >= SMALLEST_ITEMS]
    if len(wins) < SMALLEST_PEOPLE:
        reason = f"fewer than {SMALLEST_PEOPLE} people share {SMALLEST_ITEMS} items with the judge and others"
        return Undefined(reason, len(judge), METHOD)
    items = sorted({item for found in wins for item in found}, key=str)
    table = np.full((2, len(wins), len(items)), np.nan)  # judge and person, by person and item
    for row, found in enumerate(wins):
        for column, item in enumerate(items):
            table[:, row, column] = found.get(item, (np.nan, np.nan))
    once = np.ones((1, len(items)))
    rate = float(_rates(table, once, epsilon, alpha)[0])
    advantage = float(np.nanmean(table[0], axis=1).mean())
    return AltTest(
        rate,
        advantage,
        len(wins),
        sum(map(len, wins)),
        epsilon,
        rate >= 0.5,
        _rate_interval(table, rate, epsilon=epsilon, alpha=alpha, level=level, seed=seed),
        _advantage_interval(table[0], advantage, level),
        closeness,
    )


def _wins(
    judge: Labels, people: Sequence[Labels], number: int, closeness: Closeness
) -> dict[Hashable, tuple[float, float]]:
    """Per item, whether the judge (the person) is at least as close to the others as the person (the judge)."""
    others = [labels for position, labels in enumerate(people) if position != number]
    found = {}
    for item, own in people[number].items():
        rest = [labels[item] for labels in others if item in labels]
        if item in judge and rest:
            theirs, mine = (_credit(label, rest, closeness) for label in (judge[item], own))
            found[item] = (float(theirs >= mine), float(mine >= theirs))
    return found


def _credit(label: object, rest: Sequence[object], closeness: Closeness) -> float:
    if closeness == "accuracy":
        return sum(label == other for other in rest) / len(rest)
    return -math.sqrt(sum((float(str(label)) - float(str(other))) ** 2 for other in rest) / len(rest))


def _rates(table: Floats, weights: Floats, epsilon: float, alpha: float) -> Floats:
    """The winning rate for each row of weights of the items."""
    there = ~np.isnan(table[0])
    differences = np.where(there, table[1] - table[0], 0.0)
    counts = weights @ there.T  # (resamples, people)
    means = weights @ differences.T / counts
    squares = weights @ (differences**2).T / counts - means**2
    errors = np.sqrt(np.maximum(squares, 0.0) / (counts - 1))
    distance = means - epsilon
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.t.cdf(distance / errors, counts - 1)
    p = np.where(errors > 1e-12, p, np.where(distance < 0, 0.0, 1.0))
    return np.asarray((stats.false_discovery_control(p, axis=1, method="by") < alpha).mean(axis=1))


def _rate_interval(
    table: Floats, rate: float, *, epsilon: float, alpha: float, level: float, seed: int
) -> Estimate:
    people, items = table.shape[1:]
    weights = np.random.default_rng(seed).multinomial(items, np.full(items, 1 / items), size=ROUNDS)
    # each person has 30 items or more, so that no resample leaves one without two
    rates = _rates(table, weights.astype(float), epsilon, alpha)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    method = f"{METHOD}, percentile bootstrap by item, {ROUNDS:,} rounds"
    return Estimate(rate, min(rate, float(low)), max(rate, float(high)), level, people, items, method)


def _advantage_interval(judge_wins: Floats, advantage: float, level: float) -> Estimate:
    """Linearised by item: what each item adds to the mean over people of their mean wins."""
    items = judge_wins.shape[1]
    there = ~np.isnan(judge_wins)
    centred = np.where(there, judge_wins - np.nanmean(judge_wins, axis=1)[:, None], 0.0)
    parts = (centred / there.sum(axis=1)[:, None]).mean(axis=0)
    error = math.sqrt(float((parts**2).sum()) * items / (items - 1))
    half = float(stats.t.ppf((1 + level) / 2, items - 1)) * error
    low, high = max(0.0, advantage - half), min(1.0, advantage + half)
    return Estimate(advantage, low, high, level, int(there.sum()), items, f"{METHOD}, t by item")
