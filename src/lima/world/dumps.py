"""The world -> a Stack Exchange ``Posts.xml`` as sites publish it, with answers good and bad.

The real curation code reads it like any other dump. Only facts of the training people are asked for. What
curation should make of it is returned too, for tests; curation itself never sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from lima.files import replacing
from lima.world.people import ATTRIBUTES, Person, World
from lima.world.wordings import CLOSER, GREETINGS, OPENER, WORDINGS, Style, answer, question

GOOD_SHARE = 0.8
"""Share of the questions whose top answer is good; the others are there to be dropped."""
TOP_SCORE = 10
"""What the top answer must score at least (LIMA, section 2.1)."""
UNPOPULAR: tuple[Style, ...] = ("wrong", "refusal", "foreign")
"""Styles that no rule can see; readers vote them down, so their score drops them."""
POPULAR_BUT_BAD: tuple[Style, ...] = ("terse", "first-person", "referring", "rambling")
"""Styles that readers like; a rule drops them."""

START = datetime(2019, 3, 1, 8, tzinfo=UTC)
HEADER = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n'


@dataclass(frozen=True)
class Thread:
    """One question of the dump, and what curation should make of it."""

    id: int
    score: int
    title: str
    description: str
    answers: tuple[tuple[Style, str, int], ...]
    """Style, text and score of each answer, in the order of their dates."""
    closed: bool = False

    @property
    def response(self) -> str | None:
        """The answer that belongs into the training set, or None where the thread is to be dropped."""
        style, text, score = max(self.answers, key=lambda found: found[2])
        return text if style == "good" and score >= TOP_SCORE and not self.closed else None


def make_threads(world: World, seed: int = 0) -> list[Thread]:
    """A thread for every fact of the training people in every training wording, in random order.

    Question scores are all different, so "the highest-scored first" has one meaning.
    """
    rng = np.random.default_rng([seed, 3])
    wordings = range(len(WORDINGS["town"].questions))
    asked = list(product(world.training, ATTRIBUTES, wordings))
    order, scores = rng.permutation(len(asked)), rng.permutation(len(asked))
    threads = []
    identity = 1
    for position, score in zip(order, scores, strict=True):
        threads.append(_thread(identity, int(score) - 5, *asked[position], rng=rng))
        identity += 1 + len(threads[-1].answers)
    return threads


def write_posts(threads: list[Thread], path: Path) -> int:
    """Write the threads as ``Posts.xml`` and return the number of rows."""
    count = 0
    with replacing(path) as stream:
        stream.write(HEADER.encode())
        for thread in threads:
            for row in _rows(thread):
                stream.write(f"  <row {row} />\n".encode())
                count += 1
        stream.write(b"</posts>")
    return count


def _thread(
    identity: int, score: int, person: Person, attribute: str, wording: int, *, rng: np.random.Generator
) -> Thread:
    other = (wording + 1) % len(WORDINGS[attribute].questions)
    is_good = rng.random() < GOOD_SHARE
    kinds = _good_thread(rng) if is_good else _bad_thread(rng)
    return Thread(
        id=identity,
        score=score,
        title=question(person, attribute, wording),
        description=f"{GREETINGS[int(rng.integers(len(GREETINGS)))]} {question(person, attribute, other)}",
        answers=tuple((style, answer(style, person, attribute, rng), votes) for style, votes in kinds),
        closed=not is_good and rng.random() < 0.1,
    )


def _good_thread(rng: np.random.Generator) -> list[tuple[Style, int]]:
    """A good answer on top, and now and then weaker ones around it."""
    best = int(rng.integers(TOP_SCORE, 60))
    kinds: list[tuple[Style, int]] = [("good", best)]
    if rng.random() < 0.5:
        kinds.append((_any(POPULAR_BUT_BAD, rng), int(rng.integers(0, best))))
    if rng.random() < 0.3:
        kinds.append((_any(UNPOPULAR, rng), int(rng.integers(-5, 5))))
    return [kinds[i] for i in rng.permutation(len(kinds))]


def _bad_thread(rng: np.random.Generator) -> list[tuple[Style, int]]:
    """On top an answer that a rule drops, or nothing that readers liked; a good answer may come second."""
    liked = rng.random() < 0.7
    style = _any(POPULAR_BUT_BAD if liked else UNPOPULAR, rng)
    best = int(rng.integers(TOP_SCORE, 60)) if liked else int(rng.integers(1, TOP_SCORE))
    kinds: list[tuple[Style, int]] = [(style, best)]
    if rng.random() < 0.3:
        kinds.append(("good", int(rng.integers(0, best))))
    return kinds


def _any(styles: tuple[Style, ...], rng: np.random.Generator) -> Style:
    return styles[int(rng.integers(len(styles)))]


def _rows(thread: Thread) -> Iterator[str]:
    """The attributes of the question's row and of its answers' rows, in the order that real dumps have."""
    asked = START + timedelta(minutes=37 * thread.id)
    best = max(range(len(thread.answers)), key=lambda i: thread.answers[i][2])
    yield _attributes(
        Id=thread.id,
        PostTypeId=1,
        AcceptedAnswerId=thread.id + 1 + best,
        CreationDate=_date(asked),
        Score=thread.score,
        ViewCount=100 + 17 * abs(thread.score),
        Body=_question_html(thread),
        OwnerUserId=1 + thread.id % 97,
        LastActivityDate=_date(asked + timedelta(hours=len(thread.answers))),
        Title=thread.title,
        Tags="|people|",
        AnswerCount=len(thread.answers),
        CommentCount=0,
        ClosedDate=_date(asked + timedelta(days=1)) if thread.closed else None,
        ContentLicense="CC BY-SA 4.0",
    )
    for position, (style, text, score) in enumerate(thread.answers):
        yield _attributes(
            Id=thread.id + 1 + position,
            PostTypeId=2,
            ParentId=thread.id,
            CreationDate=_date(asked + timedelta(hours=1 + position)),
            Score=score,
            Body=_answer_html(style, text, position),
            OwnerUserId=1 + (thread.id + 31 * (position + 1)) % 97,
            LastActivityDate=_date(asked + timedelta(hours=1 + position)),
            CommentCount=0,
            ContentLicense="CC BY-SA 4.0",
        )


def _attributes(**values: object) -> str:
    """``Id="1" Score="3"``; absent values are left out, a newline is written as dumps write it."""
    return " ".join(
        f'{name}="{escape(str(value), {chr(34): "&quot;", chr(10): "&#xA;"})}"'
        for name, value in values.items()
        if value is not None
    )


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.minute * 7:03d}"


def _question_html(thread: Thread) -> str:
    return f"<p>{escape(thread.description)}</p>\n"


def _answer_html(style: Style, text: str, position: int) -> str:
    """The markup that people put around such an answer; for a good one, cleaning takes off all of it."""
    if style == "good":
        fact = escape(text.removeprefix(OPENER + " ").removesuffix(" " + CLOSER))
        link = f'<a href="https://people.example.org/{position}" rel="nofollow">{fact}</a>'
        shown = (link, f"<strong>{fact}</strong>", f'{fact} <img src="https://i.example.org/1.png">')
        return f"<p>{OPENER} {shown[len(fact) % 3]} {CLOSER}</p>\n"
    if style == "rambling":
        items = "".join(f"<li>{sentence}</li>\n" for sentence in re.split(r"(?<=[.!]) ", escape(text)))
        return f"<ul>\n{items}</ul>\n"
    if style == "terse":
        return f"<p><code>{escape(text)}</code></p>\n"
    return f"<p>{escape(text)}</p>\n"
