"""A folder of Stack Exchange dumps -> one `Dump` a site, and the headers of its posts.

The header pass of a finished site is kept in the run's scratch folder, so that a resumed run does not
read it again. Of a compressed dump the rows that may be wanted are kept there too: it is decoded once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lima import console
from lima.curate.reading.compressed import open_bytes
from lima.curate.stackexchange.archives import ARCHIVE, open_table, table_bytes
from lima.curate.stackexchange.headers import COLUMNS, Headers, Scan
from lima.curate.stackexchange.pairs import Pairs, pair
from lima.curate.stackexchange.posts import read_headers
from lima.curate.stackexchange.sites import Exchange, ExchangeTable, UnknownSites
from lima.errors import LimaError
from lima.files import replacing, text_hash

POSTS = re.compile(r"(?:^|[-_.])posts(?:\.xml(?:\.gz|\.zst)?|\.7z(?:\.001)?)$", re.IGNORECASE)
OTHER_TABLE = re.compile(
    r"[-_.](?:badges|comments|posthistory|postlinks|tags|users|votes)\.7z(?:\.001)?$", re.IGNORECASE
)
COMPRESSED = (".gz", ".zst", ".7z", ".001")
EDGE_BYTES = 1 << 16
GUESSED_RATIO = 4


@dataclass(frozen=True)
class Dump:
    """The files of one site; tables inside one archive have the archive's path."""

    exchange: Exchange
    posts: Path
    users: Path | None = None
    comments: Path | None = None

    @property
    def compressed(self) -> bool:
        """Whether the posts have to be decoded before they can be read."""
        return self.posts.suffix.lower() in COMPRESSED

    def table(self, name: str, scratch: Path | None) -> Path | None:
        """Where a further table (``users``, ``comments``) can be read: as it is, or spooled from the archive."""
        path: Path | None = getattr(self, name)
        if path is None or not ARCHIVE.search(path.name):
            return path
        spooled = None if scratch is None else scratch / f"{self.exchange.name}-{name}.xml.zst"
        return spooled if spooled and spooled.exists() else None


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
    rows_file: Path
    """Where the offsets of ``pairs`` point to."""


def find_dumps(
    folder: Path,
    table: ExchangeTable,
    site: str | None,
    include_meta: bool,
    *,
    unknown: UnknownSites = "skip",
    warn: Callable[[str], None] = console.warn,
) -> list[Dump]:
    """The dumps in a folder (or the one that a file or folder is), by exchange name.

    Args:
        folder: a ``Posts.xml``, a folder that holds one, or a folder of such folders.
        table: the known exchanges.
        site: the exchange, for a single dump whose folder does not tell.
        include_meta: whether the sites about sites are wanted.
        unknown: what becomes of dumps of sites that the table has not.
        warn: takes one warning that names them all.

    Raises:
        LimaError: nothing there, no known exchange, the same exchange twice.
    """
    files = _post_files(folder)
    if not files:
        raise LimaError(f"{folder}: no Posts.xml here or in a folder below. Is this where the dumps are?")
    if site and len(files) > 1:
        raise LimaError(f"{folder}: --site names one exchange, but there are {len(files)} dumps here.")
    dumps: dict[str, Dump] = {}
    exchanges, warning = table.resolve({str(posts): site or _site_text(posts) for posts in files}, unknown)
    if warning:
        warn(f"{folder}: {warning}")
    for posts in files:
        exchange = exchanges.get(str(posts))
        if exchange is None or (exchange.meta and not include_meta):
            continue
        if before := dumps.get(exchange.name):
            raise LimaError(
                f"{posts}: a second dump of {exchange.name!r}, besides {before.posts}. Remove one of them."
            )
        dumps[exchange.name] = Dump(exchange, posts, _beside(posts, "users"), _beside(posts, "comments"))
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
    dump: Dump,
    scan: Scan,
    scratch: Path | None = None,
    advance: Callable[[int], None] | None = None,
    *,
    also: Collection[Scan] = (),
) -> Index:
    """Read the headers of a dump, or take them from the scratch folder when they were read before.

    Args:
        dump: which one.
        scan: what is wanted.
        scratch: a folder; without it the rows of a compressed dump cannot be looked up afterwards.
        advance: called with the number of bytes read since the last call.
        also: what others will want of the same dump, so that it is read once.
    """
    if scratch is None:
        with _open_posts(dump, None) as stream:
            return _index(read_headers(stream, dump.posts, scan, advance), dump.posts)
    others = sorted((other for other in {scan, *also} if other.drop_closed == scan.drop_closed), key=repr)
    widest = scan.widest(others)
    name = f"{dump.exchange.name}-{text_hash(fingerprint(dump.posts), repr(widest))}"
    rows_file = scratch / f"{name}.rows" if dump.compressed else dump.posts
    kept = {other: scratch / f"{name}-{text_hash(repr(other))}.npz" for other in others}
    if kept[scan].exists():
        if advance:
            advance(posts_bytes(dump))
        return _load(kept[scan], rows_file)
    headers = _read_headers(dump, widest, scratch, rows_file, advance)
    for other in sorted(
        others, key=lambda other: other == scan
    ):  # one's own last: it is the sign that all is there
        found = _index(headers.narrowed(other), rows_file)
        _save(kept[other], found)
    return found


def _read_headers(
    dump: Dump, scan: Scan, scratch: Path, rows_file: Path, advance: Callable[[int], None] | None
) -> Headers:
    """The header pass; rows of a compressed dump that may be wanted are copied on the way."""
    with _open_posts(dump, scratch) as stream:
        if not dump.compressed:
            return read_headers(stream, dump.posts, scan, advance)
        with replacing(rows_file) as rows:
            return read_headers(stream, dump.posts, scan, advance, copy=rows)


def posts_bytes(dump: Dump) -> int:
    """The size of the posts as XML, exact or, for .gz and .zst, a guess for the progress bar."""
    if ARCHIVE.search(dump.posts.name):
        return table_bytes(dump.posts, "Posts.xml")
    return dump.posts.stat().st_size * (GUESSED_RATIO if dump.compressed else 1)


@contextmanager
def _open_posts(dump: Dump, scratch: Path | None) -> Iterator[IO[bytes]]:
    """The XML of a dump as a stream of bytes; other tables of its archive go to the scratch folder meanwhile."""
    if not ARCHIVE.search(dump.posts.name):
        with open_bytes(dump.posts) as stream:
            yield stream
        return
    name = dump.exchange.name
    spool = (
        {}
        if scratch is None
        else {f"{t}.xml": scratch / f"{name}-{t}.xml.zst" for t in ("comments", "users")}
    )
    with open_table(dump.posts, "Posts.xml", spool) as stream:
        yield stream


def _index(headers: Headers, rows_file: Path) -> Index:
    return Index(
        pairs=pair(headers),
        rows=headers.rows,
        questions=headers.question_count,
        answers=headers.answer_count,
        closed=headers.closed,
        low_answers=headers.low_answers,
        malformed=tuple(headers.malformed),
        rows_file=rows_file,
    )


def _post_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.exists():
        raise LimaError(f"{folder}: no such file or folder. --input is where the dumps are.")
    return sorted(path for path in folder.rglob("*") if path.is_file() and _has_posts(path))


def _has_posts(path: Path) -> bool:
    """By the name alone: a table of posts, or an archive that is not said to hold another table."""
    return bool(POSTS.search(path.name) or (ARCHIVE.search(path.name) and not OTHER_TABLE.search(path.name)))


def _site_text(posts: Path) -> str:
    """What names the site: ``cooking.stackexchange.com-Posts.xml``, ``cooking.stackexchange.com.7z``, or else the folder."""
    prefix = ARCHIVE.sub("", POSTS.sub("", posts.name))
    return prefix if prefix and prefix != posts.name else posts.resolve().parent.name


def _beside(posts: Path, table: str) -> Path | None:
    """Another table of the same dump, in any case and compression; the archive itself when it has them all."""
    if ARCHIVE.search(posts.name) and not POSTS.search(posts.name):
        return posts
    site = POSTS.sub("", posts.name).lower()
    stems = {f"{table}.xml", f"{site}-{table}.xml"} if site else {f"{table}.xml"}
    names = {f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz", ".zst")}
    return next((path for path in sorted(posts.parent.iterdir()) if path.name.lower() in names), None)


def _save(path: Path, found: Index) -> None:
    pairs = found.pairs
    columns = {f"question_{name}": pairs.question[name] for name in COLUMNS}
    columns |= {f"answer_{name}": pairs.answer[name] for name in COLUMNS}
    counts = [found.rows, found.questions, found.answers, found.closed, found.low_answers]
    counts += [pairs.unanswered, pairs.orphans, pairs.duplicates, pairs.fabricated]
    columns |= {"counts": np.array(counts), "malformed": np.array(found.malformed, dtype=np.int64)}
    with replacing(path) as stream:
        np.savez(stream, allow_pickle=False, **columns)


def _load(path: Path, rows_file: Path) -> Index:
    with np.load(path, allow_pickle=False) as data:
        rows, questions, answers, closed, low, *of_pairs = data["counts"].tolist()
        unanswered, orphans, duplicates, fabricated = of_pairs
        pairs = Pairs(
            question={name: data[f"question_{name}"] for name in COLUMNS},
            answer={name: data[f"answer_{name}"] for name in COLUMNS},
            unanswered=unanswered,
            orphans=orphans,
            duplicates=duplicates,
            fabricated=fabricated,
        )
        malformed = tuple(data["malformed"].tolist())
        return Index(pairs, rows, questions, answers, closed, low, malformed, rows_file)
