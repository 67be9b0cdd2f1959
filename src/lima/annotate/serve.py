"""``lima annotate``: open the study and its database, then serve the pages until Ctrl-C."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from sqlalchemy.exc import DatabaseError

from lima import console
from lima.annotate.app import ANY_ADDRESS, create_app
from lima.annotate.compare import open as compare
from lima.annotate.database import Database, sqlite_url
from lima.annotate.dialogue import open as dialogue
from lima.annotate.facts import DATABASE_NAME, database_path
from lima.annotate.migrate import prepare
from lima.annotate.panel import read_ids
from lima.annotate.render import CACHED_TEXTS, to_html
from lima.annotate.review import open as review
from lima.annotate.security import log
from lima.annotate.settings import AnnotateSettings, Mode
from lima.annotate.tables import now
from lima.annotate.work import AnnotationWork, Kind
from lima.errors import LimaError
from lima.remote.listening import is_loopback, listen, run_app, until_stopped

SECRET_NAME = ".lead-secret"
LOCK_NAME = ".annotate-lock"
SHORTEST_SECRET = 16
SWITCH_SECONDS = 0.001
"""How soon a busy thread makes way for another: requests are a few milliseconds long, Python's default is five."""
KINDS: dict[Mode, Kind] = {"compare": compare, "dialogue": dialogue, "review": review}


def annotate(settings: AnnotateSettings) -> None:
    """Serve a study.

    Raises:
        LimaError: no study, no folder of --review, a database of another study or plan, a port in use, a bad secret
            file.
    """
    KINDS[settings.mode].describe(settings)
    read_ids(settings)
    if settings.dry_run:
        console.note("dry run: nothing was written, no page was served")
        return
    alone = only_server(settings.place / LOCK_NAME)
    base = Database(settings.database or sqlite_url(_database(settings)))
    alone_there = only_server(Path(f"{base.engine.url.database}-server")) if base.is_sqlite else alone
    work = open_database(settings, base)
    secret_file = settings.lead_secret_file or settings.place / SECRET_NAME
    app = create_app(settings, work, base, lead_secret=lead_secret(secret_file))
    listening = listen(settings.host, settings.port)
    threading.Thread(target=render_ahead, args=(work.shown(),), daemon=True).start()
    _announce(settings, listening, secret_file)
    if settings.log_requests:
        logging.basicConfig(format="%(asctime)s %(message)s")
        log.setLevel(logging.INFO)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with until_stopped():
            run_app(app, listening, proxies=settings.proxies)
    finally:
        base.close()
        alone.close()
        alone_there.close()


def _database(settings: AnnotateSettings) -> Path:
    return settings.place / DATABASE_NAME if settings.mode == "review" else database_path(settings.place)


def open_database(settings: AnnotateSettings, base: Database) -> AnnotationWork:
    """The work with its plan in the database; raises `LimaError` also for a database that is damaged or read-only."""
    try:
        _refuse_damage(base)
        prepare(base)
        return KINDS[settings.mode].open_work(settings, base, now)
    except DatabaseError as error:
        reason = str(error.orig).splitlines()[0]
        where = base.engine.url.render_as_string()
        raise LimaError(
            f"{where}: the database cannot be used ({reason}). Bring back a copy of it, or choose another --database."
        ) from None


def _refuse_damage(base: Database) -> None:
    """A file that lost its end opens well, and fails at some vote."""
    if base.is_sqlite:
        with base.look() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise DatabaseError("PRAGMA quick_check", None, Exception(found))


def only_server(path: Path) -> IO[str]:
    """A lock that lasts until it is closed: two servers would give the same places twice from their memories.

    Args:
        path: a file in the study's folder, or beside its database, which another folder's server may name too.

    Raises:
        LimaError: another server has the study, or nothing can be written into its folder.
    """
    place = path.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise LimaError(f"{place}: cannot write there ({error.strerror}).") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise LimaError(f"{place}: another lima annotate serves this study already. Stop it first.") from None
    return lock


def render_ahead(texts: Iterable[str]) -> None:
    """Render texts before they are asked for: it is half of the work of showing an item."""
    for text in itertools.islice(texts, CACHED_TEXTS):
        to_html(text)
        time.sleep(0.002)  # requests go first


def lead_secret(path: Path) -> str:
    """The secret of the lead's console; made, for its owner's eyes only, where there is none."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(24) + "\n")
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < SHORTEST_SECRET:
        raise LimaError(
            f"{path}: the secret has {len(secret)} characters; {SHORTEST_SECRET} or more are needed."
        )
    return secret


def _announce(settings: AnnotateSettings, listening: socket.socket, secret_file: Path) -> None:
    port = listening.getsockname()[1]
    host = socket.gethostname() if settings.host in ANY_ADDRESS else settings.host
    place = settings.public_url or f"http://{host}:{port}"
    console.note(f"lead's console  {place}/lead   (its secret is in {secret_file})")
    console.note("raters come in by the links that you make there; Ctrl-C stops, and nothing is lost")
    if not is_loopback(settings.host) and not (settings.public_url or "").startswith("https"):
        console.warn(
            f"{settings.host} can be reached from other machines without encryption. Put a proxy with TLS before it."
        )
