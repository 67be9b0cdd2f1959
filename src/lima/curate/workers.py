"""Where the work on many dumps is done: in this process, in several, or on a Ray cluster. The results are the same.

A task is a function of a module with arguments that can be sent, and what it returns is all that comes back. On a
cluster every node must see the input and the output folder under the same paths.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from lima.errors import LimaError

EngineName = Literal["processes", "ray"]
"""``processes`` on this machine, or plain tasks of ``ray``: a cluster when RAY_ADDRESS is set, else this machine."""
Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs tasks somewhere else."""

    def submit(self, function: Callable[..., Result], /, *arguments: Any) -> Future[Result]:
        """Begin a task."""
        ...


@contextmanager
def open_engine(name: EngineName, workers: int) -> Iterator[Engine | None]:
    """An engine with so many workers, which are started with the first task; None for one process of one's own.

    Raises:
        LimaError: Ray is not installed.
    """
    if name == "ray":
        with _ray(workers) as engine:
            yield engine
    elif workers > 1:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context)
        try:
            yield pool
        except BrokenExecutor:
            raise LimaError(
                "a worker process died; was memory short? The same command goes on where it was, with fewer --workers too."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    else:
        yield None


class Ahead(Iterator[Result]):
    """Results of a function over many tasks in their order, some tasks being worked on before they are asked for."""

    def __init__(
        self, engine: Engine, function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int
    ) -> None:
        self._engine, self._function, self._tasks, self._count = engine, function, iter(tasks), ahead
        self._begun: list[Future[Result]] = []

    def begin(self) -> None:
        """Start the first tasks."""
        for task in islice(self._tasks, self._count - len(self._begun)):
            self._begun.append(self._engine.submit(self._function, task))

    def __next__(self) -> Result:
        self.begin()
        if not self._begun:
            raise StopIteration
        result = self._begun.pop(0).result()
        self.begin()
        return result


class _Ray:
    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._remote: dict[Callable[..., Any], Any] = {}

    def submit(self, function: Callable[..., Result], /, *arguments: Any) -> Future[Result]:
        if function not in self._remote:
            self._remote[function] = self._ray.remote(function)
        future: Future[Result] = self._remote[function].remote(*arguments).future()
        return future


@contextmanager
def _ray(workers: int) -> Iterator[Engine]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise LimaError("--engine ray needs a package: pip install 'lima-align[ray]'") from None
    here: dict[str, Any] = {"num_cpus": workers, "_node_ip_address": "127.0.0.1"}
    if "RAY_ADDRESS" in os.environ:
        here = {}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", **here)
    try:
        yield _Ray(ray)
    finally:
        ray.shutdown()
