"""Results of an experiment's runs -> values, differences and trends with their intervals, and their words.

An interval covers one kind of variation. By seed: other draws of examples, a mean for each run being one unit
(Student's t). By person: other questions to the very models that were trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from lima.experiments.claims.jobs import JobResult, Measure
from lima.statistics.estimates import Result, Undefined
from lima.statistics.intervals import clustered_mean, share

Unit = Literal["seed", "person"]
COVERS = {
    "seed": (
        "other draws of examples, other orders and other answers (a run's mean is the unit, Student's t); with two "
        "bases they say little about other bases"
    ),
    "person": "other people to ask about, with the same models (the person is the unit)",
}
"""What an interval covers, in words for a reader."""


@dataclass(frozen=True)
class Findings:
    """The results of each arm, run by run in the same order in all arms."""

    results: Mapping[str, Sequence[JobResult]]
    unit: Unit

    def value(self, arm: str, measure: str) -> Result:
        """The mean of a measure in one arm."""
        runs = [result.measures[measure] for result in self.results[arm]]
        if self.unit == "seed":
            means = [run_mean(run) for run in _distinct(runs) if run.values]
            return clustered_mean(means, range(len(means)))
        return _by_person(_joined(runs))

    def difference(self, first: tuple[str, str], second: tuple[str, str]) -> Result:
        """Mean of ``first`` minus mean of ``second``, each ``(arm, measure)``, in pairs of runs or of questions."""
        pairs = list(zip(self._measures(first), self._measures(second), strict=True))
        if self.unit == "seed":
            gaps = [run_mean(a) - run_mean(b) for a, b in pairs]
            return clustered_mean(gaps, range(len(gaps)))
        a, b = (_joined(runs) for runs in zip(*pairs, strict=True))
        assert a.people == b.people, "both arms answer the same questions"
        gaps = [x - y for x, y in zip(a.values, b.values, strict=True)]
        return clustered_mean(gaps, a.people or range(len(gaps)))

    def trend(self, arms: Sequence[str], measure: str) -> Result:
        """Spearman's correlation of the order of the arms with their means: one figure a run, whatever the unit."""
        by_run = np.array([self.means(arm, measure) for arm in arms]).T
        ranks = [
            float(stats.spearmanr(range(len(arms)), means).statistic) for means in by_run if np.ptp(means)
        ]
        if len(ranks) < len(by_run):
            return Undefined("all arms of a run have the same mean", len(by_run), "Spearman")
        return clustered_mean(ranks, range(len(ranks)))

    def mean(self, arm: str, measure: str) -> float:
        """The mean alone."""
        return float(np.mean(self.means(arm, measure)))

    def means(self, arm: str, measure: str) -> list[float]:
        """The mean in each run."""
        return [run_mean(run) for run in self._measures((arm, measure))]

    def percent(self, arm: str, measure: str) -> str:
        """The mean, a share, in per cent."""
        return percent(self.mean(arm, measure))

    def has(self, arm: str, measure: str) -> bool:
        """Whether the arm has such a measure."""
        return all(measure in result.measures for result in self.results[arm])

    def _measures(self, place: tuple[str, str]) -> list[Measure]:
        arm, measure = place
        return [result.measures[measure] for result in self.results[arm]]


def run_mean(measure: Measure) -> float:
    """The mean of one run's measure; not a number where there is nothing to count."""
    return float(np.mean(measure.values)) if measure.values else math.nan


def _distinct(runs: Sequence[Measure]) -> list[Measure]:
    """The runs without repetitions: seeds of tuning share one base, whose measures count once."""
    return list({(run.values, run.people): run for run in runs}.values())


def _joined(runs: Sequence[Measure]) -> Measure:
    values = tuple(value for run in runs for value in run.values)
    return Measure(values=values, people=tuple(person for run in runs for person in run.people))


def _by_person(measure: Measure) -> Result:
    if not measure.people:
        return _alone(measure.values)
    if set(measure.values) <= {0.0, 1.0}:
        return share([value == 1 for value in measure.values], measure.people)
    return clustered_mean(measure.values, measure.people)


def _alone(values: Sequence[float]) -> Result:
    if not values:
        return Undefined("there is nothing to count", 0, "mean of runs")
    return clustered_mean(values, range(len(values)))


def percent(value: float) -> str:
    """A share.

    >>> percent(0.534)
    '53 %'
    """
    return "an undefined share" if math.isnan(value) else f"{100 * value:.0f} %"


def points(result: Result) -> str:
    """A difference of shares in points, with its interval."""
    if isinstance(result, Undefined):
        return str(result)
    ends = (
        ""
        if result.low is None or result.high is None
        else f" [{_signed(result.low)}, {_signed(result.high)}]"
    )
    return f"{_signed(result.value)} points{ends}"


def _signed(value: float) -> str:
    return f"{100 * value:+.0f}".replace("-", "\u2212")
