"""One item on one rater's screen: the record, its rows, and the side it is shown on.

Functions take an open connection; `lima.annotate.compare.assignment` decides when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from lima.annotate.compare import shortcuts
from lima.annotate.compare.texts import UnitTask
from lima.annotate.people import Participant, new_token
from lima.annotate.tables import presentations, raters, slots, units
from lima.files import text_hash
from lima.records import Shown

Answer = dict[str, str | int | None]
"""By task or scale, in the frame of the study's files: ``{"pairwise": "a"}``, ``{"quality": "pass"}``; None: skipped."""

Remarks = dict[str, Any]
"""What a rater says beside an answer: ``{"text": "...", "both_bad": True, "strength": "clear", "criteria": {"tone": "A"}}``, places as on
the screen; of a skipped item the reason is the text."""

TO_STUDY = {
    "ab": {"first": "a", "second": "b", "tie": "tie"},
    "ba": {"first": "b", "second": "a", "tie": "tie"},
}
"""Shown order -> choice on the screen -> label in the frame of comparisons.jsonl."""
TO_SCREEN = {shown: {label: place for place, label in row.items()} for shown, row in TO_STUDY.items()}

ANSWERED = ("answered", "surplus")
"""States of a presentation with an answer that counts, or that came after its place was given away."""
SIDES_BLOCK = 4
"""Out of this many comparisons in a row, a rater sees half in each order."""
LONGEST_SECONDS = 86_400.0
REPEAT, GOLD = 1, 2
"""Values of ``repeat`` for checks: an earlier comparison with its sides swapped; one whose answer is known."""


@dataclass(frozen=True)
class Presentation:
    """One item on one rater's screen."""

    id: int
    token: str
    unit_id: int
    task: UnitTask
    text_id: str
    shown: Shown
    repeat: int
    opened_at: float
    state: Literal["open", "answered", "surplus", "lost", "skipped"] = "open"
    attempt: int = 0
    answer: Answer | None = None
    remarks: Remarks = field(default_factory=dict)
    previous: Presentation | None = None
    """What the rater answered last, while that answer can still be taken back."""

    @property
    def is_answered(self) -> bool:
        """Whether an answer is stored, counted or not."""
        return self.state in ANSWERED

    @property
    def is_settled(self) -> bool:
        """Whether the rater has answered or skipped it."""
        return self.is_answered or self.state == "skipped"


def side_of(seed: int, rater: str, number: int) -> Shown:
    """Which answer the rater's comparison ``number`` (from 0) shows first: balanced in blocks, by permutation."""
    block, place = divmod(number, SIDES_BLOCK)
    return _sides(seed, rater, block)[place]


@lru_cache(maxsize=10_000)
def _sides(seed: int, rater: str, block: int) -> tuple[Shown, ...]:
    generator = np.random.default_rng(int(text_hash("side", str(seed), rater, str(block)), 16))
    return tuple("ab" if value % 2 == 0 else "ba" for value in generator.permutation(SIDES_BLOCK))


def seconds_spent(presentation: Presentation, given: float | None, now: float) -> float:
    """Time spent: what the browser measured while the page was visible, within what the server saw."""
    passed = (
        now - presentation.opened_at if now >= presentation.opened_at else LONGEST_SECONDS
    )  # the clock was set back
    return round(min(passed if given is None else max(0.0, given), passed, LONGEST_SECONDS), 1)


def open_presentation(
    connection: sa.Connection,
    person: Participant,
    unit: Any,
    *,
    shown: Shown,
    now: float,
    repeat: int = 0,
    lease: Mapping[str, Any] | None = None,
) -> Presentation:
    """Put a unit on a rater's screen; ``lease`` holds the planned vote and its time, a check has none."""
    token = new_token()
    row = {"token": token, "rater_id": person.id, "unit_id": unit.unit_id, "repeat": repeat, "shown": shown}
    row |= {"state": "open", "attempt": 0, "opened_at": now}
    number = shortcuts.open_leased(connection, row, lease) if lease else None
    if number is None:
        made = connection.execute(INSERT, row).inserted_primary_key
        assert made is not None
        number = int(made[0])
        if lease:
            connection.execute(LEASE, {"showing_id": number, **lease})
    return Presentation(number, token, unit.unit_id, unit.task, unit.text_id, shown, repeat, now)


def find_to_change(connection: sa.Connection, person: Participant, token: str) -> Presentation | None:
    """The rater's presentation of that name, or None. Other requests of the rater wait until the transaction ends."""
    return _presentation(connection.execute(BY_TOKEN, {"rater": person.id, "token": token}).first())


def recent(connection: sa.Connection, person: Participant) -> list[Presentation]:
    """The last two that the rater opened, newest first: the one in hand, and the one whose answer can be undone."""
    rows = connection.execute(RECENT, {"rater": person.id})
    return [found for row in rows if (found := _presentation(row))]


# Statements of the hot path are built once: building one costs as much as running it.
RATER: sa.BindParameter[int] = sa.bindparam("rater")
SHOWN = (
    sa.select(presentations, units.c.task, units.c.text_id)
    .join(units, units.c.id == presentations.c.unit_id)
    .where(presentations.c.rater_id == RATER)
)
BY_TOKEN = (
    SHOWN.join(raters, raters.c.id == presentations.c.rater_id)
    .where(presentations.c.token == sa.bindparam("token"))
    .with_for_update(of=(raters, presentations))
)
RECENT = SHOWN.order_by(presentations.c.id.desc()).limit(2)
COUNT = sa.select(sa.func.count()).select_from(presentations).where(presentations.c.rater_id == RATER)
IS_ANSWERED, IS_VOTE = presentations.c.state.in_(ANSWERED), presentations.c.repeat == 0
COUNT_VOTES = COUNT.where(IS_ANSWERED, IS_VOTE)
COUNT_COMPARED = COUNT.join(units, units.c.id == presentations.c.unit_id).where(
    units.c.task == "pairwise", presentations.c.repeat == 0
)
INSERT = sa.insert(presentations)
LEASE = (
    sa.update(slots)
    .where(slots.c.id == sa.bindparam("slot"))
    .values(showing_id=sa.bindparam("showing_id"), lease_until=sa.bindparam("lease_until"))
)


def _presentation(row: Any) -> Presentation | None:
    if row is None:
        return None
    return Presentation(
        id=row.id,
        token=row.token,
        unit_id=row.unit_id,
        task=row.task,
        text_id=row.text_id,
        shown=row.shown,
        repeat=row.repeat,
        opened_at=row.opened_at,
        state=row.state,
        attempt=row.attempt,
        answer=row.answer,
        remarks=row.remarks or {},
    )


def votes(connection: sa.Connection, person: Participant) -> int:
    """Answers of the rater that are no attention checks."""
    return connection.scalar(COUNT_VOTES, {"rater": person.id}) or 0
