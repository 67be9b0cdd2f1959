"""How hard to press a server and when to stop: adapting concurrency, retries, budgets and live counters."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, RootModel, ValidationError

from lima.errors import LimaError
from lima.records import Record
from lima.remote.log import Outcome, Usage
from lima.settings import read_yaml


@dataclass(frozen=True)
class Limits:
    """Concurrency, patience and retries of one run."""

    start: int = 8
    """Requests in flight at first; grows on clean rounds, shrinks on 429 and timeouts."""
    concurrency: int = 64
    """Requests in flight at most."""
    timeout: float = 120.0
    """Seconds for one attempt."""
    attempts: int = 8
    """Attempts for one request in one run; with the backoff they span a limit by the minute."""
    backoff: float = 1.0
    """Seconds before the second attempt; doubles with each further one, up to a minute."""
    longest_pause: float = 600.0
    """A Retry-After beyond this many seconds is not waited for: the attempt counts as the last."""
    give_up_after: int = 20
    """Stop the run when this many requests in a row have failed for good: the server is not there."""


@dataclass(frozen=True)
class Budget:
    """Upper bounds of one run; None is no bound."""

    calls: int | None = None
    seconds: float | None = None
    cost: float | None = None
    """In the currency of the price file."""


class Price(Record):
    """Price of a million tokens, in the user's currency."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Cost of these numbers of tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


def read_price(path: Path, model: str) -> Price | None:
    """The price of ``model`` in a YAML file ``model: {input: 0.15, output: 0.6}``; None when it is not there."""
    try:
        prices = RootModel[dict[str, Price]].model_validate(read_yaml(path)).root
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise LimaError(
            f"{path}: {place}: {problem['msg']}. Write 'model: {{input: 0.15, output: 0.6}}', per million tokens."
        ) from None
    return prices.get(model)


@dataclass
class Counters:
    """What happened so far, for the progress line, the budgets and the record of the run."""

    done: int = 0
    failed: int = 0
    calls: int = 0
    """Attempts sent, retries included."""
    retried: int = 0
    malformed: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unmetered: int = 0
    """Replies that came without token counts, so that their cost is unknown."""
    failed_in_a_row: int = 0
    served: bool = False
    """Whether the server has ever answered one of these requests, in this run or an earlier one."""
    most_in_flight: int = 0
    stopped: str = ""
    """Why the run ended before all requests were sent."""
    price: Price | None = None
    began: float = field(default_factory=time.monotonic)

    def ended(self, outcome: Outcome) -> None:
        """Count one call by how it ended."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def used(self, usage: Usage) -> None:
        """Count the tokens of one reply, whether there is an answer in it or not: it is paid for."""
        if usage.prompt_tokens is None or usage.completion_tokens is None:
            self.unmetered += 1
        self.prompt_tokens += usage.prompt_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0

    def answered(self) -> None:
        """Count one answered request."""
        self.done += 1
        self.served = True
        self.failed_in_a_row = 0

    def failure(self, outcome: Outcome, http: int | None = None) -> None:
        """Count one request that failed for good in this run.

        A rejection speaks against the request alone, once the server has answered others; HTTP 403 may speak against the key.
        """
        self.failed += 1
        if outcome != "rejected" or http == 403 or not self.served:
            self.failed_in_a_row += 1

    @property
    def cost(self) -> float | None:
        """Spent so far; None when the price or some token counts are unknown: unknown is not 0."""
        if self.price is None or self.unmetered:
            return None
        return self.price.of(self.prompt_tokens, self.completion_tokens)

    @property
    def in_flight(self) -> int:
        """Calls that are sent and not ended."""
        return self.calls - sum(self.outcomes.values())

    def exhausted(self, budget: Budget) -> str:
        """Which budget the next call would break, or an empty text."""
        if budget.calls is not None and self.calls >= budget.calls:
            return f"budget of {budget.calls} calls"
        if budget.seconds is not None and time.monotonic() - self.began >= budget.seconds:
            return f"budget of {budget.seconds:g} seconds"
        if budget.cost is not None and self.unmetered:
            return f"budget of {budget.cost:g} in money: the server gives no token counts"
        if budget.cost is not None and self._cost_after(self.in_flight + 1) > budget.cost:
            return f"budget of {budget.cost:g} in money"
        return ""

    def _cost_after(self, calls: int) -> float:
        """Expected cost once ``calls`` more have a reply at the mean price of those before."""
        replied = self.outcomes.get("replied", 0)
        return (self.cost or 0.0) * (1 + calls / replied) if replied else 0.0

    def note(self) -> str:
        """A short text beside the progress bar."""
        parts = [f"{self.retried} retried", f"{self.failed} failed"]
        if limited := self.outcomes.get("rate_limited", 0):
            parts.append(f"{limited} x 429")
        if self.price is not None:
            parts.append("cost unknown" if self.cost is None else f"cost {self.cost:.2f}")
        return ", ".join(parts)


class Gate:
    """Lets at most ``limit`` requests in; the limit doubles on clean rounds until the first 429, then grows by one.

    A 429 halves the limit once a round: the other requests of the same round say nothing new.
    """

    def __init__(self, start: int, most: int) -> None:
        self.limit = min(start, most)
        self.active = 0
        self._most = most
        self._clean = 0
        self._round = 0
        self._throttled = False
        self._resume_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> int:
        """Wait for a place, and for the end of a pause; the result is the round, for `shrink`."""
        while self.active >= self.limit:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self.active += 1
        while (pause := self._resume_at - time.monotonic()) > 0:
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                self.leave()
                raise
        return self._round

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        self._wake()

    def clean(self) -> None:
        """An answer came; a whole round of them raises the limit."""
        self._clean += 1
        if self._clean >= self.limit:
            grown = self.limit + 1 if self._throttled else self.limit * 2
            self.limit, self._clean = min(grown, self._most), 0
            self._wake()

    def shrink(self, entered: int) -> None:
        """The server is pressed too hard, said a request that entered in round ``entered``."""
        if entered == self._round:
            self.limit = max(1, self.limit // 2)
            self._throttled, self._clean = True, 0
            self._round += 1

    def pause(self, seconds: float) -> None:
        """Let nobody in for so long (Retry-After)."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def _wake(self) -> None:
        free = self.limit - self.active
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1
