"""Brings the database's tables to this version (Alembic): by itself on SQLite, by ``lima database`` on PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from lima import console
from lima.annotate.database import Database
from lima.commands import command as shell_command
from lima.errors import LimaError

FOLDER = Path(__file__).parent / "migrations"


def prepare(base: Database) -> None:
    """Make the tables of an empty database; bring an older SQLite file forward, after a copy of it.

    Raises:
        LimaError: an older PostgreSQL database, which its owner should back up first, or a newer one.
    """
    found = version(base)
    if found == newest():
        return
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise LimaError(
            f"the database has tables of a newer lima (version {found}). Use that version of lima, or a newer one."
        )
    if found is not None and not base.is_sqlite:
        url = base.engine.url.render_as_string()
        raise LimaError(
            f"the database has older tables (version {found}). Back it up, then: {shell_command('database', 'upgrade', url)}"
        )
    upgrade(base)


def upgrade(base: Database) -> None:
    """Apply what is missing; an SQLite file that has tables is copied beside itself first."""
    found = version(base)
    if found == newest():
        return
    if base.is_sqlite and found is not None:
        console.note(f"copied the database to {copy_sqlite(base, found)}")
    with base.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version(base: Database) -> str | None:
    """The version of the tables there; None where there are none."""
    with base.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The version that this code works with."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(FOLDER))


def copy_sqlite(base: Database, found: str) -> Path:
    """A copy of an SQLite file beside it, named by the version of its tables."""
    name = base.engine.url.database
    assert name, "an SQLite file has a path"
    target = Path(f"{name}.{found}.backup")
    with closing(sqlite3.connect(name)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target
