"""Everything that one rater answered, in order: what a lead reads before acting on a mark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lima.annotate.compare.presentations import ANSWERED, GOLD, REPEAT, TO_SCREEN
from lima.annotate.compare.texts import Texts
from lima.annotate.database import Database
from lima.annotate.languages import Said
from lima.annotate.people import NOT_COUNTED
from lima.annotate.tables import iso, presentations, raters, units

SCREEN = {"first": "A", "second": "B", "tie": Said("neither")}
"""A choice, by its place on the rater's screen."""


@dataclass(frozen=True)
class GivenAnswer:
    """One item that a rater answered or skipped."""

    at: str
    seconds: float | None
    asked: str
    said: str
    """On the rater's screen; of ratings each value."""
    others: str
    """How many of those who compared the same said the same."""
    check: str
    """Whether a repeat or a known answer was met."""
    remark: str


def answers_of(base: Database, texts: Texts, rater_id: int, most: int) -> tuple[list[GivenAnswer], int]:
    """The last ``most`` answers of a rater, the last first, and how many there are."""
    query = (
        sa.select(presentations, units.c.task, units.c.text_id)
        .join(units, units.c.id == presentations.c.unit_id)
        .where(presentations.c.rater_id == rater_id, presentations.c.state.in_((*ANSWERED, "skipped")))
        .order_by(presentations.c.answered_at.desc(), presentations.c.id.desc())
    )
    with base.read() as connection:
        rows = connection.execute(query).all()
        labels = _labels_of_others(connection, rater_id, [row.unit_id for row in rows[:most]])
    before = {row.unit_id: row.answer for row in rows if not row.repeat}
    return [_given(row, texts, labels, before) for row in rows[:most]], len(rows)


def _labels_of_others(
    connection: sa.Connection, rater_id: int, unit_ids: Sequence[int]
) -> Mapping[int, list[str]]:
    query = (
        sa.select(presentations.c.unit_id, presentations.c.answer)
        .join(raters, raters.c.id == presentations.c.rater_id)
        .join(units, units.c.id == presentations.c.unit_id)
        .where(
            presentations.c.unit_id.in_(unit_ids),
            presentations.c.rater_id != rater_id,
            presentations.c.repeat == 0,
            presentations.c.state.in_(ANSWERED),
            units.c.task == "pairwise",
            raters.c.state.not_in(NOT_COUNTED),
        )
    )
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.unit_id].append(row.answer["pairwise"])
    return found


def _given(row: Any, texts: Texts, labels: Mapping[int, list[str]], before: Mapping[int, Any]) -> GivenAnswer:
    others = labels.get(row.unit_id, []) if row.state != "skipped" and not row.repeat else []
    same = sum(label == row.answer.get("pairwise") for label in others)
    return GivenAnswer(
        at=iso(row.answered_at)[:19].replace("T", " "),
        seconds=row.seconds,
        asked=_asked(row, texts),
        said=_said(row),
        others=Said("{done} of {all}", done=same, all=len(others)) if others else "",
        check=_check(row, texts, before),
        remark=_remark(row.remarks or {}),
    )


def _asked(row: Any, texts: Texts) -> str:
    is_gone = row.repeat == GOLD and row.text_id not in texts.gold  # --gold has changed since
    return "" if is_gone else texts.messages(row.task, row.text_id)[-1].content


def _said(row: Any) -> str:
    if row.state == "skipped":
        return Said("skipped")
    if row.task == "pairwise":
        return SCREEN[TO_SCREEN[row.shown][row.answer["pairwise"]]]
    return ", ".join(f"{scale}: {value}" for scale, value in row.answer.items())


def _check(row: Any, texts: Texts, before: Mapping[int, Any]) -> str:
    if row.state == "skipped":
        return ""
    if row.repeat == REPEAT:
        return Said("repeat: the same") if row.answer == before.get(row.unit_id) else Said("repeat: another")
    if row.repeat == GOLD and row.text_id in texts.gold:
        is_right = row.answer["pairwise"] == texts.gold[row.text_id].label
        return Said("known: right") if is_right else Said("known: missed")
    return ""


def _remark(remarks: Mapping[str, Any]) -> str:
    """What was written beside the answer."""
    return str(remarks.get("text", ""))
