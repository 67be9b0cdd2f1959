"""Which item a rater gets next, and what becomes of the answer (LIMA, section 4.1: blind, random order and side).

A slot is a planned vote. Opening an item leases a slot; an answer fills it; a lease that has run out lets
the slot go to another rater. Ownership of the slot decides, never the clock: a late answer still counts unless
another rater has the slot by then, and no slot takes two answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from lima.annotate.compare import checks, shortcuts
from lima.annotate.compare.presentations import (
    COUNT_COMPARED,
    GOLD,
    IS_ANSWERED,
    IS_VOTE,
    Answer,
    Presentation,
    Remarks,
    find_to_change,
    open_presentation,
    recent,
    seconds_spent,
    side_of,
    votes,
)
from lima.annotate.database import Database
from lima.annotate.people import INSERT_EVENT, Participant, record
from lima.annotate.tables import presentations, raters, slots, units
from lima.records import Side

COUNTS_SECONDS = 60.0
"""How long a rater's counts are remembered: counting what is left costs more than an answer."""
OPEN_SECONDS = 5.0
"""How long it is remembered how many texts are open: counting reads every planned vote."""


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
        self._counts: dict[int, tuple[float, int, int]] = {}
        self._open: dict[str, tuple[float, int]] = {}

    def next(self, person: Participant) -> Presentation | Nothing:
        """The item in the rater's hands, or a new one. Asking again gives the same until it is answered."""
        now = self.clock()
        with self.base.write(durable=False) as connection:
            _lock(connection, person)
            found = recent(connection, person)
            if current := self._current(connection, person, found, now):
                return replace(current, previous=_last_answered(found))
            if self.rules.per_rater is not None and votes(connection, person) >= self.rules.per_rater:
                return Nothing()
            opened = self._check(connection, person, now) or self._new(connection, person, now)
        return opened if isinstance(opened, Nothing) else replace(opened, previous=_last_answered(found[:1]))

    def answer(
        self,
        person: Participant,
        token: str,
        read: Callable[[Presentation], Answer],
        *,
        attempt: int,
        seconds: float | None,
        remarks: Remarks | None = None,
    ) -> Presentation | None:
        """Store an answer and return the presentation as it is stored; None: no such item of this rater.

        ``read`` makes the answer from the item, or raises. A second answer to the same presentation (a double
        click, a retry, another tab) changes nothing: the first one comes back. Nor does an answer to a skipped one.
        """
        now = self.clock()
        with self.base.write() as connection:
            presentation = find_to_change(connection, person, token)
            if presentation is None or presentation.attempt != attempt or presentation.is_settled:
                return presentation
            given, spent = read(presentation), seconds_spent(presentation, seconds, now)
            presentation = replace(presentation, answer=given, remarks=remarks or {})
            stored = self._store(connection, person, presentation, spent, now)
            if presentation.repeat == GOLD:
                checks.end_after_misses(connection, person, now, self.rules.gold, self.rules.gold_misses)
        self._count(person, 1)
        return stored

    def skip(
        self,
        person: Participant,
        token: str,
        read: Callable[[Presentation], Answer],
        *,
        attempt: int,
        reason: str,
    ) -> Presentation | None:
        """Give the item's place to others, and keep why; the rater does not see it again. None: no such item.

        ``read`` makes the answer from the item: nothing for each of its questions.
        """
        now = self.clock()
        with self.base.write() as connection:
            presentation = find_to_change(connection, person, token)
            if presentation is None or presentation.attempt != attempt or presentation.state != "open":
                return presentation
            skipped = replace(
                presentation, state="skipped", answer=read(presentation), remarks={"text": reason}
            )
            spent = seconds_spent(skipped, None, now)
            connection.execute(STORE, _row(skipped, spent, now))
            mine = (slots.c.showing_id == skipped.id) & ~slots.c.done
            connection.execute(sa.update(slots).where(mine).values(showing_id=None, lease_until=0.0))
            connection.execute(INSERT_EVENT, _event("skip", skipped, person, spent=spent, now=now))
        self._counts.pop(person.id, None)
        return skipped

    def take_back(self, person: Participant, token: str, *, attempt: int) -> Presentation | None:
        """Undo an answer while no later one was given; None: too late, or no such item."""
        now = self.clock()
        with self.base.write() as connection:
            _lock(connection, person)
            found = recent(connection, person)
            presentation = next((one for one in found if one.token == token), None)
            if presentation is None or _last_answered(found) not in (presentation, None):
                return None
            if presentation.attempt != attempt or not presentation.is_answered:
                return presentation  # a retry of an undo that was done
            values: dict[str, Any] = {"state": "open", "attempt": attempt + 1, "answer": None}
            connection.execute(
                sa.update(presentations).where(presentations.c.id == presentation.id).values(values)
            )
            held = slots.c.showing_id == presentation.id
            lease = {"done": False, "lease_until": now + self.rules.lease_seconds}
            connection.execute(sa.update(slots).where(held).values(lease))
            key = f"back:{token}:{attempt}"
            record(connection, "take_back", now, key=key, rater_id=person.id, showing_id=presentation.id)
        self._count(person, -1)
        return replace(presentation, **values)

    def saved(self, person: Participant) -> Presentation | None:
        """The last answered item while no other is open."""
        with self.base.look() as connection:
            found = recent(connection, person)
        return None if any(one.state == "open" for one in found) else _last_answered(found)

    def progress(self, person: Participant) -> Progress:
        """Counts for the rater's own screen; what others did to them is looked up again after a minute."""
        now = self.clock()
        until, answered, total = self._counts.get(person.id, (0.0, 0, 0))
        if not now < until <= now + COUNTS_SECONDS:
            with self.base.look() as connection:
                row = connection.execute(FIGURES, {"rater": person.id, "group": person.group}).one()
            answered, left = row.answered, self._open_units(person.group, now) + row.open - row.seen
            if self.rules.per_rater is not None:
                left = min(left, max(0, self.rules.per_rater - row.votes))
            total = answered + left
            self._counts[person.id] = now + COUNTS_SECONDS, answered, total
        return Progress(answered, max(0, total - answered))

    def _count(self, person: Participant, change: int) -> None:
        until, answered, total = self._counts.get(person.id, (0.0, 0, 0))
        self._counts[person.id] = until, answered + change, total

    def _open_units(self, group: str, now: float) -> int:
        """How many texts have a vote of the group left: the same for all its raters, so counted once for all."""
        until, count = self._open.get(group, (0.0, 0))
        if not now < until <= now + OPEN_SECONDS:
            with self.base.look() as connection:
                count = connection.scalar(COUNT_UNITS, {"group": group}) or 0
            self._open[group] = now + OPEN_SECONDS, count
        return count

    def _current(
        self, connection: sa.Connection, person: Participant, found: list[Presentation], now: float
    ) -> Presentation | None:
        """The open one of the last items, its lease renewed; one whose slot has gone to another rater, or its check, is closed."""
        for presentation in found[::-1]:  # one that was undone comes before the one after it
            if presentation.state != "open":
                continue
            is_known = presentation.repeat != GOLD or presentation.text_id in self.rules.gold
            if is_known and self._hold(connection, person, presentation, now):
                return presentation
            gone = presentations.c.id == presentation.id
            connection.execute(sa.update(presentations).where(gone).values(state="lost"))
        return None

    def _store(
        self,
        connection: sa.Connection,
        person: Participant,
        presentation: Presentation,
        spent: float,
        now: float,
    ) -> Presentation:
        """Fill the presentation's place and store its answer; an answer whose place has gone is stored as surplus."""
        stored = replace(presentation, state="answered")
        row, event = _row(stored, spent, now), _event("answer", stored, person, spent=spent, now=now)
        if not presentation.repeat and shortcuts.fill_and_store(connection, row, event):
            return stored
        if not self._fill(connection, person, presentation, now):
            stored = replace(presentation, state="surplus")
        connection.execute(STORE, _row(stored, spent, now))
        connection.execute(INSERT_EVENT, _event("answer", stored, person, spent=spent, now=now))
        return stored

    def _fill(
        self, connection: sa.Connection, person: Participant, presentation: Presentation, now: float
    ) -> bool:
        """Mark the presentation's slot as done; False when no slot is left for it."""
        place = {"presentation": presentation.id}
        if presentation.repeat or connection.execute(FILL, place).rowcount:
            return True
        return self._hold(connection, person, presentation, now) and bool(
            connection.execute(FILL, place).rowcount
        )

    def _hold(
        self, connection: sa.Connection, person: Participant, presentation: Presentation, now: float
    ) -> bool:
        """Keep the presentation's slot, or take another free one of the same unit. A check needs none."""
        lease = {"showing_id": presentation.id, "lease_until": now + self.rules.lease_seconds}
        mine = (slots.c.showing_id == presentation.id) & ~slots.c.done
        if presentation.repeat or connection.execute(sa.update(slots).where(mine).values(lease)).rowcount:
            return True
        free = sa.select(slots.c.id).where(
            slots.c.grp == person.group, slots.c.unit_id == presentation.unit_id
        )
        free = free.where(_is_free(now)).order_by(slots.c.rank).limit(1).with_for_update(skip_locked=True)
        slot_id = connection.scalar(free)
        connection.execute(sa.update(slots).where(slots.c.id == slot_id).values(lease))
        return slot_id is not None

    def _new(self, connection: sa.Connection, person: Participant, now: float) -> Presentation | Nothing:
        who = {"rater": person.id, "group": person.group, "now": now}
        slot = connection.execute(FREE_SLOT, who).first()
        if slot is None:
            return _nothing(connection, person)
        shown = side_of(self.rules.seed, person.name, slot.compared) if slot.task == "pairwise" else "ab"
        lease = {"slot": slot.id, "lease_until": now + self.rules.lease_seconds}
        return open_presentation(connection, person, slot, shown=shown, now=now, lease=lease)

    def _check(self, connection: sa.Connection, person: Participant, now: float) -> Presentation | None:
        """An attention check when one is due."""
        rules = self.rules
        return checks.due_gold(
            connection, person, now, rules.gold, every=rules.gold_every, seed=rules.seed
        ) or checks.due_repeat(connection, person, now, rules.attention_every)

    def ended(self, person: Participant) -> bool:
        """Whether the rater's work ended with the answer just stored."""
        with self.base.read() as connection:
            state = connection.scalar(sa.select(raters.c.state).where(raters.c.id == person.id))
        return state != "active"


FREE_SLOT = (
    sa.select(
        slots.c.id,
        slots.c.unit_id,
        units.c.task,
        units.c.text_id,
        COUNT_COMPARED.correlate(None).scalar_subquery().label("compared"),
    )
    .join(units, units.c.id == slots.c.unit_id)
    .where(
        slots.c.grp == sa.bindparam("group"),
        ~slots.c.done,
        slots.c.showing_id.is_(None) | (slots.c.lease_until < sa.bindparam("now")),
        slots.c.unit_id.not_in(
            sa.select(presentations.c.unit_id).where(presentations.c.rater_id == sa.bindparam("rater"))
        ),
    )
    .order_by(slots.c.rank)
    .limit(1)
    .with_for_update(of=slots, skip_locked=True)
)
"""The next planned vote that nobody holds, on a unit that the rater has not seen, and how many it has compared."""


LOCK = sa.select(raters.c.id).where(raters.c.id == sa.bindparam("rater")).with_for_update()
IN_GROUP = (slots.c.grp == sa.bindparam("group")) & ~slots.c.done
COUNT_UNITS = sa.select(sa.func.count(sa.distinct(slots.c.unit_id))).where(IN_GROUP)
COUNT_SEEN = sa.select(sa.func.count(sa.distinct(presentations.c.unit_id))).where(
    presentations.c.rater_id == sa.bindparam("rater"),
    sa.exists().where(slots.c.unit_id == presentations.c.unit_id, IN_GROUP),
)
FIGURES = sa.select(
    sa.func.count().filter(IS_ANSWERED).label("answered"),
    sa.func.count().filter(IS_ANSWERED, IS_VOTE).label("votes"),
    sa.func.count().filter(presentations.c.state == "open", IS_VOTE).label("open"),
    COUNT_SEEN.correlate(None).scalar_subquery().label("seen"),
).where(presentations.c.rater_id == sa.bindparam("rater"))
"""What a rater has done, and how many of the texts that are open it has seen already."""
FILL = sa.update(slots).where(slots.c.showing_id == sa.bindparam("presentation")).values(done=True)
STORE = (
    sa.update(presentations)
    .where(presentations.c.id == sa.bindparam("presentation"))
    .values({name: sa.bindparam(name) for name in ("state", "answer", "remarks", "answered_at", "seconds")})
)


def _row(presentation: Presentation, spent: float, now: float) -> dict[str, Any]:
    """What is stored of an answer."""
    return {
        "presentation": presentation.id,
        "state": presentation.state,
        "answer": presentation.answer,
        "remarks": presentation.remarks,
        "answered_at": now,
        "seconds": spent,
    }


def _event(
    kind: str, presentation: Presentation, person: Participant, *, spent: float, now: float
) -> dict[str, Any]:
    """What is noted of an answer; the same answer cannot be noted twice."""
    payload = {"answer": presentation.answer, "state": presentation.state, "seconds": spent}
    return {
        "key": f"{kind}:{presentation.token}:{presentation.attempt}",
        "kind": kind,
        "at": now,
        "rater_id": person.id,
        "showing_id": presentation.id,
        "payload": payload | ({"remarks": presentation.remarks} if presentation.remarks else {}),
    }


def _last_answered(found: list[Presentation]) -> Presentation | None:
    return next((one for one in found if one.is_answered), None)


def _lock(connection: sa.Connection, person: Participant) -> None:
    """One request of a rater at a time, also from several tabs. SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(LOCK, {"rater": person.id})


def _is_free(now: float) -> sa.ColumnElement[bool]:
    return ~slots.c.done & (slots.c.showing_id.is_(None) | (slots.c.lease_until < now))


def _unseen(person: Participant) -> sa.Select[tuple[int, int]]:
    """Slots of the group on units that the rater has never had on the screen."""
    seen = sa.select(presentations.c.unit_id).where(presentations.c.rater_id == person.id)
    return sa.select(slots.c.id, slots.c.unit_id).where(
        slots.c.grp == person.group, slots.c.unit_id.not_in(seen)
    )


def _nothing(connection: sa.Connection, person: Participant) -> Nothing:
    leased = _unseen(person).where(~slots.c.done).with_only_columns(sa.func.min(slots.c.lease_until))
    return Nothing(again_at=connection.scalar(leased))
