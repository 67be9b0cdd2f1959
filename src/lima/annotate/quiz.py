"""The qualification quiz of ``protocol.yaml``: tries at it, and who has passed.

A try is an event, so that nobody has more of them than the protocol allows, also from several tabs. Who has passed stays
in when the quiz changes later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.people import Participant, end_access, record
from lima.annotate.tables import events, raters
from lima.evaluate.protocol import Quiz

KIND = "quiz"
"""Of the event that is one try."""


@dataclass(frozen=True)
class Try:
    """One try at the quiz."""

    right: int
    asked: int
    passed: bool
    missed: tuple[int, ...]
    """Numbers of the questions, from 0, that were not answered right."""


def attempt(
    base: Database, person: Participant, quiz: Quiz, given: Sequence[str], *, number: int, now: float
) -> Try | None:
    """Store try ``number`` (from 0) with the choices ``given``; None: it is stored already, or not the next one.

    The last try that does not pass ends the person's access.
    """
    missed = tuple(place for place, one in enumerate(quiz.questions) if given[place] != one.right)
    right = len(quiz.questions) - len(missed)
    made = Try(right, len(quiz.questions), right >= quiz.needed, missed)
    with base.write() as connection:
        connection.execute(sa.select(raters.c.id).where(raters.c.id == person.id).with_for_update())
        before = _tries(connection, person.id)
        if number != len(before) or number >= quiz.attempts or any(one.passed for one in before):
            return None
        payload, key = {"given": list(given)} | asdict(made), f"{KIND}:{person.id}:{number}"
        record(connection, KIND, now, key=key, rater_id=person.id, payload=payload)
        if not made.passed and number + 1 == quiz.attempts:
            end_access(connection, person.id, now, state="unqualified")
    return made


def tries_of(base: Database, person: Participant) -> list[Try]:
    """A person's tries, first to last."""
    with base.read() as connection:
        return _tries(connection, person.id)


def last_tries(base: Database) -> dict[int, Try]:
    """The last try of each rater who made one, by the rater's id."""
    query = sa.select(events.c.rater_id, events.c.payload).where(events.c.kind == KIND).order_by(events.c.id)
    with base.read() as connection:
        return {row.rater_id: _try(row.payload) for row in connection.execute(query)}


def _tries(connection: sa.Connection, rater_id: int) -> list[Try]:
    query = sa.select(events.c.payload).where(events.c.kind == KIND, events.c.rater_id == rater_id)
    return [_try(payload) for payload in connection.scalars(query.order_by(events.c.id))]


def _try(payload: Mapping[str, Any]) -> Try:
    return Try(payload["right"], payload["asked"], payload["passed"], tuple(payload["missed"]))
