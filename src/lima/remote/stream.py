"""One chat answer of an OpenAI-compatible server, piece by piece as it is written (server-sent events)."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from typing import Any

import aiohttp
import orjson

from lima.errors import LimaError
from lima.remote.endpoint import Endpoint
from lima.remote.log import read_answer

CONNECT_SECONDS = 10.0
LONGEST_LINE = 1 << 20


class Rejected(LimaError):
    """The server takes this request never; its words are in the error."""


def stream_answer(
    endpoint: Endpoint, body: dict[str, Any], *, timeout: float = 600.0
) -> Generator[str, None, None]:
    """Ask for ``body`` with ``stream: true``. Leaving the iteration ends the request.

    A server that does not stream gives its answer in one piece.

    Raises:
        LimaError: no connection, an HTTP error, or an answer that broke off.
    """
    pieces: queue.Queue[str | Exception | None] = queue.Queue()
    stop = threading.Event()
    worker = threading.Thread(target=_work, args=(endpoint, body, timeout, pieces, stop), daemon=True)
    worker.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, Exception):
                kind = Rejected if isinstance(piece, Rejected) else LimaError
                raise kind(f"{endpoint.address}: no answer ({endpoint.redact(str(piece))}).") from None
            yield piece
    finally:
        stop.set()


def _work(
    endpoint: Endpoint,
    body: dict[str, Any],
    timeout: float,
    pieces: queue.Queue[str | Exception | None],
    stop: threading.Event,
) -> None:
    async def run() -> None:
        async for piece in _pieces(endpoint, body | {"stream": True}, timeout):
            if stop.is_set():
                return
            pieces.put(piece)

    try:
        asyncio.run(run())
        pieces.put(None)
    except Exception as error:  # handed to the reader, which raises it
        pieces.put(error)


async def _pieces(endpoint: Endpoint, body: dict[str, Any], timeout: float) -> AsyncIterator[str]:
    limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS)
    async with (
        aiohttp.ClientSession(
            timeout=limits,
            headers=endpoint.headers,
            read_bufsize=LONGEST_LINE,
            trust_env=endpoint.through_proxy,
        ) as session,
        session.post(
            endpoint.at("chat/completions"), data=orjson.dumps(body), allow_redirects=False
        ) as response,
    ):
        if response.status != 200:
            why = _excerpt(await response.read())
            kind = Rejected if response.status in (400, 413, 422) else LimaError
            raise kind(f"HTTP {response.status}{why}")
        if "event-stream" not in response.headers.get("content-type", ""):
            answer = read_answer((await response.read()).decode("utf-8", "replace"))
            if answer is None:
                raise LimaError("no chat answer in the reply")
            yield answer.content
            return
        async for line in response.content:
            data = line.strip().removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            if line.startswith(b"data:") and (piece := _piece(data)):
                yield piece
        raise LimaError("the answer broke off")


def _excerpt(body: bytes) -> str:
    """What an error reply says, in short."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        return f": {str(orjson.loads(body)['error']['message'])[:300]}"
    return ""


def _piece(data: bytes) -> str:
    """The text of one event; empty for events that carry none, such as the first with the role."""
    with suppress(orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        event = orjson.loads(data)
        if "error" in event:
            raise LimaError(str(event["error"])[:200])
        text = event["choices"][0]["delta"].get("content")
        return text if isinstance(text, str) else ""
    return ""
