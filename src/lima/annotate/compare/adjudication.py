"""The lead's decisions on comparisons about which raters disagree. They stand beside the votes and replace none."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.people import record
from lima.annotate.tables import adjudications, iso, units
from lima.evaluate.study import Study, existing_rows
from lima.files import write_jsonl
from lima.records import Label, Record

FILE_NAME = "adjudications.jsonl"


class Adjudication(Record):
    """One decision (``adjudications.jsonl``); ``label`` is in the frame of ``comparisons.jsonl``."""

    comparison_id: str
    label: Label
    reason: str
    at: str


def adjudicate(base: Database, comparison_id: str, label: Label, reason: str, now: float) -> bool:
    """Store a decision, or change it; every one stays among the events. False: there is no such comparison."""
    with base.write() as connection:
        query = sa.select(units.c.id).where(units.c.task == "pairwise", units.c.text_id == comparison_id)
        unit_id = connection.scalar(query)
        if unit_id is None:
            return False
        connection.execute(sa.delete(adjudications).where(adjudications.c.unit_id == unit_id))
        row = {"unit_id": unit_id, "label": label, "reason": reason, "at": now}
        connection.execute(sa.insert(adjudications).values(row))
        record(connection, "adjudicate", now, payload={"unit": unit_id, "label": label, "reason": reason})
    return True


def take_over(connection: sa.Connection, study: Study) -> None:
    """Keep the decisions that the study's files hold, from a former database."""
    found = connection.execute(sa.select(units.c.id, units.c.text_id).where(units.c.task == "pairwise"))
    unit_ids = {row.text_id: row.id for row in found}
    for row in existing_rows(study.folder / FILE_NAME, Adjudication):
        if row.comparison_id in unit_ids:
            at = datetime.fromisoformat(row.at).timestamp()
            values = {"unit_id": unit_ids[row.comparison_id], "label": row.label, "reason": row.reason}
            connection.execute(sa.insert(adjudications).values(values | {"at": at}))
            payload = {"unit": values["unit_id"], "label": row.label, "reason": row.reason, "imported": True}
            record(connection, "adjudicate", at, payload=payload)


def decided(base: Database) -> dict[str, Adjudication]:
    """All decisions by comparison."""
    query = sa.select(adjudications, units.c.text_id).join(units, units.c.id == adjudications.c.unit_id)
    with base.read() as connection:
        rows = connection.execute(query.order_by(units.c.text_id)).all()
    return {
        row.text_id: Adjudication(
            comparison_id=row.text_id,
            label=row.label,
            reason=row.reason,
            at=iso(row.at),
        )
        for row in rows
    }


def write_decisions(study: Study, base: Database) -> int:
    """Write ``adjudications.jsonl``; returns the number of decisions."""
    found = decided(base)
    if found or (study.folder / FILE_NAME).exists():
        write_jsonl(study.folder / FILE_NAME, found.values())
    return len(found)
