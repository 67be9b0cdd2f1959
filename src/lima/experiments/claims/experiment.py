"""What an experiment is: a claim, its arms (each the same job with some settings overridden), and its conclusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from lima.experiments.claims.bands import Conclusion
from lima.experiments.claims.findings import Findings, Unit
from lima.experiments.claims.jobs import BaseJob, Job, TuneJob
from lima.world.settings import BaseSettings, WorldSettings

Arms: TypeAlias = Mapping[str, Job]


MARKS = {"form": "right form", "knowledge": "right fact", "exact": "both"}
"""The columns of most experiments."""


@dataclass(frozen=True)
class Experiment:
    """One claim of the paper (or of work on it) and how the world tests it."""

    name: str
    claim: str
    source: str
    """Where the claim stands."""
    paper: str
    """What is reported there, shown beside our result."""
    arms: Callable[[TuneJob], Arms]
    """From the job without overrides to the jobs of one run, by the name of the arm."""
    columns: Mapping[str, str]
    """Measures of the table and the figure, and their headings; arms without a measure have no cell."""
    conclude: Callable[[Findings], Conclusion]
    seeds: int | None = None
    """Most seeds of tuning on each base. Set where runs are long and no limit was fixed for five seeds."""


@dataclass(frozen=True)
class RunScale:
    """How much is run: a run is one base and one seed of tuning; an arm has a job in each run."""

    name: str
    bases: Sequence[BaseSettings]
    seeds: int
    questions: int
    unit: Unit
    """What the intervals cover."""


def _base(seed: int, steps: int) -> BaseSettings:
    return BaseSettings(world=WorldSettings(seed=seed), seed=seed, steps=steps)


SCALES = {
    "demo": RunScale("demo", (_base(0, 2000),), seeds=1, questions=300, unit="person"),
    "full": RunScale("full", (_base(0, 2500), _base(1, 2500)), seeds=5, questions=375, unit="seed"),
}
"""A world has 375 facts of test people, so two worlds ask 750."""


def limited(scale: RunScale, experiment: Experiment) -> RunScale:
    """The scale with as many seeds of tuning as the experiment takes."""
    return replace(scale, seeds=min(scale.seeds, experiment.seeds or scale.seeds))


def job_names(experiment: Experiment, scale: RunScale) -> dict[tuple[str, int], tuple[str, Job]]:
    """For each arm and run: a name for messages, and the job."""
    found = {}
    runs = [(base, seed) for base in scale.bases for seed in range(limited(scale, experiment).seeds)]
    for number, (base, seed) in enumerate(runs):
        template = TuneJob(base=base, seed=seed, questions=scale.questions)
        for arm, job in experiment.arms(template).items():
            found[arm, number] = (f"{experiment.name}: {arm}, world {base.seed}, seed {seed}", job)
    return found


def tuned(template: TuneJob, **overrides: object) -> TuneJob:
    """The template with some settings changed."""
    return template.model_copy(update=overrides)


def pretrained(template: TuneJob) -> BaseJob:
    """The base of the template, asked to complete statements."""
    return BaseJob(base=template.base)
