"""PostgreSQL: statements that follow one another in the hot path, sent as one (data-modifying ``WITH``).

Each message costs as much as its work: a page of `lima annotate` sent 18, and 200 raters at once waited for them.
SQLite has no messages, and no such ``WITH``. What these statements do is what `lima.annotate.compare.assignment` does in steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from lima.annotate.tables import events, presentations, slots


def open_leased(
    connection: sa.Connection, presentation: Mapping[str, Any], lease: Mapping[str, Any]
) -> int | None:
    """Put a planned vote on a rater's screen and lease it; the presentation's id. None: not on this database."""
    if connection.dialect.name != "postgresql":
        return None
    number: int = connection.execute(OPEN_LEASED, _own({**presentation, **lease})).scalar_one()
    return number


def fill_and_store(connection: sa.Connection, answer: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Fill the presentation's planned vote, store its answer and note the event; False: nothing was done.

    The place was given away, or this is another database.
    """
    if connection.dialect.name != "postgresql":
        return False
    return connection.execute(FILL_AND_STORE, _own({**answer, **event})).first() is not None


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters under names of their own: SQLAlchemy keeps those of columns for itself."""
    return {f"own_{name}": value for name, value in values.items()}


def _parameters(table: sa.Table, *names: str) -> dict[str, sa.BindParameter[Any]]:
    return {name: sa.bindparam(f"own_{name}", type_=table.c[name].type) for name in names}


_opened = (
    sa.insert(presentations)
    .values(
        _parameters(
            presentations, "token", "rater_id", "unit_id", "repeat", "shown", "state", "attempt", "opened_at"
        )
    )
    .returning(presentations.c.id)
    .cte("opened")
)
OPEN_LEASED = (
    sa.update(slots)
    .where(slots.c.id == sa.bindparam("own_slot"))
    .values(showing_id=sa.select(_opened.c.id).scalar_subquery(), lease_until=sa.bindparam("own_lease_until"))
    .returning(slots.c.showing_id)
)

_filled = (
    sa.update(slots)
    .where(slots.c.showing_id == sa.bindparam("own_presentation"))
    .values(done=True)
    .returning(slots.c.id)
    .cte("filled")
)
_stored = (
    sa.update(presentations)
    .where(presentations.c.id == sa.bindparam("own_presentation"), sa.exists(sa.select(_filled.c.id)))
    .values(_parameters(presentations, "state", "answer", "remarks", "answered_at", "seconds"))
    .returning(presentations.c.id)
    .cte("stored")
)
_EVENT = _parameters(events, "key", "kind", "at", "rater_id", "showing_id", "payload")
_noted = (
    sa.insert(events)
    .from_select(list(_EVENT), sa.select(*_EVENT.values()).select_from(_stored))
    .returning(events.c.id)
    .cte("noted")
)
FILL_AND_STORE = sa.select(_noted.c.id)
