"""A folder of Stack Exchange dumps -> one `Dump` a site, and the headers of its posts.

The header pass of a finished site is kept in the run's scratch folder, so that a resumed run does not
read it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lima.curate.exchanges import Exchange, ExchangeTable
from lima.curate.posts import COLUMNS, Pairs, Scan, pair, read_headers
from lima.errors import LimaError
from lima.files import replacing, text_hash

POSTS = re.compile(r"(?:^|[-_.])posts\.xml$", re.IGNORECASE)
BUFFER_BYTES = 1 << 18
EDGE_BYTES = 1 << 16


@dataclass(frozen=True)
class Dump:
    """The files of one site."""

    exchange: Exchange
    posts: Path
    users: Path | None = None


@dataclass(frozen=True)
class Index:
    """The eligible questions of a dump with their best answers, and the counts of its headers."""

    pairs: Pairs
    rows: int
    questions: int
    answers: int
    closed: int
    low_answers: int
    malformed: tuple[int, ...]


def find_dumps(folder: Path, table: ExchangeTable, site: str | None, include_meta: bool) -> list[Dump]:
    """The dumps in a folder (or the one that a file or folder is), by exchange name.

    Args:
        folder: a ``Posts.xml``, a folder that holds one, or a folder of such folders.
        table: the known exchanges.
        site: the exchange, for a single dump whose folder does not tell.
        include_meta: whether the sites about sites are wanted.

    Raises:
        LimaError: nothing there, an unknown exchange, the same exchange twice.
    """
    files = _post_files(folder)
    if not files:
        raise LimaError(f"{folder}: no Posts.xml here or in a folder below. Is this where the dumps are?")
    if site and len(files) > 1:
        raise LimaError(f"{folder}: --site names one exchange, but there are {len(files)} dumps here.")
    dumps: dict[str, Dump] = {}
    for posts in files:
        exchange = table.get(site or _site_text(posts), str(posts))
        if exchange.meta and not include_meta:
            continue
        if before := dumps.get(exchange.name):
            raise LimaError(
                f"{posts}: a second dump of {exchange.name!r}, besides {before.posts}. Remove one of them."
            )
        dumps[exchange.name] = Dump(exchange, posts, _beside(posts, "users.xml"))
    if not dumps:
        raise LimaError(f"{folder}: only meta sites here ({len(files)}). Take them with --include-meta.")
    return [dumps[name] for name in sorted(dumps)]


def fingerprint(path: Path) -> str:
    """A hash of a file's size and of its first and last 64 KB: to see that a big file is still the same."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(EDGE_BYTES)
        stream.seek(max(0, size - EDGE_BYTES))
        return text_hash(str(size), head.hex(), stream.read().hex())


def input_fingerprint(path: Path, out: Path) -> str:
    """As `fingerprint`, over all files of a folder but those of the output."""
    if path.is_file():
        return fingerprint(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and out not in file.parents)
    return text_hash(*(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in files))


def index(
    dump: Dump, scan: Scan, scratch: Path | None = None, advance: Callable[[int], None] | None = None
) -> Index:
    """Read the headers of a dump, or take them from the scratch folder when they were read before."""
    kept = None
    if scratch is not None:
        key = text_hash(fingerprint(dump.posts), repr(scan))
        kept = scratch / f"{dump.exchange.name}-{key}.npz"
        if kept.exists():
            if advance:
                advance(dump.posts.stat().st_size)
            return _load(kept)
    with open_posts(dump.posts) as stream:
        headers = read_headers(stream, dump.posts, scan, advance)
    found = Index(
        pairs=pair(headers),
        rows=headers.rows,
        questions=headers.question_count,
        answers=headers.answer_count,
        closed=headers.closed,
        low_answers=headers.low_answers,
        malformed=tuple(headers.malformed),
    )
    if kept is not None:
        _save(kept, found)
    return found


@contextmanager
def open_posts(path: Path) -> Iterator[IO[bytes]]:
    """The XML of a dump as a stream of bytes."""
    with path.open("rb", buffering=BUFFER_BYTES) as stream:
        yield stream


def _post_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.exists():
        raise LimaError(f"{folder}: no such file or folder. --input is where the dumps are.")
    return sorted(path for path in folder.rglob("*") if POSTS.search(path.name) and path.is_file())


def _site_text(posts: Path) -> str:
    """What names the site: ``cooking.stackexchange.com-Posts.xml``, or else the folder."""
    prefix = POSTS.sub("", posts.name)
    return prefix if prefix and prefix != posts.name else posts.resolve().parent.name


def _beside(posts: Path, name: str) -> Path | None:
    """Another table of the same dump, in any case."""
    wanted = POSTS.sub("", posts.name)
    names = {name, f"{wanted.lower()}-{name}"} if wanted and wanted != posts.name else {name}
    return next((path for path in sorted(posts.parent.iterdir()) if path.name.lower() in names), None)


def _save(path: Path, found: Index) -> None:
    pairs = found.pairs
    columns = {f"question_{name}": pairs.question[name] for name in COLUMNS}
    columns |= {f"answer_{name}": pairs.answer[name] for name in COLUMNS}
    counts = [found.rows, found.questions, found.answers, found.closed, found.low_answers]
    counts += [pairs.unanswered, pairs.orphans, pairs.duplicates]
    columns |= {"counts": np.array(counts), "malformed": np.array(found.malformed, dtype=np.int64)}
    with replacing(path) as stream:
        np.savez(stream, allow_pickle=False, **columns)


def _load(path: Path) -> Index:
    with np.load(path, allow_pickle=False) as data:
        rows, questions, answers, closed, low, unanswered, orphans, duplicates = data["counts"].tolist()
        pairs = Pairs(
            question={name: data[f"question_{name}"] for name in COLUMNS},
            answer={name: data[f"answer_{name}"] for name in COLUMNS},
            unanswered=unanswered,
            orphans=orphans,
            duplicates=duplicates,
        )
        return Index(pairs, rows, questions, answers, closed, low, tuple(data["malformed"].tolist()))
