"""Every attempt of every request on disk, written before anyone reads the reply.

What a stage knows of its calls it reads from this log, so that a killed run repeats no finished request
and a changed parser costs no call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import orjson
from pydantic import JsonValue

from lima.files import JsonlLog, read_jsonl, write_jsonl
from lima.records import Record

Outcome = Literal["replied", "rate_limited", "server_error", "timeout", "dropped", "rejected"]


class Request(Record):
    """One chat request (``requests.jsonl``). K samples of one prompt are K requests with K ids."""

    id: str
    body: dict[str, JsonValue]

    @cached_property
    def hash(self) -> str:
        """Hash of everything that is sent: a logged reply answers this request only if it agrees."""
        return hashlib.sha256(self.encoded).hexdigest()[:16]

    @cached_property
    def encoded(self) -> bytes:
        """The bytes that are sent."""
        return orjson.dumps(self.body)


class Attempt(Record):
    """One attempt to get one request answered (``replies.jsonl``)."""

    id: str
    attempt: int
    """Counted from 1 over all runs of the stage."""
    request: str
    outcome: Outcome
    http: int | None = None
    raw: str = ""
    """The reply as it came (for a failure: what is known of it), without the key."""
    seconds: float
    at: str


@dataclass(frozen=True)
class Answer:
    """What a chat reply says."""

    content: str
    finish_reason: str
    refusal: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Reply:
    """The end of one request: ``answer``, or None after the last failed attempt."""

    request: Request
    last: Attempt
    answer: Answer | None


def read_answer(raw: str) -> Answer | None:
    """The answer in a raw reply of ``/v1/chat/completions``; None when it is not of that shape."""
    try:
        value = orjson.loads(raw)
        choice = value["choices"][0]
        message = choice["message"]
        usage = value.get("usage") or {}
        content, refusal = message.get("content") or "", message.get("refusal") or ""
        reason = choice.get("finish_reason") or ""
        tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return None
    if not all(isinstance(text, str) for text in (content, refusal, reason)):
        return None
    if not all(count is None or isinstance(count, int) for count in tokens):
        return None
    return Answer(content, reason, refusal, *tokens)


class CallLog:
    """The attempts of one stage, by request; grows while the stage works and is sorted at its end."""

    def __init__(self, path: Path) -> None:
        self._log = JsonlLog(path, Attempt)
        self._rows = self._log.existing
        self._best: dict[str, Attempt] = {}
        self._counts: dict[str, int] = {}
        for attempt in self._log.existing:
            self._take(attempt)

    @staticmethod
    def ids(path: Path) -> set[str]:
        """Ids of the requests with a logged reply, without opening the log for writing."""
        rows = read_jsonl(path, Attempt) if path.exists() and path.stat().st_size else iter(())
        return {row.id for row in rows if row.outcome == "replied"}

    def append(self, request: Request, outcome: Outcome, **facts: Any) -> Attempt:
        """Write one attempt; its number goes on from what the log holds."""
        attempt = Attempt.model_construct(  # our own values: validation would cost as much as the write
            id=request.id,
            attempt=self._counts.get(request.id, 0) + 1,
            request=request.hash,
            outcome=outcome,
            **facts,
        )
        self._log.append(attempt)
        self._rows.append(attempt)
        self._take(attempt)
        return attempt

    def last(self, request: Request) -> Attempt | None:
        """The attempt that counts for this very request: its latest reply, else its latest failure."""
        attempt = self._best.get(request.id)
        return attempt if attempt is not None and attempt.request == request.hash else None

    @property
    def outcomes(self) -> Mapping[str, Attempt]:
        """The attempt that counts, by request id."""
        return self._best

    def _take(self, attempt: Attempt) -> None:
        self._counts[attempt.id] = attempt.attempt
        before = self._best.get(attempt.id)
        worse = before is not None and before.outcome == "replied" and attempt.outcome != "replied"
        if not worse or (before is not None and before.request != attempt.request):
            self._best[attempt.id] = attempt

    def close(self) -> None:
        """Close the log as it is."""
        self._log.close()

    def sort(self) -> list[Attempt]:
        """Close the log, order its rows by request and attempt (equal runs leave equal files), and return them."""
        self.close()
        self._rows.sort(key=lambda row: (row.id, row.attempt))
        write_jsonl(self._log.path, self._rows)
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
