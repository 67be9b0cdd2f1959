"""Stack Exchange dumps -> questions with their best answer (paper, section 2.1).

The headers of all posts are read first (`reading`); the bodies of few, best question first, when the sampler asks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lima import console
from lima.curate.candidate import Candidate, Stratum, chance, generator, single_turn
from lima.curate.fit import TITLE, Form, choose_prompt
from lima.curate.reading.compressed import BUFFER_BYTES, open_bytes
from lima.curate.reading.lines import bounded_lines
from lima.curate.sources.base import Context, SourceSettings
from lima.curate.stackexchange.reading import (
    STRIPPED,
    Headers,
    Pairs,
    decode_row,
    load_headers,
    pair,
    raw_row,
    read_headers,
    save_headers,
)
from lima.curate.stackexchange.sites import Dump, Exchange, ExchangeSet, ExchangeTable, find_dumps
from lima.curate.text.blocks import MAX_DEPTH, QUOTE
from lima.curate.text.clean import Cleaned, clean
from lima.errors import LimaError
from lima.files import fingerprint, text_hash
from lima.records import Example, Message, Reject

MAX_BODY_CHARACTERS = 1_000_000
"""The sites allow 30,000 characters of Markdown; a longer body is an attack on the cleaner."""
EMPTY = "no text is left after cleaning"
STYLE_NAMES = {"markdown": "HTML to Markdown", "lima": "HTML to plain text"}
LICENCE_DATES = (("2011-04-08", "CC BY-SA 2.5"), ("2018-05-02", "CC BY-SA 3.0"))
"""Posts last changed before the date stand under the licence; later ones under CC BY-SA 4.0."""
USER = re.compile(rb'\s*<row Id="(-?\d+)"')
PROFILE_NUMBER = re.compile(r"/users/(-?\d+)$")

WORDS = re.compile(rb"&gt;\s*+[A-Za-z]++ [A-Za-z]")
"""Words behind a tag: such a body is not empty, whatever cleaning takes away."""
DROPPED = re.compile(rb"&lt;(?:s|del|strike|script|style)\b")
"""Tags whose text goes with them."""
MARKER = 5
"""The widest marker of a list with under 1,000 items: ``999. ``."""
FENCES = 8
"""A code block that is opened and never closed has fences longer than its tag."""

Post = Mapping[str, str]
"""The attributes of a row."""


class StackExchange(SourceSettings):
    """Questions whose title stands alone, with their top answer, over many exchanges."""

    kind: Literal["stackexchange"] = "stackexchange"
    """Which source this is."""
    sets: tuple[ExchangeSet, ...] = ("stem", "other")
    """Which sets of exchanges to draw from. [paper: 75 STEM, 99 other; the 5 niche ones dropped]"""
    exchange_table: Path | None = None
    """Your own table of exchanges (columns exchange, set, old_dump_name), instead of the shipped one."""
    extra_exchanges: dict[str, ExchangeSet] = Field(default_factory=dict)
    """Further exchanges and their set, such as your own forum: ``{forum: other}``."""
    title_prompts: float = Field(default=0.5, ge=0, le=1)
    """Share of prompts that are the title; the others are the description. [paper: at random; ours: 1/2]"""
    description_form: Form = "auto"
    """How a description is shown: ``description`` alone, ``both`` with its title above it, or ``auto``, with the title
    where its subject stands there alone. [ours]"""
    order: Literal["score", "random", "longest"] = "score"
    """Which questions of an exchange come first. [paper: the highest score]"""
    drop_closed: bool = True
    """Leave closed questions out."""
    drop_community_wiki: bool = False
    """Leave answers out that belong to the community instead of an author."""

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


@dataclass(frozen=True)
class RawPair:
    """A question and its answer: the ids, and the bytes of the rows."""

    settings: StackExchange
    exchange: Exchange
    context: Context
    question: tuple[int, bytes]
    answer: tuple[int, bytes]

    @property
    def id(self) -> str:
        """The id of the example."""
        return f"stackexchange/{self.exchange.name}/{self.question[0]}"

    def title(self) -> str | None:
        """The question's; None in unusual forms, and where the answer may be dropped for another reason first."""
        title = _attribute(self.question[1], b"Title")
        return None if title is None or self._body() is None else _unescaped(title)

    def longest(self) -> int | None:
        """See `longest_text`; None in the same cases."""
        body = self._body()
        return None if body is None else longest_text(body)

    def _body(self) -> bytes | None:
        """The answer's body, still escaped; None where cleaning may leave nothing of it, or community wikis are dropped."""
        body = None if self.settings.drop_community_wiki else _attribute(self.answer[1], b"Body")
        return None if body is None or not WORDS.search(body) or DROPPED.search(body) else body

    def decode(self) -> Candidate | Reject:
        """The candidate, or why there is none."""
        posts = self.posts()
        return posts if isinstance(posts, Reject) else self.candidate(*posts)

    def posts(self) -> tuple[Post, Post] | Reject:
        """The attributes of both rows, or the reason why they are dropped."""
        question, answer = (decode_row(raw, number) for number, raw in (self.question, self.answer))
        if question is None or answer is None:
            return self._reject("malformed", "its row, or its answer's, is no XML")
        if self.settings.drop_community_wiki and "CommunityOwnedDate" in answer:
            return self._reject("community_wiki", "the answer is community wiki")
        if max(len(post.get("Body", "")) for post in (question, answer)) > MAX_BODY_CHARACTERS:
            return self._reject("oversized", f"over {MAX_BODY_CHARACTERS} characters")
        return question, answer

    def candidate(self, question: Post, answer: Post) -> Candidate | Reject:
        """HTML to text. The title stands as the prompt until `Candidate.choose` is called."""
        title = " ".join(question.get("Title", "").split())
        cleaned = clean(
            answer.get("Body", ""), self.context.style, trim=self.settings.rules.trim, asked=title
        )
        if not cleaned.text:
            return self._reject("empty", EMPTY)
        meta = self._meta(question, answer, title, cleaned.steps)
        candidate = Candidate(
            single_turn(self.id, "stackexchange", title or "?", cleaned.text, meta),
            answer=cleaned.text,
            prose=cleaned.prose,
            holes=cleaned.holes,
            title=title,
            recency=self.answer[0],
            choose=partial(self._choose, cleaned, question.get("Body", "")),
            group=self._people(question, answer),
        )
        return candidate if title else self._choose(cleaned, question.get("Body", ""), candidate)

    def _choose(self, answer: Cleaned, body: str, candidate: Candidate) -> Candidate | Reject:
        """Title or description as the prompt, by a seeded choice, as far as the answer fits it (`curate.fit`)."""
        candidate = replace(candidate, choose=None)
        title, example, rules = candidate.title or "", candidate.example, self.settings.rules
        wants_title = chance(self.context.seed, "prompt", self.id) < self.settings.title_prompts
        if title and wants_title and not rules.fits_prompt:
            return candidate
        description = clean(body, self.context.style, trim=False, closing=rules.trim)
        if not description.text and not title:
            return self._reject("empty", EMPTY)
        form = self.settings.description_form
        prompt = choose_prompt(title, description, answer, rules, form=form, wants_title=wants_title)
        cuts = [] if prompt.step == TITLE else [f"question, {step}" for step in description.steps]
        steps = (*(step for step in example.meta.transforms if step != TITLE), *cuts, prompt.step)
        changes = {
            "messages": (Message(role="user", content=prompt.text), *example.messages[1:]),
            "meta": example.meta.model_copy(update={"transforms": steps}),
        }
        return replace(candidate, example=example.model_copy(update=changes), misfit=prompt.misfit)

    def _meta(self, question: Post, answer: Post, title: str, cuts: Sequence[str]) -> dict[str, Any]:
        host, posts = self.exchange.host, (question, answer)
        numbers = [post.get("OwnerUserId") for post in posts]
        return {
            "url": f"https://{host}/questions/{question['Id']}",
            "authors": [_author(post) for post in posts],
            "licence": " and ".join(dict.fromkeys(map(licence, posts))),
            "score": int(answer["Score"]) if answer.get("Score") else None,
            "category": self.exchange.name,
            "transforms": [
                STYLE_NAMES[self.context.style],
                "links and images removed",
                *([f"{STRIPPED} removed"] if any(STRIPPED in post for post in posts) else []),
                *cuts,
                TITLE,
            ],
            "title": title,
            "set": self.exchange.set,
            "topics": _topics(question.get("Tags", "")),
            "answer_url": f"https://{host}/a/{answer['Id']}",
            "profiles": [f"https://{host}/users/{number}" if number else None for number in numbers],
        }

    def _people(self, question: Post, answer: Post) -> str:
        """Questions of one asker answered by one person stay in one split."""
        people = [post.get("OwnerUserId") for post in (question, answer)]
        return f"stackexchange/{self.exchange.name}:{people[0]}:{people[1]}" if all(people) else self.id

    def _reject(self, rule: str, reason: str) -> Reject:
        return Reject(id=self.id, rule=rule, reason=reason)


def longest_text(body: bytes) -> int:
    """An upper bound on the characters that cleaning gives, from a body still escaped as an attribute of XML.

    It is cheap and rough: what it calls too short is too short, so most short answers need no cleaning.

    A tag gives fewer characters than the eight of its escaped brackets; an escaped character gives one; a bar in a table
    gives two; and within lists and quotations each line may be indented.
    """
    newlines, tags = body.count(b"&#xA;"), body.count(b"&lt;")
    size = len(body) - 4 * newlines - 4 * body.count(b"&amp;") - 5 * body.count(b"&quot;") + FENCES
    size += body.count(b"|")
    quotes = body.count(b"&lt;blockquote")
    lists = body.count(b"&lt;ul") + body.count(b"&lt;ol")
    if b"start" in body and lists:  # a marker may have any number of digits
        return len(body) * (MARKER * MAX_DEPTH + FENCES)
    indent = len(QUOTE) * min(quotes, MAX_DEPTH) + MARKER * min(lists, MAX_DEPTH + 1)
    return size + indent * (newlines + tags + 1)


def licence(post: Post) -> str:
    """The licence of a post's shown revision: as stated since 2020, else by the date of its last edit."""
    if stated := post.get("ContentLicense"):
        return stated
    date = post.get("LastEditDate") or post.get("CreationDate") or "9999"
    return next((name for end, name in LICENCE_DATES if date < end), "CC BY-SA 4.0")


def _attribute(raw: bytes, name: bytes) -> bytes | None:
    """The escaped value of an attribute; None where a plain search could be wrong."""
    start = raw.find(b" " + name + b'="') + len(name) + 3
    end = raw.find(b'"', start)
    if start < len(name) + 3 or end < 0 or b"='" in raw or b"= '" in raw:
        return None
    return raw[start:end]


def _unescaped(value: bytes) -> str:
    row = decode_row(b'<row Id="0" v="' + value + b'" />', 0) if b"&" in value else None
    return row["v"] if row else value.decode(errors="replace")


def _author(post: Post) -> str:
    """The owner as the row tells: a number, a name left by a deleted account, or nothing."""
    number, name = post.get("OwnerUserId"), post.get("OwnerDisplayName")
    return name or (f"user {number}" if number else "a deleted account")


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


def _topics(tags: str) -> list[str]:
    """Old dumps write ``<a><b>``, those since 2024 ``|a|b|``."""
    return [tag for tag in tags.replace("<", "|").replace(">", "|").split("|") if tag]


def _advance(bar: console.Tracker) -> Callable[[int], None]:
    """Moves the bar by bytes and shows how fast they are read."""
    began, total = time.monotonic(), 0

    def advance(read: int) -> None:
        nonlocal total
        total += read
        rate = total / 1e6 / max(time.monotonic() - began, 1e-3)
        bar.advance(read / 1e6, note=f"{rate:,.0f} MB/s")

    return advance
