"""A connection to the web app's database, SQLite or PostgreSQL, with one way to read and one to write.

SQLite: write-ahead log, foreign keys checked, every commit on the disk before it is acknowledged, and
``BEGIN IMMEDIATE`` for writes: a deferred transaction that upgrades fails at once whatever the timeout. One sync of the
log serves all commits that wait for it (measured: 5 ms each, which 200 a second would queue for).
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, NoSuchModuleError, SQLAlchemyError

from lima.errors import LimaError

BUSY_SECONDS = 30.0
"""How long another process may hold SQLite's write lock before a write fails."""
CONNECTIONS = 20
IDLE_SECONDS = 5.0
"""A connection that was not used for so long is asked whether it still lives before it is used again."""


class Log:
    """SQLite's write-ahead log: brought to the disk once for every commit that waits by then (group commit).

    SQLite itself (``synchronous=NORMAL``) syncs when it moves the log into the file; a commit is safe against power loss
    from the next sync of the log on, and `sync` returns after one that began later than the commit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._lock = threading.Lock()
        self._commits = self._synced = 0

    def committed(self) -> int:
        """Count a commit; called by one writer at a time. The ticket for `sync`."""
        self._commits += 1
        return self._commits

    def sync(self, ticket: int) -> None:
        """Return when the commit is on the disk."""
        with self._lock:
            if self._synced >= ticket:
                return  # another thread's sync began after our commit
            covered = self._commits
            os.fsync(self._open())
            self._synced = covered

    def close(self) -> None:
        """Let go of the file; SQLite removes it with its last connection."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
            os.close(self._descriptor)  # SQLite has begun a new log
            self._descriptor = None
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)  # the log's own entry in its folder
            os.close(folder)
        return self._descriptor


class Database:
    """Transactions on one database. `write` serialises writers on SQLite, which has one writer at a time."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._quick = self.engine if self.is_sqlite else open_engine(url, durable=False)
        # Threads of this process queue here, in order; SQLite's own busy handler sleeps in growing steps.
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()
        name = self.engine.url.database
        self._log = Log(Path(f"{name}-wal")) if self.is_sqlite and name and name != ":memory:" else None

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
        with self._writing:
            with engine.connect().execution_options(write=True) as connection, connection.begin():
                yield connection
            ticket = self._log.committed() if self._log else 0
        if durable and self._log:
            self._log.sync(ticket)

    def close(self) -> None:
        """Close all connections."""
        if self._log:
            self._log.close()
        self.engine.dispose()
        self._quick.dispose()


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return f"sqlite:///{path.resolve()}"


def open_engine(url: str, *, durable: bool = True) -> sa.Engine:
    """The engine for ``sqlite:///...`` or ``postgresql://...``; raises `LimaError` for anything else.

    Not ``durable``: PostgreSQL acknowledges commits before they are on the disk.
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
    engine = sa.create_engine(
        parsed, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, connect_args={"timeout": BUSY_SECONDS}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


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
        raise LimaError(
            "PostgreSQL needs its driver. Install it: pip install 'lima-align[postgresql]'"
        ) from None
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


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own accord
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
