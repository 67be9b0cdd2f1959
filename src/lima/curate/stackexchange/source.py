"""Stack Exchange dumps -> questions with their best answer (paper, section 2.1).

Which exchanges there are, and where the files of each lie; the headers of all posts (`reading`); and the bodies of few, best
question first, when the sampler asks (`pairs`).

The shipped table ``exchanges.tsv`` is our reading of the paper's 75 STEM, 99 other and 5 dropped niche exchanges, and the sites
that the paper does not count, so marked.
"""

from __future__ import annotations

import csv
import difflib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from lima import console
from lima.curate.candidate import Stratum, generator
from lima.curate.reading.compressed import BUFFER_BYTES, create_bytes, open_bytes
from lima.curate.reading.lines import bounded_lines
from lima.curate.sources.base import Context, UnknownSites
from lima.curate.stackexchange.archives import ARCHIVE, table_bytes, unpack
from lima.curate.stackexchange.pairs import Exchange, ExchangeSet, PairSettings, RawPair
from lima.curate.stackexchange.reading import (
    Headers,
    Pairs,
    decode_row,
    load_headers,
    pair,
    raw_row,
    read_headers,
    save_headers,
)
from lima.errors import LimaError
from lima.files import files_below, fingerprint, text_hash
from lima.records import Example, Reject

POSTS = re.compile(r"(?:^|[-_.])posts(?:\.xml(?:\.gz|\.zst)?|\.7z(?:\.001)?)$", re.IGNORECASE)
OTHER_TABLE = re.compile(
    r"[-_.](?:badges|comments|posthistory|postlinks|tags|users|votes)\.7z(?:\.001)?$", re.IGNORECASE
)
COMPRESSED = (".gz", ".zst", ".7z", ".001")
GUESSED_RATIO = 4
"""XML by its compressed size."""

USER = re.compile(rb'\s*<row Id="(-?\d+)"')
PROFILE_NUMBER = re.compile(r"/users/(-?\d+)$")


class StackExchange(PairSettings):
    """Questions whose title stands alone, with their top answer, over many exchanges."""

    kind: Literal["stackexchange"] = "stackexchange"
    """Which source this is."""
    sets: tuple[ExchangeSet, ...] = ("stem", "other")
    """Which sets of exchanges to draw from. [paper: 75 STEM, 99 other; the 5 niche ones dropped]"""
    exchange_table: Path | None = None
    """Your own table of exchanges (columns exchange, set, old_dump_name), instead of the shipped one."""
    extra_exchanges: dict[str, ExchangeSet] = Field(default_factory=dict)
    """Further exchanges and their set, such as your own forum: ``{forum: other}``."""
    order: Literal["score", "random", "longest"] = "score"
    """Which questions of an exchange come first. [paper: the highest score]"""
    drop_closed: bool = True
    """Leave closed questions out."""

    def strata(self, context: Context) -> list[Stratum]:
        """One stratum an exchange; its size is the number of eligible questions."""
        dumps = [dump for dump in self._dumps(context) if dump.exchange.set in self.sets]
        strata, empty = [], []
        for dump, headers in self._headers(dumps, context):
            pairs = pair(headers, self.drop_closed)
            self._count(headers, pairs, dump.exchange.name, context)
            strata.append(self._stratum(dump, pairs, context))
            empty += [] if headers.rows else [dump.posts]
        if dumps and len(empty) == len(dumps):
            raise LimaError(
                f'{empty[0]}: no answers (PostTypeId="2"), no rows at all. Is this the Posts table?'
            )
        for path in empty:
            console.warn(f"{path}: an empty site, which gives nothing.")
        return strata

    def complete(self, examples: Sequence[Example], context: Context) -> list[Example]:
        """Put display names in the place of user numbers, where the dump has its ``Users.xml``."""
        users = {dump.exchange.name: dump.table("users", context.scratch) for dump in self._dumps(context)}
        names: dict[str, dict[str, str]] = {}
        for site, path in users.items():
            numbers = {n for e in examples if e.meta.category == site for n in _user_numbers(e) if n}
            names[site] = _display_names(path, numbers) if path and numbers else {}
        return [_renamed(example, names.get(example.meta.category or "", {})) for example in examples]

    def _dumps(self, context: Context) -> list[Dump]:
        table = ExchangeTable.read(self.exchange_table, self.extra_exchanges)
        return find_dumps(
            context.path,
            table,
            context.site,
            context.include_meta,
            unknown=context.unknown_sites,
            warn=context.warn,
        )

    def _headers(self, dumps: Sequence[Dump], context: Context) -> Iterator[tuple[Dump, Headers]]:
        """The headers of every dump, read by the workers, the longest first."""
        if not dumps:
            return
        sizes = {dump: dump.size() for dump in dumps}
        ordered = sorted(dumps, key=lambda dump: (-sizes[dump], dump.exchange.name))
        with console.progress(f"{context.name}: headers", sum(sizes.values()) / 1e6, "MB") as bar:
            advance, here = _advance(bar), context.map is map
            header_pass = HeaderPass(context.scratch, self.rules.score_min, advance if here else None)
            for dump, problem in zip(ordered, context.map(header_pass, ordered), strict=True):
                if problem:
                    raise LimaError(problem)
                if not here:
                    advance(sizes[dump])
        for dump in dumps:
            yield dump, load_headers(header_pass.kept(dump))

    def _stratum(self, dump: Dump, pairs: Pairs, context: Context) -> Stratum:
        places = self._order(dump, pairs, context)
        return Stratum(dump.exchange.name, len(places), self._raw_pairs(dump, pairs, places, context))

    def _count(self, headers: Headers, pairs: Pairs, site: str, context: Context) -> None:
        count, closed = context.count(site), len(headers.closed) if self.drop_closed else 0
        count.read = headers.question_count
        count.eligible = len(pairs)
        count.dropped_unread.update(closed=closed, score=pairs.unanswered)
        for line in headers.malformed:
            name = f"stackexchange/{site}/line-{line}"
            context.reject(Reject(id=name, rule="malformed", reason="the line is no XML"))
        if pairs.fabricated:
            count.dropped_unread["fabricated"] = pairs.fabricated
        if repeated := headers.question_count - closed - pairs.unanswered - len(pairs) - pairs.fabricated:
            count.dropped_unread["duplicate_id"] = repeated
        count.notes.update(
            rows=headers.rows,
            answers=headers.answer_count,
            answers_below_score=headers.low_answers,
            answers_to_dropped_questions=pairs.orphans,
            malformed_lines=len(headers.malformed),
        )

    def _order(self, dump: Dump, pairs: Pairs, context: Context) -> Sequence[int]:
        """Places of pairs in the order in which they are offered."""
        order = np.arange(len(pairs))
        if self.order == "random":
            random = generator(context.seed, context.name, "order", dump.exchange.name)
            order = np.argsort(pairs.questions["id"])[random.permutation(len(pairs))]
        elif self.order == "longest":
            order = np.lexsort((pairs.questions["id"], -pairs.answers["length"]))
        places: list[int] = order.tolist()
        return places

    def _raw_pairs(
        self, dump: Dump, pairs: Pairs, places: Iterable[int], context: Context
    ) -> Iterator[RawPair]:
        """Questions with their answers, which are read when they are asked for."""
        with dump.posts_file(context.scratch).open("rb") as file:
            for place in places:
                posts = [
                    (int(row["id"]), raw_row(file, row))
                    for row in (pairs.questions[place], pairs.answers[place])
                ]
                yield RawPair(self, dump.exchange, context, *posts)


@dataclass(frozen=True)
class HeaderPass:
    """Reads the headers of a dump and keeps them in the scratch folder: a resumed run does not read the dump again."""

    scratch: Path
    floor: int | None
    """The lowest score of an answer."""
    advance: Callable[[int], None] | None = None
    """Called with the number of bytes read since the last call; in this process only."""

    def __call__(self, dump: Dump) -> str | None:
        """Read and keep them. Only the text of a problem, if any, comes back from another process."""
        kept = self.kept(dump)
        if kept.exists():
            if self.advance:
                self.advance(dump.size())
            return None
        try:
            file = dump.posts_file(self.scratch, self.advance)
            with file.open("rb", buffering=BUFFER_BYTES) as stream:
                advance = None if dump.compressed else self.advance
                save_headers(kept, read_headers(stream, dump.posts, self.floor, advance))
        except LimaError as error:
            return str(error)
        return None

    def kept(self, dump: Dump) -> Path:
        """Where the headers of a dump are, once they are read."""
        key = text_hash(fingerprint(dump.posts), str(self.floor))
        return self.scratch / f"{dump.exchange.name}-{key}.npz"


def _display_names(users: Path, numbers: set[str]) -> dict[str, str]:
    """The names of these users in a ``Users.xml``."""
    names: dict[str, str] = {}
    with open_bytes(users) as stream:
        for line in bounded_lines(stream, users):
            found = USER.match(line)
            if found and (number := found[1].decode()) in numbers:
                row = decode_row(line, int(number)) or {}
                names[number] = row.get("DisplayName") or f"user {number}"
    return names


def _user_numbers(example: Example) -> list[str | None]:
    profiles = (example.meta.model_extra or {}).get("profiles", [])
    found = [PROFILE_NUMBER.search(profile or "") for profile in profiles]
    return [match[1] if match else None for match in found]


def _renamed(example: Example, names: Mapping[str, str]) -> Example:
    pairs = zip(example.meta.authors, _user_numbers(example), strict=True)
    authors = tuple(names.get(number, shown) if number else shown for shown, number in pairs)
    return example.model_copy(update={"meta": example.meta.model_copy(update={"authors": authors})})


def _advance(bar: console.Tracker) -> Callable[[int], None]:
    """Moves the bar by bytes and shows how fast they are read."""
    began, total = time.monotonic(), 0

    def advance(read: int) -> None:
        nonlocal total
        total += read
        rate = total / 1e6 / max(time.monotonic() - began, 1e-3)
        bar.advance(read / 1e6, note=f"{rate:,.0f} MB/s")

    return advance


@dataclass(frozen=True)
class ExchangeTable:
    """The known exchanges by name, and the names that they had in old dumps."""

    sets: Mapping[str, ExchangeSet]
    renamed: Mapping[str, str]

    @classmethod
    def read(cls, path: Path | None = None, extra: Mapping[str, ExchangeSet] | None = None) -> ExchangeTable:
        """The shipped table or a user's, with further exchanges of a recipe."""
        shipped = resources.files("lima.curate.stackexchange").joinpath("exchanges.tsv")
        text = path.read_text(encoding="utf-8") if path else shipped.read_text(encoding="utf-8")
        sets: dict[str, ExchangeSet] = {}
        renamed: dict[str, str] = {}
        for number, row in enumerate(csv.DictReader(text.splitlines(), delimiter="\t"), start=2):
            name, kind = row.get("exchange"), row.get("set")
            if not name or kind not in ("stem", "other", "niche"):
                raise LimaError(
                    f"{path}:{number}: expected an exchange and stem, other or niche, tab-separated."
                )
            sets[name] = kind  # type: ignore[assignment]
            if row.get("old_dump_name"):
                renamed[row["old_dump_name"]] = name
        return cls(sets | dict(extra or {}), renamed)

    def find(self, text: str) -> Exchange | None:
        """The exchange of a folder, archive or host name, such as ``beer_2017`` or ``cooking.stackexchange.com``."""
        name = text.lower().strip()
        for form in (name, re.sub(r"[_-](?:19|20)\d\d$", "", name)):
            base, meta = _without_meta(_without_domain(form))
            if base == "meta":
                return Exchange("meta", "other", meta=True)
            for candidate in (base, base.replace("_", "."), base.removesuffix(".net")):
                candidate = self.renamed.get(candidate, candidate)
                if candidate in self.sets:
                    return Exchange(f"{candidate}.meta" if meta else candidate, self.sets[candidate], meta)
        return None

    def resolve(self, named: Mapping[str, str], unknown: UnknownSites) -> tuple[dict[str, Exchange], str]:
        """The exchanges of several dumps, given the name of each by its place.

        Returns:
            Exchanges by place, and a warning about those that were skipped; empty for none.

        Raises:
            LimaError: none is known, or with ``stop`` one is not; all of them are named.
        """
        found = {place: self.find(text) for place, text in named.items()}
        if unknown == "other":
            found = {place: exchange or _new(named[place]) for place, exchange in found.items()}
        known = {place: exchange for place, exchange in found.items() if exchange is not None}
        missing = [place for place, exchange in found.items() if exchange is None]
        if not missing:
            return known, ""
        if len(named) == 1:
            self.get(named[missing[0]], missing[0])
        names = ", ".join(sorted(named[place] for place in missing))
        text = (
            f"no table of exchanges has these sites: {names}. Take them with --unknown-sites other, leave them out with "
            "--unknown-sites skip, or say their set: extra_exchanges in the recipe."
        )
        if unknown == "stop" or not known:
            raise LimaError(text)
        return known, f"left out, for {text}"

    def get(self, text: str, origin: str) -> Exchange:
        """As `find`, or an error that lists near names.

        Raises:
            LimaError: the name is not in the table; the message says how to name the site.
        """
        if found := self.find(text):
            return found
        base, _ = _without_meta(_without_domain(re.sub(r"[_-](?:19|20)\d\d$", "", text.lower())))
        near = difflib.get_close_matches(base, [*self.sets, *self.renamed], n=4, cutoff=0.5)
        hint = f"Near names: {', '.join(near)}. " if near else ""
        raise LimaError(
            f"{origin}: no exchange is called {text!r}. {hint}Say which it is with --site NAME, rename the folder, "
            "take it as it is with --unknown-sites other, or add it to extra_exchanges in the recipe."
        )


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

    def size(self) -> int:
        """Bytes of the posts as XML, exact or, for .gz and .zst, a guess for the progress bar."""
        if ARCHIVE.search(self.posts.name):
            return table_bytes(self.posts, "posts.xml")
        return self.posts.stat().st_size * (GUESSED_RATIO if self.compressed else 1)

    def posts_file(self, scratch: Path, advance: Callable[[int], None] | None = None) -> Path:
        """The ``Posts.xml``, whose rows can be looked up: as it is, or decoded into the scratch folder, once.

        Further tables of an archive come with it. ``advance`` is called with the number of bytes decoded since the last call.
        """
        if not self.compressed:
            return self.posts
        place = scratch / f"{self.exchange.name}-{fingerprint(self.posts)}.xml"
        if place.exists():
            return place
        if ARCHIVE.search(self.posts.name):
            others = {f"{table}.xml": self._unpacked(table, scratch) for table in ("users", "comments")}
            unpack(self.posts, {"posts.xml": place, **others}, advance)
            return place
        with open_bytes(self.posts) as stream, create_bytes(place) as decoded:
            while block := stream.read(BUFFER_BYTES):
                decoded.write(block)
                if advance:
                    advance(len(block))
        return place

    def table(self, name: str, scratch: Path) -> Path | None:
        """Where ``users`` or ``comments`` can be read; None where the dump has no such table."""
        path: Path | None = getattr(self, name)
        if path is not None and ARCHIVE.search(path.name):
            path = self._unpacked(name, scratch)
        return path if path and path.exists() else None

    def _unpacked(self, table: str, scratch: Path) -> Path:
        return scratch / f"{self.exchange.name}-{table}.xml.zst"


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
        site: the exchange, for a single dump whose folder does not name it.
        include_meta: whether the sites about sites are wanted.
        unknown: what becomes of dumps of sites that the table has not.
        warn: takes one warning that names them all, and one that names the meta sites left out.

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
    wanted = {text: exchange for text, exchange in exchanges.items() if include_meta or not exchange.meta}
    for posts in files:
        exchange = wanted.get(str(posts))
        if exchange is None:
            continue
        if before := dumps.get(exchange.name):
            raise LimaError(
                f"{posts}: a second dump of {exchange.name!r}, besides {before.posts}. Remove one of them."
            )
        dumps[exchange.name] = Dump(exchange, posts, _beside(posts, "users"), _beside(posts, "comments"))
    if not dumps:
        raise LimaError(f"{folder}: only meta sites here ({len(files)}). Take them with --include-meta.")
    if left := sorted({exchange.name for exchange in exchanges.values()} - {e.name for e in wanted.values()}):
        warn(f"{folder}: meta sites are left out: {', '.join(left)}. Take them with --include-meta.")
    return [dumps[name] for name in sorted(dumps)]


def _new(text: str) -> Exchange:
    """A site that is in no table, under the name that its dump has."""
    base, meta = _without_meta(_without_domain(re.sub(r"[_-](?:19|20)\d\d$", "", text.lower().strip())))
    return Exchange(f"{base}.meta" if meta else base, "other", meta)


def _without_domain(name: str) -> str:
    name = re.sub(r"[-_.]posts$", "", name)
    if name in ("meta.stackexchange.com", "meta.stackexchange"):
        return "meta"
    name = re.sub(r"\.stackexchange(?:\.com)?$", "", name)
    return re.sub(r"\.com$", "", name)


def _without_meta(name: str) -> tuple[str, bool]:
    """``meta.superuser``, ``bicycles.meta``, ``bicycles_meta``, ``es.meta.stackoverflow`` -> base, True."""
    if name == "meta":
        return name, True
    base = re.sub(r"^meta[._]|[._]meta(?=[._]|$)", "", name)
    return base, base != name


def _post_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.exists():
        raise LimaError(f"{folder}: no such file or folder. --input is where the dumps are.")
    return [path for path in files_below(folder) if _has_posts(path)]


def _has_posts(path: Path) -> bool:
    """By the name alone: a table of posts, or an archive whose name does not speak of another table."""
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
