"""What the lead did, from the events: links, removals, decisions, exports; for the lead alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.languages import Said
from lima.annotate.tables import events, iso, raters, units

KINDS = {
    "lead": Said("signed in"),
    "invite": Said("made a link"),
    "revoke_invitation": Said("revoked a link"),
    "revoked": Said("ended the access of"),
    "excluded": Said("excluded"),
    "adjudicate": Said("decided"),
    "forget": Said("deleted the panel's ids"),
    "forget_person": Said("deleted the personal data of"),
    "export": Said("exported"),
    "close": Said("closed the study"),
}
COLUMNS = ("at", "did", "whom", "details")


@dataclass(frozen=True)
class LogEntry:
    """One thing that the lead did."""

    at: str
    did: str
    whom: str
    details: str

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        return self.at, self.did, self.whom, self.details


def lead_log(base: Database) -> list[LogEntry]:
    """Everything that the lead did, the last first."""
    query = sa.select(events.c.at, events.c.kind, events.c.payload, raters.c.name).outerjoin(
        raters, raters.c.id == events.c.rater_id
    )
    with base.read() as connection:
        rows = connection.execute(query.where(events.c.kind.in_(KINDS)).order_by(events.c.id.desc())).all()
        texts: dict[int, str] = dict(connection.execute(sa.select(units.c.id, units.c.text_id)).all())
        names: dict[int, str] = dict(connection.execute(sa.select(raters.c.id, raters.c.name)).all())
    return [
        LogEntry(
            iso(row.at),
            KINDS[row.kind],
            row.name or names.get(row.payload.get("rater_id"), ""),
            _details(row.payload, texts),
        )
        for row in rows
    ]


def _details(payload: dict[str, Any], texts: dict[int, str]) -> str:
    """The payload in words; rows of the database appear by the names that people know."""
    found = {name: value for name, value in payload.items() if value and name != "rater_id"}
    if "unit" in found:
        found = {"comparison": texts.get(found.pop("unit"), "")} | found
    return ", ".join(f"{name}: {value}" for name, value in found.items())
