"""A question with its answer, as two raw rows -> a candidate: decode, clean, choose title or description as the prompt.

Where the prompt is the title alone, nobody sees the description; "your second example" then refers to nothing. So an answer that
quotes or addresses the description needs it as its prompt, and a description whose subject is named in the title alone takes the
title along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from pydantic import Field

from lima.curate.candidate import Candidate, chance, single_turn
from lima.curate.rules import RuleSettings, description_problem
from lima.curate.sources.base import Context, SourceSettings
from lima.curate.stackexchange.reading import STRIPPED, decode_row
from lima.curate.text.blocks import MAX_DEPTH, QUOTE, sentences, words_of
from lima.curate.text.clean import Cleaned, clean
from lima.curate.text.phrases import SPOKEN
from lima.curate.text.prompts import (
    ABOVE,
    ADDRESSING,
    BACK_TO_TITLE,
    CODE_NAME,
    MANY,
    NAME,
    OBJECT,
    OPEN_QUESTION,
    OPENING,
    PARTICULAR,
    PRONOUN_START,
    QUESTION_START,
    SENTENCE_START,
    STEM,
    STOPWORDS,
    THEY_START,
    USUAL_NAMES,
    YES_OR_NO,
    YOURS,
)
from lima.records import Message, Reject

MAX_BODY_CHARACTERS = 1_000_000
"""The sites allow 30,000 characters of Markdown; a longer body is an attack on the cleaner."""
EMPTY = "no text is left after cleaning"
STYLE_NAMES = {"markdown": "HTML to Markdown", "lima": "HTML to plain text"}
LICENCE_DATES = (("2011-04-08", "CC BY-SA 2.5"), ("2018-05-02", "CC BY-SA 3.0"))
"""Posts last changed before the date stand under the licence; later ones under CC BY-SA 4.0."""
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

Form = Literal["auto", "description", "both"]
TITLE, DESCRIPTION, BOTH = "title as prompt", "description as prompt", "title and description as prompt"
ExchangeSet = Literal["stem", "other", "niche"]

OWN_DOMAINS = {
    "askubuntu": "askubuntu.com",
    "mathoverflow.net": "mathoverflow.net",
    "serverfault": "serverfault.com",
    "stackapps": "stackapps.com",
    "stackoverflow": "stackoverflow.com",
    "superuser": "superuser.com",
}
"""Exchanges that do not live under stackexchange.com; ``xx.stackoverflow`` is under .com too."""


@dataclass(frozen=True)
class Exchange:
    """One site of the network."""

    name: str
    """As in ids: ``cooking``, ``cooking.meta``."""
    set: ExchangeSet
    meta: bool = False

    @property
    def host(self) -> str:
        """The site's address without ``https://``."""
        if self.name == "meta":
            return "meta.stackexchange.com"
        base = self.name.removesuffix(".meta") if self.meta else self.name
        if base in OWN_DOMAINS:
            return ("meta." if self.meta else "") + OWN_DOMAINS[base]
        if base.endswith(".stackoverflow"):
            return f"{base.replace('.', '.meta.') if self.meta else base}.com"
        return f"{base}{'.meta' if self.meta else ''}.stackexchange.com"


class PairSettings(SourceSettings):
    """How a question and its answer become an example."""

    title_prompts: float = Field(default=0.5, ge=0, le=1)
    """Share of prompts that are the title; the others are the description. [paper: at random; ours: 1/2]"""
    description_form: Form = "auto"
    """How a description is shown: ``description`` alone, ``both`` with its title above it, or ``auto``, with the title
    where its subject stands there alone. [ours]"""
    drop_community_wiki: bool = False
    """Leave out community-wiki answers, which have no single author."""


@dataclass(frozen=True)
class RawPair:
    """A question and its answer: the ids, and the bytes of the rows."""

    settings: PairSettings
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
        """Title or description as the prompt, by a seeded choice, as far as the answer fits it."""
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
    """The owner as the row gives it: a number, the name of a deleted account, or nothing."""
    number, name = post.get("OwnerUserId"), post.get("OwnerDisplayName")
    return name or (f"user {number}" if number else "a deleted account")


def _topics(tags: str) -> list[str]:
    """Old dumps write ``<a><b>``, those since 2024 ``|a|b|``."""
    return [tag for tag in tags.replace("<", "|").replace(">", "|").split("|") if tag]


@dataclass(frozen=True)
class FittedPrompt:
    """The words of a prompt, and where they are from."""

    text: str
    step: str
    misfit: str | None = None
    """Why the answer does not fit this prompt, the only one available."""


def choose_prompt(
    title: str,
    description: Cleaned,
    answer: Cleaned,
    settings: RuleSettings,
    *,
    form: Form,
    wants_title: bool,
) -> FittedPrompt:
    """Title or description, as is wanted and as the answer needs it.

    A description that cannot stand alone gives way to the title, unless the answer speaks of it: then nothing fits.

    Args:
        title: of the question; empty where it has none.
        description: the question's text.
        answer: the answer.
        settings: thresholds.
        form: how a description is shown: alone, with its title, or as it needs it.
        wants_title: whether the title is the prompt where both can be.
    """
    if settings.fits_prompt and (unasked := _unasked(answer, title, description.text)):
        return FittedPrompt(title, TITLE, f"it answers another question: {unasked!r}")
    flaw = description_problem(description, settings) if description.text else "it is empty"
    needed = better = None
    if title and settings.fits_prompt and (wants_title or flaw):
        needed = needs_description(answer, description, title, settings)
        better = needed or shared_particulars(answer.prose, description.prose, title)
    if title and (flaw or (wants_title and not better)):
        return FittedPrompt(
            title, TITLE, f"{needed}, and the description is no prompt: {flaw}" if needed else None
        )
    along = (
        takes_title_along(description.text, title, settings.title_missing_max)
        if form == "auto"
        else form == "both"
    )
    if title and along:
        return FittedPrompt(f"{title}\n\n{description.text}", BOTH)
    return FittedPrompt(description.text, DESCRIPTION)


def needs_description(
    answer: Cleaned, description: Cleaned, title: str, settings: RuleSettings
) -> str | None:
    """Why the answer cannot be read under the title alone; None where it can.

    It quotes the description, works on its code, addresses the asker about it ("as you say", "your second question"), or begins
    with a yes or a no that the title does not ask for.
    """
    if quote := _quotation(answer, description, title, settings.quoted_words_min):
        return f"it quotes the description: {quote!r}"
    if term := _opening_term(answer.prose, description.prose, title):
        return f"it begins with {term!r}, which the description says"
    names = _shared_names(answer, description, title)
    if settings.shared_names_min is not None and len(names) >= settings.shared_names_min:
        return f"it uses names of the description's code: {', '.join(sorted(names)[:4])}"
    prose = "\n".join(line for line in answer.prose.split("\n") if not line.startswith(">"))
    if found := ADDRESSING.search(prose):
        return f"it addresses the asker: {' '.join(found.group().split())!r}"
    if shown := _object(prose[:OPENING], description.prose, title):
        return f"it speaks of {shown!r}, which the description shows"
    if above := ABOVE.search(prose[:OPENING]):
        return f"it speaks of {above.group()!r}, above which there is nothing"
    if not QUESTION_START.match(title) and "?" not in title and (opening := PRONOUN_START.match(prose)):
        return f"it begins with {opening.group()!r}, for which the title has no word"
    if not MANY.search(title) and (opening := THEY_START.match(prose)):
        return f"it begins with {opening.group()!r}, for which the title has no word"
    things = sorted(_things_of_asker(prose, description.prose, title))
    if settings.your_nouns_min is not None and len(things) >= settings.your_nouns_min:
        return f"it speaks of the asker's {', '.join(things[:4])}"
    if OPEN_QUESTION.match(title) and (opening := YES_OR_NO.match(prose)):
        return f"it begins with {opening.group()!r}, which the title does not ask for"
    return None


def shared_particulars(answer: str, description: str, title: str) -> set[str]:
    """Names and numbers that the answer takes from the description and the title lacks: the description is the better prompt.

    They may be common knowledge as well, so that they are no reason to drop the pair.
    """
    named = set(PARTICULAR.findall(description)) - set(PARTICULAR.findall(f"a {title}"))
    head = title.casefold()
    return {name for name in named.intersection(PARTICULAR.findall(answer)) if name.casefold() not in head}


def _things_of_asker(prose: str, description: str, title: str) -> set[str]:
    """Things that the answer calls the asker's ("your manuals") and that only the description mentions."""
    said = {
        found.group(1).casefold()[:-1] if found.group(1).endswith("s") else found.group(1).casefold()
        for found in YOURS.finditer(prose)
    }
    body, head = description.casefold(), title.casefold()
    return {
        noun for noun in said if noun not in STOPWORDS and re.search(rf"\b{noun}", body) and noun not in head
    }


def _unasked(answer: Cleaned, title: str, description: str) -> str | None:
    """A question that the answer opens by quoting, though it stands neither in the title nor in the description."""
    first = answer.prose.partition("\n")[0]
    if not first.startswith("> ") or not first.rstrip().endswith("?"):
        return None
    words = [word for word in words_of(first) if word not in STOPWORDS and len(word) > 2]
    known = {word[:STEM] for word in words_of(f"{title} {description}")}
    missing = [word for word in words if word[:STEM] not in known]
    return first[2:] if 2 * len(missing) >= len(words) > 0 else None


def _object(opening: str, description: str, title: str) -> str | None:
    """A thing that the opening of an answer points to as known, which is in the description and not in the title."""
    for found in OBJECT.finditer(opening):
        name = found.group(1).casefold()
        known = name in title.casefold() or name in opening[: found.start()].casefold()
        if name in description.casefold() and not known:
            return found.group()
    return None


def takes_title_along(description: str, title: str, missing_max: float) -> bool:
    """Whether a description cannot be understood without its title, for its subject stands there alone.

    It asks nothing, though the title does; a name of the title is missing, or more than ``missing_max`` of its words that carry meaning are; or the description begins
    with a pronoun, or speaks of its title.
    """
    present = {word[:STEM] for word in words_of(description)}
    carrying = [word for word in words_of(title) if word not in STOPWORDS and len(word) > 1]
    missing = {word for word in carrying if word[:STEM] not in present}
    if "?" in title and "?" not in description:
        return True
    if not missing:
        return False
    if BACK_TO_TITLE.match(description) or len(missing) > missing_max * len(carrying):
        return True
    starts = {found.group(1) for found in SENTENCE_START.finditer(title) if found.group(1).istitle()}
    names = {
        w.casefold()
        for word in re.findall(r"[\w.#+-]+", title)
        if NAME.search(word) and word not in starts
        for w in words_of(word)
    }
    return bool(missing & names)


def _quotation(answer: Cleaned, description: Cleaned, title: str, words_min: int) -> str | None:
    """A passage of the answer in quotation marks, or set as a quotation, that stands in the description and not in the title."""
    body, head = f" {' '.join(words_of(description.text))} ", f" {' '.join(words_of(title))} "
    for passage in _passages(answer):
        words = words_of(passage)
        for start in range(len(words) - words_min + 1):
            run = words[start : start + words_min]
            shown = f" {' '.join(run)} "
            if shown in body and shown not in head and not STOPWORDS.issuperset(run):
                return " ".join(run)
    return None


def _opening_term(prose: str, description: str, title: str) -> str | None:
    """A quoted term of two or more words that opens the answer and stands in the description but not in the title."""
    found = SPOKEN.match(prose)
    words = words_of(found.group()) if found else []
    shown = f" {' '.join(words[:2])} "
    known = shown in f" {' '.join(words_of(title))} " or shown not in f" {' '.join(words_of(description))} "
    return None if found is None or len(words) < 2 or known else found.group()


def _shared_names(answer: Cleaned, description: Cleaned, title: str) -> set[str]:
    """Names in both the description's and the answer's code, except common ones and those in the title."""
    shared = set(CODE_NAME.findall(description.code)) & set(CODE_NAME.findall(answer.code))
    return {
        name
        for name in shared
        if name.casefold() not in title.casefold() and name.casefold() not in USUAL_NAMES
    }


def _passages(answer: Cleaned) -> Iterator[str]:
    for line in answer.prose.split("\n"):
        if line.startswith(">"):
            yield from sentences(line.lstrip("> "))
        else:
            yield from (found.group() for found in SPOKEN.finditer(line))
