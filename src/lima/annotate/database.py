"""A connection to the web app's database, SQLite or PostgreSQL, with one way to read and one to write.

SQLite: write-ahead log, foreign keys checked, votes on the disk before they are acknowledged (``synchronous=FULL``),
and ``BEGIN IMMEDIATE`` for writes: a deferred transaction that upgrades fails at once whatever the timeout.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, NoSuchModuleError, SQLAlchemyError

from lima.errors import LimaError
from lima.extras import install

BUSY_SECONDS = 5.0
"""How long another process may hold SQLite's write lock before a write fails."""
CONNECTIONS = 20
IDLE_SECONDS = 5.0
"""A connection that was not used for so long is asked whether it still lives before it is used again."""


class Database:
    """Transactions on one database. `write` serialises writers on SQLite, which has one writer at a time."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._quick = open_engine(url, durable=False)
        # Threads of this process queue here, in order; SQLite's own busy handler sleeps in growing steps.
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; nothing may be changed in it."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def look(self) -> Iterator[sa.Connection]:
        """For one statement: it is a consistent view by itself, and PostgreSQL is spared two messages."""
        engine = self.engine if self.is_sqlite else self._autocommit
        with engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """A transaction that is on the disk when the block ends, or has not happened.

        Not ``durable``: a killed process loses nothing either, but a power cut may undo it. For what would only be
        done again, such as choosing the next item; it spares a wait for the disk.
        """
        engine = self.engine if durable else self._quick
        with self._writing, engine.connect().execution_options(write=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._quick.dispose()


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return sa.URL.create("sqlite", database=str(path.resolve())).render_as_string()


def open_engine(url: str, *, durable: bool = True) -> sa.Engine:
    """The engine for ``sqlite:///...`` or ``postgresql://...``; raises `LimaError` for anything else.

    Not ``durable``: commits are acknowledged before they are on the disk.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise LimaError(f"{url}: no database address. Expected postgresql://user@host/name.") from None
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        return _postgresql(parsed, durable)
    if kind != "sqlite":
        raise LimaError(f"{kind}: only sqlite and postgresql databases are known.")
    if not parsed.database or parsed.database == ":memory:":
        raise LimaError(
            f"{url}: a study is kept in a file. Expected sqlite:///studies/first/annotations.sqlite."
        )
    file = Path(parsed.database)
    if not file.parent.is_dir():
        raise LimaError(f"{file.parent}: no such folder, for the SQLite database {file.name}.")
    if file.exists() and not _is_sqlite(file):
        raise LimaError(f"{file}: no SQLite database. Name one, or a file that is not there yet.")
    engine = sa.create_engine(
        parsed, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, connect_args={"timeout": BUSY_SECONDS}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite if durable else _prepare_quick_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _is_sqlite(file: Path) -> bool:
    """Whether a file is a database of SQLite, or empty, which is a new one."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(16) in (b"", b"SQLite format 3\0")


def _postgresql(url: sa.URL, durable: bool) -> sa.Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = sa.create_engine(url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS)
        _ping_the_idle(engine)
        if not durable:
            sa.event.listen(engine, "connect", _commit_without_waiting)
        with engine.connect():
            return engine
    except (NoSuchModuleError, ModuleNotFoundError):
        raise LimaError(f"PostgreSQL needs its driver. Install it: {install('postgresql')}") from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise LimaError(f"{url.render_as_string()}: cannot connect ({reason}).") from None


def _ping_the_idle(engine: sa.Engine) -> None:
    """As the pool's ``pre_ping``, which asks before every use: one message more for each of a request's few."""

    def used(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used", math.inf) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            raise InvalidatePoolError from None

    sa.event.listen(engine, "checkin", used)
    sa.event.listen(engine, "checkout", check)


def _commit_without_waiting(connection: Any, _record: Any) -> None:
    connection.execute("SET synchronous_commit = off")
    connection.commit()


def _prepare_sqlite(connection: Any, _record: Any, synchronous: str = "FULL") -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own accord
    for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_quick_sqlite(connection: Any, record: Any) -> None:
    _prepare_sqlite(connection, record, "NORMAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
