"""``lima experiment``: claims of the paper, each tested by jobs in the built-in world, with verdicts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lima import console
from lima.commands import as_command
from lima.errors import LimaError
from lima.experiments.claims import examples, knowledge, training
from lima.experiments.claims.experiment import SCALES, Experiment, RunScale, job_names, limited
from lima.experiments.claims.findings import Findings
from lima.experiments.claims.jobs import Job, JobResult
from lima.experiments.claims.outcome import ExperimentOutcome, show, write
from lima.experiments.claims.pool import finished, missing, run_jobs
from lima.experiments.settings import ExperimentSettings
from lima.runs import open_run

ALL = "all"
EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        knowledge.SCRATCH,
        knowledge.QUANTITY,
        examples.QUALITY,
        examples.DIVERSITY,
        training.TOKEN_SHIFT,
        knowledge.PRETRAINING,
        knowledge.TRANSFER,
        training.PERPLEXITY,
        training.CHECKPOINT,
        training.OVERFITTING,
        examples.UNKNOWN_FACTS,
        training.DROPOUT,
        examples.DIALOGUE,
        examples.STRUCTURE,
        examples.REFUSAL,
        examples.SELECTION,
    )
}
"""In the order of ``lima experiment all``."""


def experiment(settings: ExperimentSettings) -> list[ExperimentOutcome]:
    """Run what is missing, write the reports and return the outcomes; nothing after a dry run or on a real base.

    Raises:
        LimaError: a job failed, another process works in ``settings.out``, or no run is finished (`--finished`).
    """
    if settings.model is not None:
        from lima.experiments.real.real import real_experiment  # torch is wanted there from the start

        real_experiment(settings)
        return []
    _refuse_real_alone(settings)
    chosen = list(EXPERIMENTS.values()) if settings.name == ALL else [EXPERIMENTS[settings.name]]
    return run_experiments(chosen, chosen_scale(settings), settings)


def _refuse_real_alone(settings: ExperimentSettings) -> None:
    """Refuse what needs a real base, and name what the world has instead."""
    if settings.name not in (*EXPERIMENTS, ALL):
        raise LimaError(f"'{settings.name}' runs on a real base: --model DIR --data FILE --scale small.")
    if settings.scale not in SCALES:
        raise LimaError(
            f"--scale {settings.scale} is for a real base (--model); the world has {', '.join(SCALES)}."
        )


def chosen_scale(settings: ExperimentSettings) -> RunScale:
    """The scale with the number of seeds that was asked for."""
    scale = SCALES[settings.scale]
    return replace(scale, seeds=settings.seeds or scale.seeds)


def run_experiments(
    chosen: Sequence[Experiment], scale: RunScale, settings: ExperimentSettings
) -> list[ExperimentOutcome]:
    """The same for any experiments at any scale."""
    plans = {wanted.name: job_names(wanted, scale) for wanted in chosen}
    jobs = {name: job for plan in plans.values() for name, job in plan.values()}
    folder = settings.out / "jobs"
    if settings.dry_run:
        _explain(missing(jobs, folder), len(jobs))
        return []
    if settings.finished:
        results = finished(jobs, folder)
    else:
        with open_run(folder / "run.json", "experiment", settings):
            results = run_jobs(jobs, folder, settings.workers or os.cpu_count() or 1)
    found = [_outcome(wanted, scale, plans[wanted.name], results) for wanted in chosen]
    outcomes = [outcome for outcome in found if outcome is not None]
    if not outcomes:
        raise LimaError(f"{folder}: no run is finished yet; without --finished the missing jobs are run")
    for outcome in outcomes:
        show(outcome)
    whole = write(outcomes, settings.out / settings.name)
    console.done(whole[:3], None if settings.name == ALL else _everything(settings))
    return outcomes


def _outcome(
    wanted: Experiment,
    scale: RunScale,
    plan: Mapping[tuple[str, int], tuple[str, Job]],
    results: Mapping[str, JobResult],
) -> ExperimentOutcome | None:
    """What the runs say whose jobs all have results; None where there is no such run."""
    partly = {run for (_, run), (name, _) in plan.items() if name not in results}
    by_arm: dict[str, list[JobResult]] = {}
    for (arm, run), (name, _) in plan.items():
        if run not in partly:
            by_arm.setdefault(arm, []).append(results[name])
    if not by_arm:
        return None
    findings = Findings(by_arm, scale.unit)
    return ExperimentOutcome(wanted, limited(scale, wanted), findings, wanted.conclude(findings))


def _everything(settings: ExperimentSettings) -> str:
    return as_command("experiment", settings.model_copy(update={"name": ALL}))


def _explain(todo: Mapping[str, Job], wanted: int) -> None:
    bases = sum(job.kind == "base" for job in todo.values())
    console.note(f"{wanted} jobs are wanted; would run {len(todo)}, {bases} of them on base models:")
    for name in todo:
        console.note(f"  {name}")
