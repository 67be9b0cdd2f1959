"""What our own servers (``lima serve`` and ``lima annotate``) have in common."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lima import console
from lima.errors import LimaError

EXIT_INTERRUPTED = 130
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LARGEST_HEADERS = 64 * 1024
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection: who closes first must not be the server, under a request."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        LimaError: the address is taken or not ours.
    """
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


def run_app(
    app: Any, listening: socket.socket, *, grace: int | None = None, proxies: Sequence[str] = ()
) -> None:
    """Run an ASGI application on a socket until Ctrl-C.

    Args:
        app: the application.
        listening: its socket.
        grace: seconds that open replies have to end after Ctrl-C.
        proxies: addresses whose ``X-Forwarded-For`` is believed.
    """
    import uvicorn  # clients need none

    from lima.remote.patience import PatientProtocol

    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
        http=PatientProtocol,  # of h11, which bounds headers; httptools takes hundreds of megabytes of them
        h11_max_incomplete_event_size=LARGEST_HEADERS,
        forwarded_allow_ips=list(proxies),
    )
    logging.getLogger("uvicorn.error").addFilter(_tells_more_than_the_end)
    uvicorn.Server(config).run(sockets=[listening])


def _tells_more_than_the_end(record: logging.LogRecord) -> bool:
    """False for replies that Ctrl-C has broken off: uvicorn logs each with a traceback, as if something had failed."""
    failure = record.exc_info[1] if record.exc_info else None
    return not isinstance(failure, asyncio.CancelledError) and "graceful shutdown" not in record.getMessage()


@contextmanager
def until_stopped() -> Iterator[None]:
    """Let Ctrl-C end the server that runs in the block, in words of its own: a server has nothing to resume.

    Raises:
        SystemExit: it was stopped; the code is 130, as after every Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        console.note("\nStopped serving.")
        raise SystemExit(EXIT_INTERRUPTED) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on ``host``.

    >>> is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, False)
    """
    return host in LOOPBACK
