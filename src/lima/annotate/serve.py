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
from pathlib import Path

from lima import console
from lima.annotate.app import create_app
from lima.annotate.compare import plan
from lima.annotate.compare.texts import Texts, read_texts
from lima.annotate.database import Database, sqlite_url
from lima.annotate.migrate import prepare
from lima.annotate.render import CACHED_TEXTS, to_html
from lima.annotate.security import log
from lima.annotate.settings import AnnotateSettings
from lima.annotate.tables import now
from lima.annotate.work import describe_work, open_work
from lima.errors import LimaError
from lima.remote.listening import is_loopback, listen, run_app, until_stopped

DATABASE_NAME = "annotations.sqlite"
SECRET_NAME = ".lead-secret"
SHORTEST_SECRET = 16
SWITCH_SECONDS = 0.001
"""How soon a busy thread makes way for another: requests are a few milliseconds long, Python's default is five."""


def annotate(settings: AnnotateSettings) -> None:
    """Serve a study.

    Raises:
        LimaError: no study, no folder of --review, a database of another study or plan, a port in use, a bad secret
            file.
    """
    if settings.review is not None and not settings.place.is_dir():
        raise LimaError(
            f"{settings.place}: no such folder. Make the candidates: "
            f"lima curate RECIPE --input RAW --out DATA --review {settings.review}"
        )
    texts = read_texts(settings)
    describe_work(settings, texts)
    if settings.dry_run:
        console.note("dry run: nothing was written, no page was served")
        return
    settings.place.mkdir(parents=True, exist_ok=True)
    base = Database(settings.database or sqlite_url(settings.place / DATABASE_NAME))
    prepare(base)
    plan.install(base, texts, settings, now())
    secret_file = settings.lead_secret_file or settings.place / SECRET_NAME
    work = open_work(settings, base, now)
    app = create_app(settings, texts, base, lead_secret=lead_secret(secret_file), work=work)
    listening = listen(settings.host, settings.port)
    threading.Thread(target=render_ahead, args=(texts,), daemon=True).start()
    _announce(settings, listening, secret_file)
    if settings.log_requests:
        logging.basicConfig(format="%(asctime)s %(message)s")
        log.setLevel(logging.INFO)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with until_stopped():
            run_app(app, listening)
    finally:
        base.close()


def render_ahead(texts: Texts) -> None:
    """Render texts before they are asked for: it is half of the work of showing an item."""
    for text in itertools.islice(texts.shown(), CACHED_TEXTS):
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
    place = settings.public_url or f"http://{settings.host}:{port}"
    console.note(f"lead's console  {place}/lead   (its secret is in {secret_file})")
    console.note("raters come in by the links that you make there; Ctrl-C stops, and nothing is lost")
    if not is_loopback(settings.host) and not (settings.public_url or "").startswith("https"):
        console.warn(
            f"{settings.host} can be reached from other machines without encryption. Put a proxy with TLS before it."
        )
