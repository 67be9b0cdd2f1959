"""A connection to the web app's database, SQLite or PostgreSQL, with one way to read and one to write.

SQLite: write-ahead log, foreign keys checked, votes on the disk before they are acknowledged (`DiskSync`), and ``BEGIN
IMMEDIATE`` for writes: a deferred transaction that upgrades fails at once whatever the timeout.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, NoSuchModuleError, SQLAlchemyError

from lima.errors import LimaError
from lima.extras import install

BUSY_SECONDS = 5.0
"""How long another process may hold SQLite's write lock before a write fails."""
CONNECTIONS = 20
COMMITS_BETWEEN_CHECKPOINTS = 500
"""Of durable transactions, in SQLite's log: about 20 MB."""
LONGEST_LOG = 20_000
"""Pages after which SQLite moves its log into the database by itself, whoever waits: what `DiskSync` should forestall."""
IDLE_SECONDS = 5.0
"""A connection that was not used for so long is asked whether it still lives before it is used again."""


class Database:
    """Transactions on one database. `write` serialises writers on SQLite, which has one writer at a time."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._quick = self.engine if self.is_sqlite else open_engine(url, durable=False)
        # Threads of this process queue here, in order; SQLite's own busy handler sleeps in growing steps.
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()
        self._disk = DiskSync(Path(f"{self.engine.url.database}-wal"))

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
        if durable and self.is_sqlite and self._disk.sync() % COMMITS_BETWEEN_CHECKPOINTS == 0:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Move SQLite's log into the database beside the writers, then, while they wait, the little that came meanwhile."""
        self._move_log()
        with self._writing:
            self._move_log()

    def _move_log(self) -> None:
        with self.engine.connect() as connection, suppress(sa.exc.OperationalError):  # another one is at it
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # type: ignore[union-attr]

    def empty_log(self) -> None:
        """What was deleted leaves SQLite's log too: it stands there until the log is written over."""
        if self.is_sqlite:
            with self._writing, self.engine.connect() as connection, suppress(sa.exc.OperationalError):
                connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._quick.dispose()


class DiskSync:
    """Waits until SQLite's log is on the disk, for all transactions at once that were committed meanwhile.

    With ``synchronous=NORMAL`` a commit writes to the log and does not wait for the disk; whoever acknowledges a vote waits
    here, after it has let other writers in. With ``FULL`` every commit waits inside of the one lock that all writers share,
    and raters wait for the sum of these.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._changed = threading.Condition()
        self._begun = self._done = self._waits = 0
        self._running = False
        self._broken = False

    def sync(self) -> int:
        """Return once a sync that began after this call has ended, with the number of calls so far.

        Raises:
            sqlalchemy.exc.OperationalError: the disk failed, now or before: what it has of the log is not known any more.
        """
        with self._changed:
            self._waits += 1
            number, wanted = self._waits, self._begun + 1
            while self._done < wanted and not self._broken:
                if self._running:
                    self._changed.wait()
                else:
                    self._run()
            if self._broken:
                raise sa.exc.OperationalError("sync", None, OSError(f"{self.log}: the disk failed"))
        return number

    def _run(self) -> None:
        """One sync for all who wait by now; others gather meanwhile."""
        self._running, self._begun = True, self._begun + 1
        self._changed.release()
        try:
            is_kept = _synced(self.log)
        finally:
            self._changed.acquire()
            self._running = False
        self._done, self._broken = self._begun, not is_kept
        self._changed.notify_all()


def _synced(path: Path) -> bool:
    """Whether a file is on the disk; one that is gone was moved into the database, which SQLite syncs itself."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return sa.URL.create("sqlite", database=str(path.resolve())).render_as_string()


def open_engine(url: str, *, durable: bool = True) -> sa.Engine:
    """The engine for ``sqlite:///...`` or ``postgresql://...``; raises `LimaError` for anything else.

    Not ``durable``: PostgreSQL acknowledges commits before they are on the disk, as SQLite always does (`DiskSync`).
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
    sa.event.listen(engine, "connect", _prepare_sqlite)
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


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own accord
    pragmas = (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",  # a name that the lead deletes must not stay in the file
        f"wal_autocheckpoint={LONGEST_LOG}",
    )
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
