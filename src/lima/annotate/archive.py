"""All that a study's database holds as one JSON Lines file, and back: from SQLite to PostgreSQL, or to another machine.

The first line says which version of the tables the rows are of; then comes one row a line, ``{"table", "row"}``. Ways
in (sessions, invitations, a panel's ids) stay behind, even as hashes: whoever comes back gets a new link from the lead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import JsonValue
from sqlalchemy.exc import SQLAlchemyError

from lima import console
from lima.annotate.database import Database
from lima.annotate.migrate import newest, prepare, upgrade, version
from lima.annotate.settings import DatabaseSettings
from lima.annotate.tables import facts, invitations, metadata, panel_visits, raters, sessions
from lima.errors import InputError, LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Record

SECRET_TABLES = (sessions.name, invitations.name, panel_visits.name)
SECRET_COLUMNS = {raters.name: {"external_hash"}}
ROWS_AT_ONCE = 1_000


class TableRow(Record):
    """A row of a table; in the first line of a file ``table`` is ``version`` and the row names it."""

    table: str
    row: dict[str, JsonValue]


def database(settings: DatabaseSettings) -> None:
    """Run ``lima database``.

    Raises:
        LimaError: no database there, or as `export_database` and `import_database`.
    """
    base = Database(settings.url)
    try:
        before = version(base)
        if settings.action == "upgrade":
            upgrade(base)
        elif settings.file is not None:
            moved = (export_database if settings.action == "export" else import_database)(base, settings.file)
            console.note(f"{settings.action}: {moved:,} rows")
        console.note(
            f"tables: version {version(base) or 'none'}, newest {newest()}, before {before or 'none'}"
        )
    finally:
        base.close()


def export_database(base: Database, path: Path) -> int:
    """Write all rows in the order of the tables' foreign keys, and of their ids; returns their number.

    Raises:
        LimaError: the tables are of another version, or there are none.
    """
    if version(base) != newest():
        raise LimaError("the database has no tables of this version. First: lima database upgrade")
    with base.read() as connection:
        lines = list(_lines(connection))
    write_jsonl(path, [TableRow(table="version", row={"version": newest()}), *lines])
    return len(lines)


def import_database(base: Database, path: Path) -> int:
    """Put the rows of a file into an empty database, all or none; returns their number.

    Raises:
        LimaError: the database is not empty, the file is of another version, or its rows do not fit.
    """
    prepare(base)
    first, *lines = read_jsonl(path, TableRow)
    if first.table != "version" or first.row.get("version") != newest():
        found = first.row.get("version") if first.table == "version" else None
        raise InputError(path, 1, f"rows of tables of version {found}; this lima has {newest()}.")
    with base.write() as connection:
        if connection.scalar(sa.select(sa.func.count()).select_from(facts)):
            raise LimaError("the database holds a study already. Give an empty one.")
        for name, rows in groupby(lines, key=attrgetter("table")):
            table = metadata.tables.get(name)
            if table is None or name in SECRET_TABLES:
                raise LimaError(f"{path}: there is no table {name!r}.")
            try:
                _insert(connection, table, [line.row for line in rows])
            except SQLAlchemyError as error:
                reason = str(getattr(error, "orig", error)).splitlines()[0]
                raise LimaError(f"{path}: a row of {name} does not fit ({reason}).") from None
    return len(lines)


def _lines(connection: sa.Connection) -> Iterator[TableRow]:
    for table in metadata.sorted_tables:
        if table.name in SECRET_TABLES:
            continue
        hidden = SECRET_COLUMNS.get(table.name, set())
        for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings():
            yield TableRow(table=table.name, row={k: v for k, v in row.items() if k not in hidden})


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:  # an absent value is NULL; None in a column of JSON would be the word null
        given = {name: value for name, value in row.items() if value is not None}
        alike[frozenset(given)].append(given)
    for group in alike.values():
        for start in range(0, len(group), ROWS_AT_ONCE):
            connection.execute(sa.insert(table), group[start : start + ROWS_AT_ONCE])
    numbered = "id" in table.c and isinstance(table.c.id.type, sa.Integer)
    if connection.dialect.name == "postgresql" and numbered:  # its counters do not see ids that are given
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        connection.execute(sa.select(sa.func.setval(sequence, highest)))
