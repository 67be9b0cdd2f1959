"""Which item a rater gets next, and what becomes of the answer (LIMA, section 4.1: blind, random order and side).

A slot is a planned vote. Opening an item leases a slot; an answer fills it; a lease that has run out lets
the slot go to another rater. Ownership of the slot decides, never the clock: a late answer still counts unless
another rater has the slot by then, and no slot takes two answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import sqlalchemy as sa

from lima.records import Shown, Side
from lima.web import checks
from lima.web.database import Database
from lima.web.people import Person, record
from lima.web.showings import (
    COUNT,
    GOLD,
    Answer,
    Showing,
    answers,
    compared,
    find,
    latest,
    open_showing,
    seconds_spent,
    side_of,
    votes,
)
from lima.web.tables import raters, showings, slots, units

TOTALS_SECONDS = 60.0
"""How long the length of a rater's list is remembered: counting it costs more than an answer."""


@dataclass(frozen=True)
class Rules:
    """How items are given out."""

    lease_seconds: float = 1800.0
    per_rater: int | None = None
    attention_every: int = 0
    seed: int = 0
    gold: Mapping[str, Side] = field(default_factory=dict)
    """Known answers by text id."""
    gold_every: int = 10
    gold_misses: int = 3


@dataclass(frozen=True)
class Nothing:
    """No item to show: all done, or (``again_at``) all that is left is in other raters' hands."""

    again_at: float | None = None


@dataclass(frozen=True)
class Progress:
    """How many items a rater has answered, attention checks among them, and how many more there may be."""

    answered: int
    left: int


class Assignment:
    """Gives out the items of one study."""

    def __init__(self, base: Database, rules: Rules, clock: Callable[[], float]) -> None:
        self.base, self.rules, self.clock = base, rules, clock
        self._totals: dict[int, tuple[float, int]] = {}

    def next(self, person: Person) -> Showing | Nothing:
        """The item in the rater's hands, or a new one. Asking again gives the same until it is answered."""
        now = self.clock()
        with self.base.write(durable=False) as connection:
            _lock(connection, person)
            if current := self._current(connection, person, now):
                return current
            if self.rules.per_rater is not None and votes(connection, person) >= self.rules.per_rater:
                return Nothing()
            return self._check(connection, person, now) or self._new(connection, person, now)

    def answer(
        self,
        person: Person,
        token: str,
        read: Callable[[Showing], Answer],
        *,
        attempt: int,
        seconds: float | None,
    ) -> Showing | None:
        """Store an answer and return the showing as it is stored; None: no such item of this rater.

        ``read`` makes the answer from the item, or raises. A second answer to the same showing (a double
        click, a retry, another tab) changes nothing: the first one comes back.
        """
        now = self.clock()
        with self.base.write() as connection:
            _lock(connection, person)
            showing = find(connection, person, token)
            if showing is None or showing.attempt != attempt or showing.is_answered:
                return showing
            state: Literal["answered", "surplus"] = (
                "answered" if self._fill(connection, person, showing, now) else "surplus"
            )
            stored = replace(showing, state=state, answer=read(showing))
            spent = seconds_spent(showing, seconds, now)
            values = {"state": state, "answer": stored.answer, "answered_at": now, "seconds": spent}
            connection.execute(STORE, values | {"showing": showing.id})
            record(
                connection,
                "answer",
                now,
                key=f"answer:{token}:{attempt}",
                rater_id=person.id,
                showing_id=showing.id,
                payload={"answer": stored.answer, "state": state, "seconds": spent},
            )
            if showing.repeat == GOLD:
                checks.end_after_misses(connection, person, now, self.rules.gold, self.rules.gold_misses)
        return stored

    def take_back(self, person: Person, token: str, *, attempt: int) -> Showing | None:
        """Undo an answer while no later item was opened; None: too late, or no such item."""
        now = self.clock()
        with self.base.write() as connection:
            _lock(connection, person)
            showing = latest(connection, person)
            if showing is None or showing.token != token:
                return None
            if showing.attempt != attempt or not showing.is_answered:
                return showing  # a retry of an undo that was done
            values: dict[str, Any] = {"state": "open", "attempt": attempt + 1, "answer": None}
            connection.execute(sa.update(showings).where(showings.c.id == showing.id).values(values))
            held = slots.c.showing_id == showing.id
            lease = {"done": False, "lease_until": now + self.rules.lease_seconds}
            connection.execute(sa.update(slots).where(held).values(lease))
            key = f"back:{token}:{attempt}"
            record(connection, "take_back", now, key=key, rater_id=person.id, showing_id=showing.id)
        return replace(showing, **values)

    def saved(self, person: Person) -> Showing | None:
        """The rater's latest item if it is answered: what can still be taken back."""
        with self.base.read() as connection:
            showing = latest(connection, person)
        return showing if showing and showing.is_answered else None

    def progress(self, person: Person) -> Progress:
        """Counts for the rater's own screen; what is left is looked up again after a minute."""
        now = self.clock()
        with self.base.read() as connection:
            answered = answers(connection, person)
            until, total = self._totals.get(person.id, (0.0, 0))
            if not now < until <= now + TOTALS_SECONDS:
                total = answered + self._left(connection, person)
                self._totals[person.id] = now + TOTALS_SECONDS, total
        return Progress(answered, max(0, total - answered))

    def _left(self, connection: sa.Connection, person: Person) -> int:
        open_ones = _unseen(person).where(~slots.c.done).with_only_columns(slots.c.unit_id).distinct()
        left = connection.scalar(sa.select(sa.func.count()).select_from(open_ones.subquery())) or 0
        left += connection.scalar(COUNT_OPEN, {"rater": person.id}) or 0
        if self.rules.per_rater is None:
            return left
        return min(left, max(0, self.rules.per_rater - votes(connection, person)))

    def _current(self, connection: sa.Connection, person: Person, now: float) -> Showing | None:
        """The open item, its lease renewed; one whose slot has gone to another rater is closed."""
        showing = latest(connection, person)
        if showing is None or showing.state != "open":
            return None
        if self._hold(connection, person, showing, now):
            return showing
        connection.execute(sa.update(showings).where(showings.c.id == showing.id).values(state="lost"))
        return None

    def _fill(self, connection: sa.Connection, person: Person, showing: Showing, now: float) -> bool:
        """Mark the showing's slot as done; False when no slot is left for it."""
        place = {"showing": showing.id}
        if showing.repeat or connection.execute(FILL, place).rowcount:
            return True
        return self._hold(connection, person, showing, now) and bool(connection.execute(FILL, place).rowcount)

    def _hold(self, connection: sa.Connection, person: Person, showing: Showing, now: float) -> bool:
        """Keep the showing's slot, or take another free one of the same unit. A check needs none."""
        lease = {"showing_id": showing.id, "lease_until": now + self.rules.lease_seconds}
        mine = (slots.c.showing_id == showing.id) & ~slots.c.done
        if showing.repeat or connection.execute(sa.update(slots).where(mine).values(lease)).rowcount:
            return True
        free = sa.select(slots.c.id).where(slots.c.grp == person.group, slots.c.unit_id == showing.unit_id)
        free = free.where(_is_free(now)).order_by(slots.c.rank).limit(1).with_for_update(skip_locked=True)
        slot_id = connection.scalar(free)
        connection.execute(sa.update(slots).where(slots.c.id == slot_id).values(lease))
        return slot_id is not None

    def _new(self, connection: sa.Connection, person: Person, now: float) -> Showing | Nothing:
        who = {"rater": person.id, "group": person.group, "now": now}
        slot = connection.execute(FREE_SLOT, who).first()
        if slot is None:
            return _nothing(connection, person)
        shown = self._side(connection, person) if slot.task == "pairwise" else "ab"
        showing = open_showing(connection, person, slot, shown=shown, now=now)
        lease = {"showing_id": showing.id, "lease_until": now + self.rules.lease_seconds}
        connection.execute(LEASE, lease | {"slot": slot.id})
        return showing

    def _side(self, connection: sa.Connection, person: Person) -> Shown:
        return side_of(self.rules.seed, person.name, compared(connection, person))

    def _check(self, connection: sa.Connection, person: Person, now: float) -> Showing | None:
        """An attention check when one is due."""
        rules = self.rules
        return checks.due_gold(
            connection, person, now, rules.gold, every=rules.gold_every, seed=rules.seed
        ) or checks.due_repeat(connection, person, now, rules.attention_every)

    def ended(self, person: Person) -> bool:
        """Whether the rater's work ended with the answer just stored."""
        with self.base.read() as connection:
            state = connection.scalar(sa.select(raters.c.state).where(raters.c.id == person.id))
        return state != "active"


FREE_SLOT = (
    sa.select(slots.c.id, slots.c.unit_id, units.c.task, units.c.text_id)
    .join(units, units.c.id == slots.c.unit_id)
    .where(
        slots.c.grp == sa.bindparam("group"),
        ~slots.c.done,
        slots.c.showing_id.is_(None) | (slots.c.lease_until < sa.bindparam("now")),
        slots.c.unit_id.not_in(
            sa.select(showings.c.unit_id).where(showings.c.rater_id == sa.bindparam("rater"))
        ),
    )
    .order_by(slots.c.rank)
    .limit(1)
    .with_for_update(of=slots, skip_locked=True)
)
"""The next planned vote that nobody holds, on a unit that the rater has not seen."""


COUNT_OPEN = COUNT.where(showings.c.state == "open", showings.c.repeat == 0)
LEASE = (
    sa.update(slots)
    .where(slots.c.id == sa.bindparam("slot"))
    .values(showing_id=sa.bindparam("showing_id"), lease_until=sa.bindparam("lease_until"))
)
FILL = sa.update(slots).where(slots.c.showing_id == sa.bindparam("showing")).values(done=True)
STORE = (
    sa.update(showings)
    .where(showings.c.id == sa.bindparam("showing"))
    .values({name: sa.bindparam(name) for name in ("state", "answer", "answered_at", "seconds")})
)


def _lock(connection: sa.Connection, person: Person) -> None:
    """One request of a rater at a time, also from several tabs. SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(raters.c.id).where(raters.c.id == person.id).with_for_update())


def _is_free(now: float) -> sa.ColumnElement[bool]:
    return ~slots.c.done & (slots.c.showing_id.is_(None) | (slots.c.lease_until < now))


def _unseen(person: Person) -> sa.Select[tuple[int, int]]:
    """Slots of the group on units that the rater has never had on the screen."""
    seen = sa.select(showings.c.unit_id).where(showings.c.rater_id == person.id)
    return sa.select(slots.c.id, slots.c.unit_id).where(
        slots.c.grp == person.group, slots.c.unit_id.not_in(seen)
    )


def _nothing(connection: sa.Connection, person: Person) -> Nothing:
    leased = _unseen(person).where(~slots.c.done).with_only_columns(sa.func.min(slots.c.lease_until))
    return Nothing(again_at=connection.scalar(leased))
