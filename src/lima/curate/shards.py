"""The header passes of many dumps on several processes: one dump a task, the longest first."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from lima.curate.dumps import Dump, index, posts_bytes
from lima.curate.posts import Scan
from lima.errors import LimaError


def index_all(
    dumps: Sequence[Dump], scan: Scan, scratch: Path, workers: int, advance: Callable[[int], None]
) -> None:
    """Put the headers of every dump into the scratch folder, where `index` finds them.

    Raises:
        LimaError: the first problem of a dump, once the passes that run have ended.
    """
    ordered = sorted(dumps, key=lambda dump: (-posts_bytes(dump), dump.exchange.name))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(ordered)), mp_context=context) as pool:
        tasks = {pool.submit(_index, dump, scan, scratch): dump for dump in ordered}
        for task in as_completed(tasks):
            if problem := task.result():
                pool.shutdown(wait=True, cancel_futures=True)
                raise LimaError(problem)
            advance(posts_bytes(tasks[task]))


def _index(dump: Dump, scan: Scan, scratch: Path) -> str | None:
    """In the other process: nothing, or the text of the error, which is all that has to cross."""
    try:
        index(dump, scan, scratch)
    except LimaError as error:
        return str(error)
    return None
