"""The work on many dumps, shard by shard: header passes, the longest first, and candidates decoded ahead of their use."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from lima import console
from lima.curate.candidate import Candidate, Stratum
from lima.curate.choose.sampling import weights
from lima.curate.sources.base import Work
from lima.curate.stackexchange.dumps import Dump, Index, index, posts_bytes
from lima.curate.stackexchange.headers import Scan
from lima.curate.stackexchange.row_xml import Place
from lima.curate.workers import Ahead, Engine
from lima.errors import LimaError
from lima.records import Reject

POLL_SECONDS = 0.3
CHUNK = 200
"""Candidates that are decoded by one task: some 20 ms of work."""
ACCEPTED_ONE_IN = 20
"""Measured on real dumps at the paper's thresholds: so many candidates are decoded for one that is accepted."""
CHUNKS_AHEAD_MAX = 8

Places = tuple[Place, Place]
Item = Candidate | Reject
Scans = tuple[Scan, Collection[Scan]]
"""What is wanted, and what other sources will want of the same dumps."""


class Decoder(Protocol):
    """Decodes the candidates of one dump."""

    def candidates(self, rows_file: Path, places: Iterable[Places]) -> Iterator[Item]:
        """One by one, when asked for."""
        ...

    def judged(self, rows_file: Path, places: Iterable[Places]) -> list[Item]:
        """Many at once, those that a rule drops as their `Reject`."""
        ...

    def portable(self) -> Decoder:
        """A copy that can be sent to another process."""
        ...


def read_indexes(dumps: Sequence[Dump], scan: Scan, work: Work) -> list[tuple[Dump, Index]]:
    """The headers of every dump, read on the engine where there is one; with progress."""
    if not dumps:
        return []
    sizes = {dump: posts_bytes(dump) for dump in dumps}
    with console.progress(f"{work.name}: headers", sum(sizes.values()) / 1e6, "MB") as bar:
        advance = _advance(bar, work)
        shared = work.engine is not None and work.scratch is not None
        if work.engine is not None and work.scratch is not None:
            ordered = sorted(dumps, key=lambda dump: (-sizes[dump], dump.exchange.name))
            index_all(work.engine, ordered, (scan, work.scans), work.scratch, advance)
        found = [
            (dump, index(dump, scan, work.scratch, None if shared else advance, also=work.scans))
            for dump in dumps
        ]
    _tell_empty([dump.posts for dump, headers in found if not headers.rows], len(found))
    return found


def _tell_empty(empty: Sequence[Path], number: int) -> None:
    if len(empty) == number:
        raise LimaError(f'{empty[0]}: no answers (PostTypeId="2"), no rows at all. Is this the Posts table?')
    for path in empty:
        console.warn(f"{path}: an empty site, which gives nothing.")


def index_all(
    engine: Engine, dumps: Sequence[Dump], scans: Scans, scratch: Path, advance: Callable[[int], None]
) -> None:
    """Put the headers of every dump into the scratch folder, where `index` finds them; begun in the given order.

    Raises:
        LimaError: the first problem of a dump, once the passes that run have ended.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    counters = [scratch / f"{dump.exchange.name}.read" for dump in dumps]
    waiting = {
        engine.submit(_index, dump, scans, scratch, counter)
        for dump, counter in zip(dumps, counters, strict=True)
    }
    told = 0
    while waiting:
        done, waiting = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
        for problem in [task.result() for task in done]:
            if problem:
                for task in waiting:
                    task.cancel()
                raise LimaError(problem)
        read = sum(map(_bytes_read, counters))
        advance(read - told)
        told = read
    for counter in counters:
        counter.unlink(missing_ok=True)


def candidates_of(
    reader: Decoder, found: Index, order: npt.NDArray[Any], engine: Engine | None
) -> Iterator[Item]:
    """The candidates of a dump in this order; with an engine, `begin_ahead` may have them decoded elsewhere."""
    serial = reader.candidates(found.rows_file, _places(found, order))
    if engine is None:
        return serial
    return _Elsewhere(serial, engine, _chunks(reader.portable(), found, order))


def begin_ahead(strata: Sequence[Stratum], quota: int, tau: float) -> None:
    """Have candidates decoded elsewhere of the strata of which so many will be needed that it pays, the biggest first.

    How many are needed is a guess from the quota; what is chosen depends on what is asked for alone.
    """
    alive = [stratum for stratum in strata if stratum.size]
    shares = weights([stratum.size for stratum in alive], tau).tolist() if alive else []
    for share, stratum in sorted(zip(shares, alive, strict=True), key=lambda pair: (-pair[0], pair[1].name)):
        chunks = int(min(stratum.size, share * quota * ACCEPTED_ONE_IN)) // CHUNK
        if isinstance(stratum.candidates, _Elsewhere) and chunks:
            stratum.candidates.begin(min(chunks, CHUNKS_AHEAD_MAX))


@dataclass(frozen=True)
class _Chunk:
    reader: Decoder
    rows_file: Path
    places: list[Places]


class _Elsewhere(Iterator[Item]):
    """Candidates that are decoded here until `begin` has them decoded on the engine."""

    def __init__(self, serial: Iterator[Item], engine: Engine, chunks: Iterator[_Chunk]) -> None:
        self._items, self._engine, self._chunks = serial, engine, chunks

    def begin(self, ahead: int) -> None:
        """Keep so many chunks under way; before the first candidate is taken."""
        results = Ahead(self._engine, _judged, self._chunks, ahead)
        results.begin()
        self._items = chain.from_iterable(results)

    def __next__(self) -> Item:
        return next(self._items)


def _judged(chunk: _Chunk) -> list[Item]:
    return chunk.reader.judged(chunk.rows_file, chunk.places)


def _chunks(reader: Decoder, found: Index, order: npt.NDArray[Any]) -> Iterator[_Chunk]:
    places = _places(found, order)
    while part := list(islice(places, CHUNK)):
        yield _Chunk(reader, found.rows_file, part)


def _places(found: Index, order: npt.NDArray[Any]) -> Iterator[Places]:
    """Where the questions and their answers stand, in this order."""
    for position in order:
        question, answer = (
            tuple(int(columns[name][position]) for name in ("id", "offset", "length"))
            for columns in (found.pairs.question, found.pairs.answer)
        )
        yield question, answer  # type: ignore[misc]


def _index(dump: Dump, scans: Scans, scratch: Path, counter: Path) -> str | None:
    """In the other process: nothing, or the text of the error, which is all that has to cross.

    How many bytes were read so far stands in the counter's file, which every engine can share.
    """
    read = 0

    def advance(count: int) -> None:
        nonlocal read
        read += count
        counter.write_text(str(read))

    try:
        index(dump, scans[0], scratch, advance, also=scans[1])
    except LimaError as error:
        return str(error)
    return None


def _bytes_read(counter: Path) -> int:
    try:
        return int(counter.read_text() or 0)
    except (FileNotFoundError, ValueError):  # not begun, or being written
        return 0


def _advance(bar: console.Tracker, work: Work) -> Callable[[int], None]:
    """Moves the bar on by bytes, and says how fast they are read and what was accepted before."""
    began, total = time.monotonic(), 0

    def advance(read: int) -> None:
        nonlocal total
        total += read
        rate = total / 1e6 / max(time.monotonic() - began, 1e-3)
        accepted = f", {work.accepted():,} accepted so far" if work.accepted() else ""
        bar.advance(read / 1e6, note=f"{rate:,.0f} MB/s{accepted}")

    return advance
