"""HTTP/1.1 for our servers, as uvicorn has it, with an end to patience: who never sends the whole request is cut off.

Without it a connection that sends half a header stays for good, and a thousand of them cost the visitor nothing.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

UNFINISHED = (h11.IDLE, h11.SEND_BODY)
"""States of a client that has not yet sent all of its request."""


class PatientProtocol(H11Protocol):
    """A connection; uvicorn itself ends those that rest between two requests."""

    seconds: ClassVar[float] = 60.0
    """How long a request may take to arrive."""
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request from now on."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request; with its first piece the time begins."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self.conn.their_state not in UNFINISHED:
            self._forget()
        elif self._end is None:
            self._end = self.loop.call_later(self.seconds, self.transport.close)

    def _forget(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
