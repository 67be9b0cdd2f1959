"""The web app of one server: pages for raters and for the lead over one database (LIMA, section 4)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import sqlalchemy as sa
from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from lima.annotate import entry_pages
from lima.annotate.database import Database
from lima.annotate.facts import COOKIES, drawn_once, is_closed
from lima.annotate.languages import STATIC, open_language
from lima.annotate.lead import console, files
from lima.annotate.pages import Site, page, saved, site_of, static_root, wants_json
from lima.annotate.security import BY_NUMBER, Elsewhere, Guard, Refused, log
from lima.annotate.settings import AnnotateSettings
from lima.annotate.tables import now
from lima.annotate.work import AnnotationWork

THREADS = 5
"""Requests at work at a time; others wait in order. Python runs one thread at a time, and more of them only take turns
in mid-request: with 40 every one of 200 raters waits longer."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANY_ADDRESS = ("0.0.0.0", "::")
"""Values of --host that listen on every address of the machine."""


def create_app(
    settings: AnnotateSettings,
    work: AnnotationWork,
    base: Database,
    *,
    lead_secret: str,
    clock: Callable[[], float] = now,
) -> FastAPI:
    """Put the app together; ``base`` holds the tables and the plan of ``work`` already."""
    app = FastAPI(
        title="lima annotate", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_with_few_threads
    )
    language = open_language(work.protocol.language, settings.place)
    app.state.site = Site(settings, work, base, clock, lead_secret, drawn_once(base, COOKIES)[:8], language)
    if is_closed(base):
        app.state.site.closed.set()
    for router in (entry_pages.router, *work.routers, console.router, files.router):
        app.include_router(router)
    app.add_api_route("/health", _health)
    app.mount(static_root(), StaticFiles(directory=STATIC))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Elsewhere, _elsewhere)
    app.add_exception_handler(HTTPException, _no_page)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(sa.exc.DataError, _malformed)  # PostgreSQL keeps no NUL
    app.add_exception_handler(sa.exc.IntegrityError, _at_once)
    app.add_exception_handler(sa.exc.DatabaseError, _no_database)
    app.add_middleware(Guard, hosts=_hosts(settings))
    return app


@asynccontextmanager
async def _with_few_threads(_app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _hosts(settings: AnnotateSettings) -> set[str]:
    """Names under which the app answers; others could be a foreign site that points its name at this machine."""
    hosts = {*LOOPBACK, settings.host}
    if settings.public_url:
        hosts.add(urlsplit(settings.public_url).hostname or "")
    if settings.host in ANY_ADDRESS:
        hosts |= {socket.gethostname(), socket.getfqdn(), BY_NUMBER}
    return hosts


async def _health() -> dict[str, str]:
    return {"status": "ok"}


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _problem(request, error.status, error.text, error.to, error.values)


def _elsewhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, Elsewhere)
    return saved(request, error.path)


def _no_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = "There is no such page." if error.status_code == 404 else str(error.detail)
    return _problem(request, error.status_code, text)


def _malformed(request: Request, error: Exception) -> Response:
    text = "The form was incomplete. Open the page again and repeat."
    return _problem(request, 422, text)


def _at_once(request: Request, error: Exception) -> Response:
    """Two requests for the same thing met in the database; one of them is stored."""
    log.warning("two requests met: %s", type(error).__name__)
    text = "This was sent twice at the same time. Open the page again."
    return _problem(request, 409, text)


def _no_database(request: Request, error: Exception) -> Response:
    """Another process holds it, its disk is full, it is damaged, or its server is gone: pages try again by themselves."""
    if isinstance(error, sa.exc.ProgrammingError):  # a fault of ours, which no waiting mends
        raise error
    log.error("the database does not answer: %s", str(getattr(error, "orig", error)).splitlines()[0])
    text = "The study cannot save just now. Wait a little and try again."
    return _problem(request, 503, text)


def _problem(
    request: Request,
    status: int,
    text: str,
    to: str | None = None,
    values: Mapping[str, object] | None = None,
) -> Response:
    title = "That did not work"
    if status == 410:
        title = "The study is closed"
    text = site_of(request).language.say(text, **(values or {}))
    if wants_json(request):
        return JSONResponse({"problem": text}, status)
    return page("message.html", request, status=status, title=title, text=text, to=to)
