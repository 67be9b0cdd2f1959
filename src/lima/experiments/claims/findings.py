"""Results of an experiment's runs -> values, differences and bands with their intervals.

An interval covers one kind of variation. By seed: other draws of examples, a mean for each run being one unit
(Student's t). By person: other questions to the very models that were trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from lima.experiments.claims.bands import Band
from lima.experiments.claims.jobs import JobResult, Measure
from lima.statistics.estimates import Estimate, Result, Undefined
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

    def mean(self, arm: str, measure: str) -> float:
        """The mean alone."""
        return float(np.mean(self.means(arm, measure)))

    def means(self, arm: str, measure: str) -> list[float]:
        """The mean in each run."""
        return [run_mean(run) for run in self._measures((arm, measure))]

    def has(self, arm: str, measure: str) -> bool:
        """Whether the arm has such a measure."""
        return all(measure in result.measures for result in self.results[arm])

    def _measures(self, place: tuple[str, str]) -> list[Measure]:
        arm, measure = place
        return [result.measures[measure] for result in self.results[arm]]


@dataclass(frozen=True)
class Check:
    """A band, fixed before the world was built, and what came out."""

    band: Band
    result: Result
    arm: str = ""
    """Of which arm, where a band is checked on several."""

    @cached_property
    def met(self) -> bool:
        """Whether the value lies in the band."""
        return isinstance(self.result, Estimate) and self.band.holds(self.result.value)


@dataclass(frozen=True)
class Conclusion:
    """What an experiment says: its bands, and a sentence that the numbers write."""

    checks: Sequence[Check]
    sentence: str

    @property
    def verdict(self) -> str:
        """The sentence, with the bands that were missed."""
        missed = ", ".join(sorted({check.band.id for check in self.checks if not check.met}))
        ending = f"Missed: {missed}." if missed else "All bands met." if self.checks else "No band was set."
        return f"{self.sentence} {ending}"


def run_mean(measure: Measure) -> float:
    """The mean of one run's measure; not a number where there is nothing to count."""
    return float(np.mean(measure.values)) if measure.values else math.nan


def single(value: float, method: str) -> Estimate:
    """A figure of a whole experiment, such as a rank correlation, without an interval."""
    return Estimate(value, None, None, 0.95, 1, 1, method, "no interval: one figure of the whole experiment")


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
