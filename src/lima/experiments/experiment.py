"""``lima experiment``: claims of the paper, each tested by jobs in the built-in world, with verdicts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lima import console
from lima.experiments.claims.catalogue import EXPERIMENTS
from lima.experiments.claims.experiment import SCALES, Experiment, Scale, job_names
from lima.experiments.claims.findings import Findings
from lima.experiments.claims.jobs import Job, JobResult
from lima.experiments.claims.outcome import Outcome, show, write
from lima.experiments.claims.pool import missing, run_jobs
from lima.experiments.experiment_settings import ExperimentSettings
from lima.runs import open_run

ALL = "all"


def experiment(settings: ExperimentSettings) -> list[Outcome]:
    """Run what is missing, write the reports and return the outcomes; nothing after a dry run or on a real base.

    Raises:
        LimaError: a job failed, or another process works in ``settings.out``.
    """
    if settings.model is not None:
        from lima.experiments.real import real_experiment  # torch is wanted there from the start

        real_experiment(settings)
        return []
    chosen = list(EXPERIMENTS.values()) if settings.name == ALL else [EXPERIMENTS[settings.name]]
    return run_experiments(chosen, chosen_scale(settings), settings)


def chosen_scale(settings: ExperimentSettings) -> Scale:
    """The scale with the number of seeds that was asked for."""
    scale = SCALES[settings.scale]
    return replace(scale, seeds=settings.seeds or scale.seeds)


def run_experiments(
    chosen: Sequence[Experiment], scale: Scale, settings: ExperimentSettings
) -> list[Outcome]:
    """The same for any experiments at any scale."""
    plans = {wanted.name: job_names(wanted, scale) for wanted in chosen}
    jobs = {name: job for plan in plans.values() for name, job in plan.values()}
    folder = settings.out / "jobs"
    if settings.dry_run:
        _explain(missing(jobs, folder), len(jobs))
        return []
    with open_run(folder / "run.json", "experiment", settings):
        results = run_jobs(jobs, folder, settings.workers or os.cpu_count() or 1)
    outcomes = [_outcome(wanted, scale, plans[wanted.name], results) for wanted in chosen]
    for outcome in outcomes:
        show(outcome)
    whole = write(outcomes, settings.out / settings.name)
    console.done(whole[:2], None if settings.name == ALL else f"lima experiment all --out {settings.out}")
    return outcomes


def _outcome(
    wanted: Experiment,
    scale: Scale,
    plan: Mapping[tuple[str, int], tuple[str, Job]],
    results: Mapping[str, JobResult],
) -> Outcome:
    by_arm: dict[str, list[JobResult]] = {}
    for (arm, _), (name, _) in plan.items():
        by_arm.setdefault(arm, []).append(results[name])
    findings = Findings(by_arm, scale.unit)
    return Outcome(wanted, scale, findings, wanted.conclude(findings))


def _explain(todo: Mapping[str, Job], wanted: int) -> None:
    bases = sum(job.kind == "base" for job in todo.values())
    console.note(f"{wanted} jobs are wanted; would run {len(todo)}, {bases} of them on base models:")
    for name in todo:
        console.note(f"  {name}")
