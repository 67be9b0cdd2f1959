"""Runs jobs in parallel processes of one thread each; finished ones are found by their files and not run again."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from lima import console
from lima.errors import LimaError
from lima.experiments.claims.jobs import RESULT, BaseJob, Job, JobResult, key, needs
from lima.files import read_json

STEP_COST = {"base": 0.08, "tune": 0.05}
"""Rough processor seconds of a step."""
OTHER_COST = 3.0
"""Rough processor seconds of what else there is in a job: loading, answers."""


def run_jobs(jobs: Mapping[str, Job], folder: Path, workers: int) -> dict[str, JobResult]:
    """Results of the jobs by name; only those without a result in ``folder`` are run.

    Args:
        jobs: by a name that an error can show. Equal jobs are run once.
        folder: a folder for each job; see `lima.experiments.claims.jobs.key`.
        workers: processes at a time.

    Raises:
        LimaError: jobs failed (the first is named); the others were finished first, and are kept.
    """
    todo = missing(jobs, folder)
    costs = {name: _cost(job) for name, job in todo.items()}
    with (
        console.progress("experiment", sum(costs.values()), "processor s") as bar,
        _processes(workers, len(todo)) as pool,
    ):
        for count, name in enumerate(_run(todo, folder, pool, workers), start=1):
            bar.advance(costs[name], f"{count} of {len(todo)} jobs")
    return {name: _read(job, folder) for name, job in jobs.items()}


def missing(jobs: Mapping[str, Job], folder: Path) -> dict[str, Job]:
    """The jobs that have no result yet, with the ones that they need; equal ones once."""
    bases = {f"{name}: its base": need for name, job in jobs.items() for need in needs(job)}
    unique: dict[str, tuple[str, Job]] = {}
    for name, job in {**jobs, **bases}.items():
        unique.setdefault(key(job), (name, job))
    return {name: job for place, (name, job) in unique.items() if not (folder / place / RESULT).exists()}


def finished(jobs: Mapping[str, Job], folder: Path) -> dict[str, JobResult]:
    """Results of those jobs that have one, by name."""
    done = {name: job for name, job in jobs.items() if (folder / key(job) / RESULT).exists()}
    return {name: _read(job, folder) for name, job in done.items()}


def _processes(workers: int, jobs: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(max(1, min(workers, jobs)), context, initializer=_prepare_process)


def _run(jobs: Mapping[str, Job], folder: Path, pool: ProcessPoolExecutor, workers: int) -> Iterator[str]:
    """Yield each job's name when it is finished; failures are raised at the end, when all others are done.

    Jobs are begun in their order, so that experiments end one after the other, each as soon as its base is there.
    """
    waiting, running = dict(jobs), dict[Future[None], str]()
    unmade = {key(job) for job in jobs.values()}
    failures: list[LimaError] = []
    while True:
        ready = [name for name, job in waiting.items() if not unmade & {key(need) for need in needs(job)}]
        for name in ready[: workers - len(running)]:
            job = waiting.pop(name)
            running[pool.submit(_work, job, folder / key(job))] = name
        if not running:  # what still waits has lost its base
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            name = running.pop(future)
            problem = _problem(future, name, folder / key(jobs[name]))
            if problem is None:
                unmade.discard(key(jobs[name]))
                yield name
                continue
            failures.append(problem)
            if isinstance(future.exception(), BrokenProcessPool):
                waiting.clear()  # a broken pool takes no more jobs
    if failures:
        others = f" {len(failures) - 1} more failed." if len(failures) > 1 else ""
        raise LimaError(f"{failures[0]}{others} The same command again repeats only what is missing.")


def _problem(future: Future[None], name: str, folder: Path) -> LimaError | None:
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, BrokenProcessPool):
        return LimaError(f"job {name!r} ({folder.name}): its process was killed; is there too little memory?")
    return LimaError(f"job {name!r} ({folder.name}): {error}")


def _prepare_process() -> None:
    """One thread, no output, and an end when the parent ends: a killed command must leave no process behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a child"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    console.notes.quiet = console.results.quiet = True
    import torch

    torch.set_num_threads(1)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _work(job: Job, folder: Path) -> None:
    from lima.experiments.claims.work import carry_out  # torch is wanted in the children alone

    try:
        carry_out(job, folder)
    except Exception as error:  # some cannot be sent to the parent, which would break the pool
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _read(job: Job, folder: Path) -> JobResult:
    return JobResult.model_validate(read_json(folder / key(job) / RESULT))


def _cost(job: Job) -> float:
    """Typical cost of such a job, so that the time left can be estimated although jobs differ."""
    from lima.world.base import base_name, cache_folder

    if isinstance(job, BaseJob):
        steps = 0 if (cache_folder() / base_name(job.base)).exists() else job.base.steps
    else:
        steps = job.steps if job.data else 0
    return OTHER_COST + STEP_COST[job.kind] * steps
