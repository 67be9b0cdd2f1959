"""One engine for several threads that each read one answer: whoever waits runs the next step for all of them."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial

from lima.errors import LimaError
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request, Step


class SharedEngine:
    """Answers that grow at once, in one batch. With one reader it is the engine and nothing more."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._changed = threading.Condition()
        self._running = False
        self._orders: list[Callable[[], object]] = []
        """What came in during a step: the engine is nobody else's then."""
        self._inboxes: dict[str, deque[Step | Exception]] = {}
        self._numbers = itertools.count()

    def stream(self, request: Request) -> Generator[Step, None, None]:
        """The steps of one request; leaving the iteration before its end cancels it.

        Raises:
            LimaError: the engine failed, whoever ran it.
        """
        request = replace(request, id=f"{request.id}-{next(self._numbers)}")
        inbox: deque[Step | Exception] = deque()
        with self._changed:
            self._inboxes[request.id] = inbox
            self._orders.append(partial(self.engine.submit, request))
        finished = False
        try:
            while not finished:
                step = self._next(inbox)
                finished = step.answer is not None
                yield step
        finally:
            with self._changed:
                del self._inboxes[request.id]
                self._orders.append(partial(self.engine.cancel, request.id))
                if not self._running:
                    self._take_orders()

    def _next(self, inbox: deque[Step | Exception]) -> Step:
        with self._changed:
            while not inbox:
                if self._running:
                    self._changed.wait()
                else:
                    self._run()
            found = inbox.popleft()
        if isinstance(found, Exception):
            raise LimaError(f"the engine failed ({type(found).__name__}: {found}).") from found
        return found

    def _run(self) -> None:
        """One step for all; others come and go meanwhile."""
        self._take_orders()
        self._running = True
        self._changed.release()
        try:
            steps = self._step()
        finally:
            self._changed.acquire()
            self._running = False
            self._changed.notify_all()
        if isinstance(steps, Exception):  # told to all who wait; those who come later begin anew
            self._orders.clear()
            for inbox in self._inboxes.values():
                inbox.append(steps)
            return
        for step in steps:
            if step.request.id in self._inboxes:
                self._inboxes[step.request.id].append(step)

    def _step(self) -> list[Step] | Exception:
        try:
            return self.engine.step()
        except Exception as failure:
            self.engine.reset()
            return failure

    def _take_orders(self) -> None:
        for order in self._orders:
            order()
        self._orders.clear()
