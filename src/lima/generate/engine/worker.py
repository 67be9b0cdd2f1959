"""The engine in a thread of its own, for a server: requests in, their steps out into asyncio."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import LogProbs, Request, Step
from lima.generate.engine.scoring import prompt_logprobs

MOST_FAILURES = 3
"""Steps in a row that may fail before the worker ends."""


class QueueFull(Exception):
    """As many requests are open as the worker takes."""


class Broken(Exception):
    """The engine failed in the midst of a request, or so often that the worker has ended."""


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
    """Runs an engine; `stream` and `score` are the ways to it.

    Args:
        engine: belongs to the worker's thread from now on.
        most_open: requests that may wait or run at once; more are refused with `QueueFull`.
    """

    def __init__(self, engine: Engine, *, most_open: int = 256) -> None:
        self.counts = Counts()
        self.failure: Exception | None = None
        self._engine, self.most_open, self._taken = engine, most_open, 0
        self._inbox: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._outboxes: dict[str, asyncio.Queue[Step | Exception]] = {}
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
        return self._taken

    @property
    def running(self) -> int:
        """Requests that grow now."""
        return self._engine.running

    @contextmanager
    def room(self, count: int) -> Iterator[None]:
        """Room for ``count`` requests within the block; raises `QueueFull` when they are too many, or `Broken`."""
        if self.failure is not None:
            raise Broken(str(self.failure))
        if self._taken + count > self.most_open:
            self.counts.refused += 1
            raise QueueFull
        self._taken += count
        try:
            yield
        finally:
            self._taken -= count

    async def stream(self, request: Request) -> AsyncGenerator[Step, None]:
        """The steps of one request; leaving the iteration before its end cancels it."""
        outbox: asyncio.Queue[Step | Exception] = asyncio.Queue()
        self._outboxes[request.id] = outbox
        self.counts.requests += 1
        self.counts.prompt_tokens += len(request.prompt)
        self._inbox.put(lambda: self._engine.submit(request))
        finished = False
        try:
            while not finished:
                step = await outbox.get()
                if isinstance(step, Exception):
                    raise Broken(f"{type(step).__name__}: {step}")
                finished = step.answer is not None
                self._count(step)
                yield step
        finally:
            del self._outboxes[request.id]
            if not finished:
                self.counts.cancelled += 1
                self._inbox.put(lambda: self._engine.cancel(request.id))

    async def score(self, prompt: Sequence[int], top: int) -> list[LogProbs]:
        """`prompt_logprobs`, computed between two steps."""
        waiting: Future[list[LogProbs]] = Future()

        def work() -> bool:
            if waiting.set_running_or_notify_cancel():
                try:
                    waiting.set_result(prompt_logprobs(self._engine, prompt, top))
                except Exception as failure:  # of this request alone
                    waiting.set_exception(Broken(f"{type(failure).__name__}: {failure}"))
            return True

        self.counts.requests += 1
        self.counts.prompt_tokens += len(prompt)
        self._inbox.put(work)
        return await asyncio.wrap_future(waiting)

    def _count(self, step: Step) -> None:
        self.counts.generated_tokens += step.token is not None
        if step.answer is not None:
            reason = step.answer.finish_reason
            self.counts.finished[reason] = self.counts.finished.get(reason, 0) + 1

    def _work(self) -> None:
        failures = 0
        while self._take_orders():
            try:
                steps = self._engine.step()
                failures = 0
            except Exception as failure:  # told to everyone who waits; those who come later begin anew
                failures += 1
                self._engine.reset()
                if failures == MOST_FAILURES:
                    self.failure = failure
                self._loop.call_soon_threadsafe(self._fail, failure)
                if self.failure is not None:
                    return
            else:
                self._loop.call_soon_threadsafe(self._deliver, steps)

    def _take_orders(self) -> bool:
        """Do what has come in; wait for something where the engine is idle. False ends the work.

        After an order that took long (it says so), answers that grow get their next step first.
        """
        while not (self._engine.busy and self._inbox.empty()):
            order = self._inbox.get()
            if order is None:
                return False
            if order() and self._engine.busy:
                return True
        return True

    def _deliver(self, steps: list[Step]) -> None:
        for step in steps:
            if outbox := self._outboxes.get(step.request.id):
                outbox.put_nowait(step)

    def _fail(self, failure: Exception) -> None:
        for outbox in self._outboxes.values():
            outbox.put_nowait(failure)
