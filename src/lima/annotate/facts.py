"""What a database belongs to, and whether its study is closed: only then may anything say which system was which."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.people import record
from lima.annotate.tables import facts
from lima.errors import LimaError
from lima.evaluate.protocol import Protocol, read_protocol
from lima.evaluate.study import Study

DATABASE_NAME, PILOT_DATABASE_NAME = "annotations.sqlite", "pilot.sqlite"
CLOSED = "closed"
TEXTS, PLAN = "texts", "plan"
COOKIES = "cookies"


def claim(
    base: Database, place: Path, identity: Mapping[str, object], begin: Callable[[sa.Connection], None]
) -> None:
    """Note in an empty database what it belongs to and ``begin`` there; check that any other belongs to the same.

    ``identity`` has a hash of the ``texts``, and the settings that votes depend on (``plan``).

    Raises:
        LimaError: it belongs to other texts, or its study was begun with other settings.
    """
    with base.write() as connection:
        found = {str(row.name): row.value for row in connection.execute(sa.select(facts))}
        if found:
            _refuse_difference(place, found, identity)
            return
        rows = [{"name": name, "value": value} for name, value in identity.items()]
        connection.execute(sa.insert(facts), rows)
        begin(connection)


def database_path(place: Path) -> Path:
    """The SQLite file of a study: a pilot has one of its own, so that the study begins with an empty one."""
    path = Study(place).protocol
    is_pilot = path.exists() and read_protocol(path).pilot
    return place / (PILOT_DATABASE_NAME if is_pilot else DATABASE_NAME)


def of_pilot(protocol: Protocol) -> dict[str, object]:
    """The part of a plan that keeps a pilot's database apart from the study's."""
    return {"pilot": True} if protocol.pilot else {}


def drawn_once(base: Database, name: str) -> str:
    """A random word that stays with the database: its name in cookies, or what nobody outside may foretell."""
    with base.write() as connection:
        found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == name))
        if found is None:
            found = secrets.token_hex(16)
            connection.execute(sa.insert(facts).values(name=name, value=found))
    return str(found)


def close_study(base: Database, now: float) -> None:
    """Close it; closing twice is closing once. Nothing opens it again."""
    with base.write() as connection:
        if connection.scalar(sa.select(facts.c.name).where(facts.c.name == CLOSED)) is None:
            connection.execute(sa.insert(facts).values(name=CLOSED, value=now))
            record(connection, "close", now)


def is_closed(base: Database) -> bool:
    """Whether the lead has closed the study."""
    with base.read() as connection:
        return connection.scalar(sa.select(facts.c.name).where(facts.c.name == CLOSED)) is not None


def _refuse_difference(place: Path, found: Mapping[str, object], identity: Mapping[str, object]) -> None:
    if found.get(TEXTS) != identity[TEXTS]:
        raise LimaError(
            f"{place}: the database holds answers to other texts. The study's comparisons, items or openings have "
            "changed since; bring the old files back, or choose another --database."
        )
    before, after = found.get(PLAN), identity[PLAN]
    assert isinstance(before, dict), before
    assert isinstance(after, dict), after
    changes = [
        f"{name}: {before.get(name)} there, {after.get(name)} here"
        for name in {**after, **before}
        if before.get(name) != after.get(name)
    ]
    if changes:
        raise LimaError(
            f"{place}: this study was begun with another plan ({'; '.join(changes)}). "
            "Repeat those settings, or choose another --database."
        )
