"""``lima annotate``: open the study and its database, then serve the pages until Ctrl-C."""

from __future__ import annotations

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

import uvicorn

from lima import console
from lima.annotate.app import ANY_ADDRESS, create_app
from lima.annotate.compare import open as compare
from lima.annotate.database import Database, sqlite_url
from lima.annotate.dialogue import open as dialogue
from lima.annotate.migrate import prepare
from lima.annotate.panel import read_ids
from lima.annotate.render import CACHED_TEXTS, to_html
from lima.annotate.review import open as review
from lima.annotate.security import log
from lima.annotate.settings import AnnotateSettings, Mode
from lima.annotate.tables import now
from lima.annotate.work import Kind
from lima.errors import LimaError
from lima.remote.listening import is_loopback, until_stopped

DATABASE_NAME = "annotations.sqlite"
SECRET_NAME = ".lead-secret"
SHORTEST_SECRET = 16
SWITCH_SECONDS = 0.001
"""How soon a busy thread makes way for another: requests are a few milliseconds long, Python's default is five."""
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection: who closes first must not be the server, under a vote."""
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
    settings.place.mkdir(parents=True, exist_ok=True)
    base = Database(settings.database or sqlite_url(settings.place / DATABASE_NAME))
    prepare(base)
    work = KINDS[settings.mode].open_work(settings, base, now)
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
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            forwarded_allow_ips=list(settings.proxies),
        )
        with until_stopped():
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        base.close()


def render_ahead(texts: Iterable[str]) -> None:
    """Render texts before they are asked for: it is half of the work of presentation an item."""
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


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or a `LimaError` when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(2048)
    except OSError as error:
        found.close()
        reason = (error.strerror or str(error)).lower()
        raise LimaError(f"{host}:{port}: cannot listen there ({reason}). Choose another --port.") from None
    return found


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
