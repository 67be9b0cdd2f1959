"""A study is open until its lead closes it: only then may anything say which system was which."""

from __future__ import annotations

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.people import record
from lima.annotate.tables import facts

NAME = "closed"


def close_study(base: Database, now: float) -> None:
    """Close it; closing twice is closing once. Nothing opens it again."""
    with base.write() as connection:
        if connection.scalar(sa.select(facts.c.name).where(facts.c.name == NAME)) is None:
            connection.execute(sa.insert(facts).values(name=NAME, value=now))
            record(connection, "close", now)


def is_closed(base: Database) -> bool:
    """Whether the lead has closed the study."""
    with base.read() as connection:
        return connection.scalar(sa.select(facts.c.name).where(facts.c.name == NAME)) is not None
