"""Requests -> replies over HTTP: bounded retries, adapting concurrency, budgets, every attempt on disk first.

429, 5xx, timeout and dropped connection are told apart. A wrong key, an unknown model and a server that
fails without end stop the run with one line instead of filling the log.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp

from lima.errors import LimaError
from lima.files import text_hash
from lima.remote.endpoint import Endpoint
from lima.remote.limits import Budget, Counters, Gate, Limits
from lima.remote.log import (
    Attempt,
    CallLog,
    ChatAnswer,
    ChatCall,
    Outcome,
    Reply,
    read_answer,
    read_json_reply,
    read_usage,
)
from lima.runs import now

T = TypeVar("T")

SHOWN_ERROR = 300
"""Characters of a server's error that are shown to the user."""

ATTEMPTS_PAID = 3
"""A reply without an answer in it, or with a failed one, is paid for: it is not asked for more often than this."""

FINAL: frozenset[Outcome] = frozenset({"rejected"})
HOPELESS = {
    401: "the key is missing or wrong",
    402: "the account has no credit",
    403: "the key may not do this",
    404: "no such model or path",
    **dict.fromkeys((301, 302, 307, 308), "the server redirects to another address"),
}


class RequestsRejected(LimaError):
    """A server that takes none of the requests: something that all of them hold is wrong."""


async def complete_all(
    requests: Iterable[ChatCall],
    endpoint: Endpoint,
    log: CallLog,
    *,
    limits: Limits | None = None,
    budget: Budget | None = None,
    counters: Counters | None = None,
) -> AsyncIterator[Reply]:
    """Send every request and yield its reply as it comes, in any order.

    Requests are taken from the iterable when a place is free. Each attempt is in ``log`` before its reply
    is read. Requests that a budget left unsent yield nothing: ``counters.stopped`` then says why.

    Raises:
        LimaError: wrong key, unknown model, or a server that answers nothing; the log keeps what is done.
    """
    limits = limits or Limits()
    connector = aiohttp.TCPConnector(limit=limits.concurrency)
    timeout = aiohttp.ClientTimeout(total=limits.timeout)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=endpoint.headers, trust_env=endpoint.through_proxy
    ) as session:
        client = _Client(session, endpoint, log, limits, budget or Budget(), counters or Counters())
        replies: asyncio.Queue[Reply | BaseException | None] = asyncio.Queue()
        source = iter(requests)
        workers = [
            asyncio.create_task(_work(client, source, replies)) for _ in range(max(1, limits.concurrency))
        ]
        try:
            running = len(workers)
            while running:
                reply = await replies.get()
                if isinstance(reply, BaseException):
                    raise reply
                if reply is None:
                    running -= 1
                else:
                    yield reply
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, and in a thread of its own where a loop runs already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class ModelCard:
    """What a server says of a model in ``/v1/models``."""

    description: str = ""
    owner: str = ""


async def describe_model(endpoint: Endpoint, timeout: float = 10.0) -> ModelCard:
    """Ask ``/v1/models``; empty where the server has no such list.

    Raises:
        LimaError: nobody answers there, the key is refused, or the list does not hold the model.
    """
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=timeout), trust_env=endpoint.through_proxy
            ) as session,
            session.get(endpoint.at("models"), headers=endpoint.headers, allow_redirects=False) as response,
        ):
            status, body = response.status, await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise LimaError(
            f"{endpoint.url}: no server answers ({type(error).__name__}). Is it running?"
        ) from None
    if status in (401, 403):
        raise LimaError(f"{endpoint.url}: {HOPELESS[status]} (HTTP {status}). See --api-key-env.")
    return _card(endpoint, body) if status == 200 else ModelCard()


def _card(endpoint: Endpoint, body: bytes) -> ModelCard:
    try:
        models = {
            str(model["id"]): model for model in read_json_reply(body.decode("utf-8", "replace"))["data"]
        }
    except (KeyError, TypeError):
        return ModelCard()
    if models and endpoint.model not in models:
        raise LimaError(
            f"{endpoint.url}: no model {endpoint.model!r} there. It offers: {', '.join(list(models)[:10])}."
        )
    model = models.get(endpoint.model, {})
    return ModelCard(str(model.get("description") or ""), str(model.get("owned_by") or ""))


async def _work(
    client: _Client, source: Iterator[ChatCall], replies: asyncio.Queue[Reply | BaseException | None]
) -> None:
    try:
        while not client.counters.stopped and (request := next(source, None)) is not None:
            reply = await client.complete(request)
            if reply is not None:
                replies.put_nowait(reply)
        replies.put_nowait(None)
    except Exception as error:  # handed to the consumer, which raises it
        replies.put_nowait(error)


@dataclass(frozen=True)
class _Response:
    """How one attempt ended; ``wait`` is the server's Retry-After in seconds."""

    outcome: Outcome
    http: int | None
    raw: str
    wait: float | None = None


@dataclass
class _Client:
    session: aiohttp.ClientSession
    endpoint: Endpoint
    log: CallLog
    limits: Limits
    budget: Budget
    counters: Counters

    def __post_init__(self) -> None:
        self.gate = Gate(self.limits.start, self.limits.concurrency)
        self.counters.served |= any(last.outcome == "replied" for last in self.log.outcomes.values())
        self.url = self.endpoint.at("chat/completions")

    async def complete(self, request: ChatCall) -> Reply | None:
        """Retry until an answer comes or patience ends; None when a budget forbids the call."""
        body = request.encoded
        for number in range(1, self.limits.attempts + 1):
            sent = await self._attempt(request, body)
            if sent is None:
                return None
            response, attempt = sent
            answer = self._read(response)
            if answer is not None:
                self.counters.answered()
                return Reply(request, attempt, answer)
            self._check_hope(response)
            if not self._may_retry(response, number):
                break
            self.counters.retried += 1
            await asyncio.sleep(self._delay(request, number, response))
        self.counters.failure(response.outcome, response.http)
        self._check_patience(response)
        return Reply(request, attempt, None)

    def _read(self, response: _Response) -> ChatAnswer | None:
        """The answer, if there is one. What a reply without one took is counted too: it is paid for."""
        if response.outcome != "replied":
            return None
        self.counters.used(read_usage(response.raw))
        answer = read_answer(response.raw)
        self.counters.malformed += answer is None
        return answer

    async def _attempt(self, request: ChatCall, body: bytes) -> tuple[_Response, Attempt] | None:
        entered = await self.gate.enter()
        try:
            self.counters.stopped = self.counters.stopped or self.counters.exhausted(self.budget)
            if self.counters.stopped:
                return None
            self.counters.calls += 1
            self.counters.most_in_flight = max(self.counters.most_in_flight, self.gate.active)
            start = time.monotonic()
            response = await self._post(body)
            seconds = round(time.monotonic() - start, 4)
        finally:
            self.gate.leave()
        self.counters.ended(response.outcome)
        attempt = self.log.append(
            request, response.outcome, http=response.http, raw=response.raw, seconds=seconds, at=now()
        )
        self._adapt(response, entered)
        return response, attempt

    async def _post(self, body: bytes) -> _Response:
        try:
            async with self.session.post(self.url, data=body, allow_redirects=False) as response:
                raw = self.endpoint.redact((await response.read()).decode("utf-8", "replace"))
                wait = _retry_after(response.headers.get("Retry-After"))
                return _Response(_outcome(response.status), response.status, raw, wait)
        except TimeoutError:
            return _Response("timeout", None, "")
        except aiohttp.ClientError as error:
            return _Response("dropped", None, self.endpoint.redact(f"{type(error).__name__}: {error}"))

    def _adapt(self, response: _Response, entered: int) -> None:
        if response.outcome == "replied":
            self.gate.clean()
        elif response.outcome in ("rate_limited", "timeout"):
            self.gate.shrink(entered)
        if response.wait is not None and response.wait <= self.limits.longest_pause:
            self.gate.pause(response.wait)

    def _may_retry(self, response: _Response, number: int) -> bool:
        if response.outcome == "replied" and number >= ATTEMPTS_PAID:
            return False
        waitable = response.wait is None or response.wait <= self.limits.longest_pause
        return response.outcome not in FINAL and waitable and number < self.limits.attempts

    def _delay(self, request: ChatCall, number: int, response: _Response) -> float:
        """Exponential, between half and all of it by a hash of the request, so that retries spread out."""
        spread = 0.5 + int(text_hash(request.id, str(number), length=4), 16) / 0x20000
        backoff = min(60.0, self.limits.backoff * 2.0 ** (number - 1)) * spread
        return max(response.wait or 0.0, backoff)

    def _check_hope(self, response: _Response) -> None:
        reason = HOPELESS.get(response.http or 0)
        if (
            response.http == 403 and self.counters.served
        ):  # some servers answer so to a text that they moderate
            reason = None
        if response.http == 429 and "insufficient_quota" in response.raw:
            reason = "the account's quota is used up"
        if reason:
            raise LimaError(
                f"{self.endpoint.address}: {reason} (HTTP {response.http}: {_excerpt(response.raw)}). "
                "What is done is kept; the same command continues."
            )

    def _check_patience(self, response: _Response) -> None:
        if self.counters.failed_in_a_row >= self.limits.give_up_after:
            http = f", HTTP {response.http}" if response.http else ""
            fields = response.outcome == "rejected" and response.http not in HOPELESS
            kind = RequestsRejected if fields else LimaError
            raise kind(
                f"{self.endpoint.address}: {self.counters.failed_in_a_row} requests in a row failed; the last: "
                f"{response.outcome}{http} {_excerpt(response.raw).rstrip('. ')}. What is done is kept; the same command "
                "continues."
            )


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return "replied"
    if status == 429:
        return "rate_limited"
    if status == 408:
        return "timeout"
    return "server_error" if status >= 500 else "rejected"


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a number or an HTTP date; None when there is no such header."""
    if not value:
        return None
    with suppress(ValueError):
        seconds = float(value)
        return None if math.isnan(seconds) else max(0.0, seconds)
    with suppress(ValueError, OverflowError):
        at = parsedate_to_datetime(value)
        # The asctime form and "-0000" carry no zone; HTTP dates are in UTC (RFC 9110, 5.6.7).
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    return None


def _excerpt(raw: str) -> str:
    """The message of a server's error, short and on one line."""
    value = read_json_reply(raw)
    text: Any = raw
    with suppress(KeyError, TypeError):
        text = value["error"]["message"]
    return " ".join(str(text).split())[:SHOWN_ERROR]
