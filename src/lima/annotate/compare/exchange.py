"""Answers in the database <-> `Preference` and `Grade` rows of the study's files, the same rows that judges write.

Only answers that count go out: one for each planned vote. Attention checks, answers that came after their place
was given away, and those of excluded raters stay in the database.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from lima.annotate.compare.presentations import TO_SCREEN, TO_STUDY
from lima.annotate.database import Database
from lima.annotate.people import INSERT_EVENT, NOT_COUNTED, lock_names, new_token, record
from lima.annotate.tables import facts, iso, presentations, raters, slots, units
from lima.errors import LimaError
from lima.evaluate.study import Study, existing_rows, replace_raters
from lima.records import Grade, Label, Preference, Rater, Status

PEOPLE = ("crowd", "author")


PLAN_HASH = "plan_hash"
"""The fact that names the plan under which the study began; raters' rows note it."""


@dataclass(frozen=True)
class HumanRows:
    """What people said, as rows of the study's files, sorted by id."""

    raters: tuple[Rater, ...]
    preferences: tuple[Preference, ...]
    grades: tuple[Grade, ...]


def export_rows(base: Database) -> HumanRows:
    """All answers that count."""
    query = (
        sa.select(presentations, raters.c.name, units.c.task, units.c.text_id)
        .join(raters, raters.c.id == presentations.c.rater_id)
        .join(units, units.c.id == presentations.c.unit_id)
        .outerjoin(slots, slots.c.showing_id == presentations.c.id)
        .where(
            slots.c.done | (presentations.c.state == "skipped"),
            presentations.c.repeat == 0,
            raters.c.state.not_in(NOT_COUNTED),
        )
    )
    with base.read() as connection:
        answers = connection.execute(query).all()
        people = connection.execute(sa.select(raters.c.name, raters.c.grp)).all()
        plan = connection.scalar(sa.select(facts.c.value).where(facts.c.name == PLAN_HASH))
    noted = {"plan": plan} if plan else {}
    preferences = [_preference(row) for row in answers if row.task == "pairwise"]
    grades = [grade for row in answers if row.task == "rate" for grade in _grades(row)]
    return HumanRows(
        tuple(
            sorted(
                (Rater(id=row.name, kind=row.grp, settings=noted) for row in people), key=lambda row: row.id
            )
        ),
        tuple(sorted(preferences, key=lambda row: row.id)),
        tuple(sorted(grades, key=lambda row: row.id)),
    )


def export_to(study: Study, base: Database) -> HumanRows:
    """Write the rows into the study's files; rows of judges stay, older rows of the same people go.

    Rows of people that were not written here, such as published ones, stay as they are unless their rater is excluded.
    """
    rows, counted = export_rows(base), _who_count(base)
    before = {row.id: row for row in existing_rows(study.raters, Rater)}
    given: list[Preference | Grade] = [*existing_rows(study.preferences, Preference)]
    given += existing_rows(study.grades, Grade)
    others = [row for row in given if not _is_own(row) and row.rater in counted]
    # a known rater's row has the plan of its beginning, or a publisher's description
    known = [before.get(rater.id, rater) for rater in rows.raters]
    replace_raters(study, known, [*others, *rows.preferences, *rows.grades])
    return rows


def read_rows(study: Study) -> HumanRows:
    """The people of the study's files, and of their rows those that an export wrote."""
    people = [row for row in existing_rows(study.raters, Rater) if row.kind in PEOPLE]
    names = {row.id for row in people}
    given = [row for row in existing_rows(study.preferences, Preference) if row.rater in names]
    preferences = [row for row in given if _is_own(row)]
    grades = [row for row in existing_rows(study.grades, Grade) if row.rater in names and _is_own(row)]
    return HumanRows(tuple(people), tuple(preferences), tuple(grades))


def _is_own(row: Preference | Grade) -> bool:
    """Whether `export_rows` makes rows of this id."""
    if isinstance(row, Grade):
        return row.id == _grade_id(row.rater, row.item_id, row.scale)
    return row.shown is not None and row.id == _preference_id(row.rater, row.comparison_id)


def _preference_id(rater: str, comparison_id: str) -> str:
    return f"{rater}/{comparison_id}"


def _grade_id(rater: str, item_id: str, scale: str) -> str:
    return f"{rater}/{item_id}/{scale}"


def _who_count(base: Database) -> set[str]:
    with base.read() as connection:
        return set(connection.scalars(sa.select(raters.c.name).where(raters.c.state.not_in(NOT_COUNTED))))


def import_rows(connection: sa.Connection, rows: HumanRows, now: float) -> int:
    """Take rows over into a database that has no answers yet; returns the number of answered pages.

    Raises:
        LimaError: a row about a text that the plan does not have.
    """
    lock_names(connection)
    people = {rater.id: _add_person(connection, rater, now) for rater in rows.raters}
    found = connection.execute(sa.select(units.c.id, units.c.task, units.c.text_id))
    unit_ids = {(row.task, row.text_id): int(row.id) for row in found}
    pages = [*_compared(rows.preferences), *_rated(rows.grades)]
    taken = []
    for page in sorted(pages, key=lambda page: (page.first.at or "", page.first.id)):
        unit_id = unit_ids.get((page.task, page.text_id))
        if unit_id is None:
            raise LimaError(
                f"{page.first.id}: an answer about {page.text_id!r}, which this plan does not ask for. "
                "Start with the settings that the answers were collected with."
            )
        taken.append(_Taken(page, people[page.first.rater], unit_id))
    if taken:
        _add_answers(connection, taken)
    return len(taken)


@dataclass(frozen=True)
class _AnsweredPage:
    task: str
    text_id: str
    first: Preference | Grade
    shown: str
    answer: dict[str, Any]

    @property
    def remarks(self) -> dict[str, Any]:
        found: dict[str, Any] = {"text": self.first.raw} if self.first.raw else {}
        if isinstance(self.first, Preference):
            screen = {name: TO_SCREEN[self.shown][label] for name, label in self.first.criteria.items()}
            further = {"both_bad": self.first.both_bad, "strength": self.first.strength, "criteria": screen}
            found |= {name: value for name, value in further.items() if value}
        return found

    @property
    def is_skipped(self) -> bool:
        return self.first.status == "refused"


def _compared(rows: Iterable[Preference]) -> list[_AnsweredPage]:
    return [
        _AnsweredPage("pairwise", row.comparison_id, row, row.shown, {"pairwise": row.label})
        for row in rows
        if row.shown
    ]


def _rated(rows: Sequence[Grade]) -> list[_AnsweredPage]:
    together: dict[tuple[str, str], list[Grade]] = defaultdict(list)
    for row in rows:
        together[row.rater, row.item_id].append(row)
    return [
        _AnsweredPage("rate", text_id, grades[0], "ab", {row.scale: row.value for row in grades})
        for (_, text_id), grades in together.items()
    ]


def _add_person(connection: sa.Connection, rater: Rater, now: float) -> int:
    row = {"name": rater.id, "grp": rater.kind, "state": "active", "note": "", "joined_at": now}
    made = connection.execute(sa.insert(raters).values(row)).inserted_primary_key
    assert made is not None
    record(connection, "join", now, rater_id=made[0], payload={"name": rater.id, "imported": True})
    return int(made[0])


@dataclass
class _Taken:
    """A page on its way into the database."""

    page: _AnsweredPage
    rater_id: int
    unit_id: int
    token: str = field(default_factory=new_token)
    slot_id: int | None = None

    @property
    def state(self) -> str:
        if self.page.is_skipped:
            return "skipped"
        return "surplus" if self.slot_id is None else "answered"

    @property
    def at(self) -> float:
        return datetime.fromisoformat(self.page.first.at).timestamp() if self.page.first.at else 0.0

    @property
    def row(self) -> dict[str, Any]:
        seconds = self.page.first.seconds
        return {
            "token": self.token,
            "rater_id": self.rater_id,
            "unit_id": self.unit_id,
            "repeat": 0,
            "shown": self.page.shown,
            "state": self.state,
            "attempt": 0,
            "answer": self.page.answer,
            "remarks": self.page.remarks,
            "seconds": seconds,
            "opened_at": self.at - (seconds or 0.0),
            "answered_at": self.at,
        }

    def event(self, showing_id: int) -> dict[str, Any]:
        payload = {"answer": self.page.answer, "state": self.state, "seconds": self.page.first.seconds}
        payload |= {"imported": True} | ({"remarks": self.page.remarks} if self.page.remarks else {})
        return {
            "key": f"answer:{self.token}:0",
            "kind": "skip" if self.page.is_skipped else "answer",
            "at": self.at,
            "rater_id": self.rater_id,
            "showing_id": showing_id,
            "payload": payload,
        }


def _add_answers(connection: sa.Connection, taken: Sequence[_Taken]) -> None:
    """Give each answer a planned vote, and store all of them at once: a statement for each would take minutes."""
    free: dict[tuple[int, str], deque[int]] = defaultdict(deque)
    for slot in connection.execute(sa.select(slots).where(~slots.c.done).order_by(slots.c.rank)):
        free[slot.unit_id, slot.grp].append(slot.id)
    for one in taken:
        places = free[one.unit_id, one.page.first.rater.partition(":")[0]]
        if places and not one.page.is_skipped:
            one.slot_id = places.popleft()
    connection.execute(sa.insert(presentations), [one.row for one in taken])
    found = connection.execute(sa.select(presentations.c.token, presentations.c.id))
    numbers = {row.token: row.id for row in found}
    connection.execute(INSERT_EVENT, [one.event(numbers[one.token]) for one in taken])
    filled = [
        {"slot": one.slot_id, "showing": numbers[one.token]} for one in taken if one.slot_id is not None
    ]
    if filled:
        place = sa.update(slots).where(slots.c.id == sa.bindparam("slot"))
        connection.execute(place.values(showing_id=sa.bindparam("showing"), done=True), filled)


def _status(row: Any) -> Status:
    return "refused" if row.state == "skipped" else "ok"


def _preference(row: Any) -> Preference:
    remarks = row.remarks or {}
    return Preference(
        id=_preference_id(row.name, row.text_id),
        comparison_id=row.text_id,
        rater=row.name,
        shown=row.shown,
        label=row.answer["pairwise"],
        both_bad=bool(remarks.get("both_bad")),
        strength=remarks.get("strength"),
        criteria={
            name: cast(Label, TO_STUDY[row.shown][place])
            for name, place in remarks.get("criteria", {}).items()
        },
        status=_status(row),
        raw=remarks.get("text"),
        seconds=row.seconds,
        at=iso(row.answered_at),
    )


def _grades(row: Any) -> list[Grade]:
    return [
        Grade(
            id=_grade_id(row.name, row.text_id, scale),
            item_id=row.text_id,
            rater=row.name,
            scale=scale,
            value=value,
            status=_status(row),
            raw=(row.remarks or {}).get("text"),
            seconds=row.seconds,
            at=iso(row.answered_at),
        )
        for scale, value in row.answer.items()
    ]
