"""Where work on many files is done: in this process, in several, or on a Ray cluster. The results are the same.

A task is a callable that can be pickled; only what it returns comes back. On a cluster every node must see the input and the
output folder under the same paths.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

from lima.errors import LimaError

EngineName = Literal["processes", "ray"]
"""``processes`` on this machine, or plain tasks of ``ray``: a cluster when RAY_ADDRESS is set, else this machine."""
Map = Callable[..., Iterator[Any]]
"""As the built-in `map` of one iterable: results in the order of the items."""


@contextmanager
def open_map(engine: EngineName, workers: int) -> Iterator[Map]:
    """A `map` with this many workers, which start on the items at once; the built-in `map` for a single worker.

    Raises:
        LimaError: Ray is not installed; a worker process died.
    """
    if engine == "ray":
        with _ray(workers) as ray_map:
            yield ray_map
    elif workers == 1:
        yield map
    else:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks
        pool = ProcessPoolExecutor(workers, mp_context=context)
        try:
            yield pool.map
        except BrokenExecutor:
            raise LimaError(
                "a worker process died; was memory short? The same command goes on where it was, with fewer --workers too."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ray(workers: int) -> Iterator[Map]:
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

    def ray_map(task: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        remote = ray.remote(_call)
        return map(ray.get, [remote.remote(task, item) for item in items])

    try:
        yield ray_map
    finally:
        ray.shutdown()


def _call(task: Callable[[Any], Any], item: Any) -> Any:
    return task(item)
