"""A server on the loopback that answers each chat request as a test says: any status, header and body."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[dict[str, Any], int], web.Response]
"""From a request's body, and how often this very body has come before, to the response."""


def said(content: Any, reason: str | None = "stop", **beside: Any) -> web.Response:
    """A chat reply; ``beside``: further fields of the reply, such as ``usage``."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return web.json_response({"choices": [choice], "usage": usage} | beside)


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run the server; yields its URL (without /v1) and the bodies of the requests as they come."""
    bodies: list[dict[str, Any]] = []

    async def complete(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        before = bodies.count(body)
        bodies.append(body)
        return answer(body, before)

    with listening(complete) as port:
        yield f"http://127.0.0.1:{port}", bodies


@contextmanager
def listening(handler: Callable[[web.Request], Awaitable[web.Response]]) -> Iterator[int]:
    """Run a server that answers every POST by ``handler``; yields its port."""
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
