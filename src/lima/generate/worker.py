"""The engine in a thread of its own, for a server: requests in, their steps out into asyncio."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from lima.generate.engine import Engine
from lima.generate.requests import Request, Step


class Busy(Exception):
    """As many requests are open as the worker takes."""


class Broken(Exception):
    """The engine failed and the worker has ended."""


@dataclass
class Counts:
    """What happened since the start, for ``/metrics``."""

    requests: int = 0
    cancelled: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    finished: dict[str, int] = field(default_factory=dict)


class Worker:
    """Runs an engine; `stream` is its one door.

    Args:
        engine: belongs to the worker's thread from now on.
        most_open: requests that may wait or run at once; more are refused with `Busy`.
    """

    def __init__(self, engine: Engine, *, most_open: int = 256) -> None:
        self.counts = Counts()
        self.failure: Exception | None = None
        self._engine, self._most_open = engine, most_open
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._outboxes: dict[str, asyncio.Queue[Step | None]] = {}
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)

    def start(self) -> None:
        """Begin; to be called in the running event loop that will await `stream`."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the step it is in."""
        self._inbox.put(None)
        self._thread.join()

    @property
    def open(self) -> int:
        """Requests that wait or run."""
        return len(self._outboxes)

    @property
    def running(self) -> int:
        """Requests that grow now."""
        return self._engine.running

    def check_room(self, count: int) -> None:
        """Raise `Busy` when ``count`` more requests are too many, or `Broken`."""
        if self.failure is not None:
            raise Broken(str(self.failure))
        if len(self._outboxes) + count > self._most_open:
            self.counts.refused += 1
            raise Busy

    async def stream(self, request: Request) -> AsyncGenerator[Step, None]:
        """The steps of one request; leaving the iteration before its end cancels it."""
        outbox: asyncio.Queue[Step | None] = asyncio.Queue()
        self._outboxes[request.id] = outbox
        self.counts.requests += 1
        self.counts.prompt_tokens += len(request.prompt)
        self._inbox.put(lambda: self._engine.submit(request))
        finished = False
        try:
            while not finished:
                step = await outbox.get()
                if step is None:
                    raise Broken(str(self.failure))
                finished = step.answer is not None
                self._count(step)
                yield step
        finally:
            del self._outboxes[request.id]
            if not finished:
                self.counts.cancelled += 1
                self._inbox.put(lambda: self._engine.cancel(request.id))

    def _count(self, step: Step) -> None:
        self.counts.generated_tokens += step.token is not None
        if step.answer is not None:
            reason = step.answer.finish_reason
            self.counts.finished[reason] = self.counts.finished.get(reason, 0) + 1

    def _work(self) -> None:
        try:
            while self._take_orders():
                if steps := self._engine.step():
                    self._loop.call_soon_threadsafe(self._deliver, steps)
        except Exception as failure:  # told to everyone who waits; the thread cannot go on
            self.failure = failure
            self._loop.call_soon_threadsafe(self._fail)

    def _take_orders(self) -> bool:
        """Do what has come in; wait for something where the engine is idle. False ends the work."""
        while not (self._engine.busy and self._inbox.empty()):
            order = self._inbox.get()
            if order is None:
                return False
            order()
        return True

    def _deliver(self, steps: list[Step]) -> None:
        for step in steps:
            if outbox := self._outboxes.get(step.request.id):
                outbox.put_nowait(step)

    def _fail(self) -> None:
        for outbox in self._outboxes.values():
            outbox.put_nowait(None)
