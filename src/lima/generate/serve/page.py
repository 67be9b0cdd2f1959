"""``lima serve --page``: three static files in which people talk with the models through the server's own API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

FOLDER = Path(__file__).with_name("page_files")
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Nothing but the page's own two files is loaded, and only this server is asked."""


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/``. It holds nothing secret: the key, where one is set, is asked for in the page."""
    for path, name in FILES.items():
        app.add_api_route(path, _file(name), include_in_schema=False)


def _file(name: str) -> Callable[[], Awaitable[FileResponse]]:
    async def reply() -> FileResponse:
        return FileResponse(FOLDER / name, headers=HEADERS)

    return reply
