"""Attention checks: an earlier comparison again with its sides swapped, and comparisons whose answer is known.

Checks need no planned vote and are never exported. Too many missed known answers end a rater's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from lima.annotate.compare.presentations import (
    ANSWERED,
    GOLD,
    REPEAT,
    Presentation,
    open_presentation,
    side_of,
    votes,
)
from lima.annotate.people import Participant, end_access
from lima.annotate.tables import presentations, units
from lima.files import text_hash
from lima.records import Shown, Side


def due_repeat(connection: sa.Connection, person: Participant, now: float, every: int) -> Presentation | None:
    """The oldest comparison that was not asked again, when a repeat is due."""
    if not every:
        return None
    asked = (presentations.c.state == "answered") | (
        presentations.c.repeat == REPEAT
    )  # a skipped repeat is one
    compared = (units.c.task == "pairwise") & asked
    query = (
        sa.select(
            presentations.c.unit_id,
            presentations.c.shown,
            presentations.c.repeat,
            units.c.task,
            units.c.text_id,
        )
        .join(units, units.c.id == presentations.c.unit_id)
        .where(presentations.c.rater_id == person.id, compared, presentations.c.repeat != GOLD)
        .order_by(presentations.c.id)
    )
    rows = connection.execute(query).all()
    checked = {row.unit_id for row in rows if row.repeat}
    once = [row for row in rows if not row.repeat]
    if len(checked) >= len(once) // every:
        return None
    again = next(row for row in once if row.unit_id not in checked)
    swapped: Shown = "ba" if again.shown == "ab" else "ab"
    return open_presentation(connection, person, again, shown=swapped, now=now, repeat=REPEAT)


def due_gold(
    connection: sa.Connection,
    person: Participant,
    now: float,
    gold: Mapping[str, Side],
    *,
    every: int,
    seed: int,
) -> Presentation | None:
    """A comparison with a known answer, new to this rater, when one is due; the first comes after half a round."""
    if not gold:
        return None
    asked = set(connection.scalars(_asked(person)))
    due = (votes(connection, person) + every - every // 2) // every
    if gold.keys() <= asked or len(asked) >= due:
        return None
    text_id = _next_gold(connection, person, asked, gold, seed)
    unit = connection.execute(
        sa.select(units).where(units.c.task == "pairwise", units.c.text_id == text_id)
    ).first()
    unit_id = unit.id if unit else _add_unit(connection, text_id)
    found = _Unit(unit_id, text_id)
    return open_presentation(
        connection, person, found, shown=side_of(seed + 1, person.name, len(asked)), now=now, repeat=GOLD
    )


def end_after_misses(
    connection: sa.Connection, person: Participant, now: float, gold: Mapping[str, Side], most: int
) -> bool:
    """Whether the rater has missed too many known answers; then its work ends."""
    query = _asked(person).add_columns(presentations.c.answer).where(presentations.c.state.in_(ANSWERED))
    told = [row for row in connection.execute(query) if row.text_id in gold]  # --gold may have changed since
    missed = sum(row.answer["pairwise"] != gold[row.text_id] for row in told)
    if missed < most:
        return False
    end_access(connection, person.id, now, state="failed")
    return True


class _Unit:
    def __init__(self, unit_id: int, text_id: str) -> None:
        self.unit_id, self.text_id, self.task = unit_id, text_id, "pairwise"


def _asked(person: Participant) -> sa.Select[Any]:
    return (
        sa.select(units.c.text_id)
        .join(presentations, presentations.c.unit_id == units.c.id)
        .where(presentations.c.rater_id == person.id, presentations.c.repeat == GOLD)
    )


def _next_gold(
    connection: sa.Connection, person: Participant, asked: set[str], gold: Mapping[str, Side], seed: int
) -> str:
    left = sorted(set(gold) - asked)
    generator = np.random.default_rng(int(text_hash("gold", str(seed), person.name, str(len(asked))), 16))
    return left[int(generator.integers(len(left)))]


def _add_unit(connection: sa.Connection, text_id: str) -> int:
    if connection.dialect.name == "postgresql":  # two raters may be the first at once
        connection.exec_driver_sql("LOCK TABLE units IN SHARE ROW EXCLUSIVE MODE")
        there = connection.scalar(sa.select(units.c.id).where(units.c.text_id == text_id))
        if there is not None:
            return int(there)
    next_id = 1 + (connection.scalar(sa.select(sa.func.max(units.c.id))) or 0)
    row = {"id": next_id, "task": "pairwise", "text_id": text_id, "shared": False}
    connection.execute(sa.insert(units).values(row))
    return next_id
