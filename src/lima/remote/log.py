"""Every attempt of every request on disk, written before anyone reads the reply.

What a stage knows of its calls it reads from this log, so that a killed run repeats no finished request
and a changed parser costs no call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
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


class ChatCall(Record):
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

    @property
    def refused_for_good(self) -> bool:
        """Whether the server said that this very request is wrong: asking once more would bring the same."""
        return self.outcome == "rejected" and self.http in (400, 413, 422)


Ending = Literal["natural", "length", "filter", "error"]
"""How a generation ended: of itself, at its longest, at a filter, or by a failure. Only the first is a whole answer."""

ENDINGS: dict[str, Ending] = {
    **dict.fromkeys(
        ("", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "eot"), "natural"
    ),
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(
        ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "refusal"),
        "filter",
    ),
}
"""The words of OpenAI, vLLM, TGI, Anthropic, Gemini and Cohere. Any other word is no whole answer: an error."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; None: the server did not say, so that its cost is unknown."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Token:
    """One written token with its log-probability, and those of the likeliest ones in its place."""

    text: str
    logprob: float
    likely: Mapping[str, float]


@dataclass(frozen=True)
class ChatAnswer:
    """What a chat reply says."""

    content: str
    finish_reason: str
    refusal: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    tokens: tuple[Token, ...] = ()
    """With their probabilities, where the reply tells them."""

    @property
    def ending(self) -> Ending:
        """How the generation ended; a reason that nobody knows is an error."""
        return ENDINGS.get(self.finish_reason.lower(), "error")


@dataclass(frozen=True)
class Reply:
    """The end of one request: ``answer``, or None after the last failed attempt."""

    request: ChatCall
    last: Attempt
    answer: ChatAnswer | None


def read_answer(raw: str) -> ChatAnswer | None:
    """The answer in a raw reply of ``/v1/chat/completions``.

    None when it is not of that shape, and when the generation failed (an ``error`` beside the choices, a
    finish reason that is none), whatever it had written by then.
    """
    value = read_json_reply(raw)
    try:
        choice = value["choices"][0]
        message = choice["message"]
        content, refusal = _text(message.get("content")), _text(message.get("refusal"))
        reason = choice.get("finish_reason") or ""
        failed = value.get("error") or choice.get("error")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if failed or content is None or refusal is None or not isinstance(reason, str):
        return None
    used = _usage(value)
    tokens = _tokens(choice["logprobs"]) if choice.get("logprobs") else ()
    answer = ChatAnswer(content, reason, refusal, used.prompt_tokens, used.completion_tokens, tokens)
    return None if answer.ending == "error" else answer


def read_usage(raw: str) -> Usage:
    """The tokens that a raw reply admits to, whether there is an answer in it or not."""
    return _usage(read_json_reply(raw))


def read_json_reply(raw: str) -> Any:
    """A server's JSON, None where it is none. Some write NaN, lone surrogates or a byte order mark into it."""
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(raw)
    with suppress(ValueError, RecursionError):
        return json.loads(raw.lstrip("\ufeff"))
    return None


TEXT_PARTS = ("text", "output_text", "refusal")


def _text(value: Any) -> str | None:
    """A message's text, given as such or as a list of parts, thoughts among them left out; None where it is neither."""
    if isinstance(value, list):
        said = [part for part in value if str(part.get("type") or "text") in TEXT_PARTS]
        value = "".join(part["text"] for part in said if isinstance(part.get("text"), str))
    if value is None or isinstance(value, str):
        return (value or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return None


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    """The tokens of ``logprobs``: a list under ``content`` as in OpenAI's chat API, or lists side by side as before it.

    Empty where they do not have one of these shapes: a reply without them is a reply all the same.
    """
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        if logprobs.get("content"):
            return tuple(
                Token(
                    str(one["token"]),
                    float(one["logprob"]),
                    {str(x["token"]): float(x["logprob"]) for x in one.get("top_logprobs") or ()},
                )
                for one in logprobs["content"]
            )
        columns = zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True)
        return tuple(
            Token(str(text), float(value), {str(k): float(v) for k, v in (likely or {}).items()})
            for text, value, likely in columns
        )
    return ()


def _usage(value: Any) -> Usage:
    found = value.get("usage") if isinstance(value, dict) else None
    if not isinstance(found, dict):
        return Usage()
    return Usage(_count(found.get("prompt_tokens")), _count(found.get("completion_tokens")))


def _count(value: Any) -> int | None:
    """A number of tokens; None for what is none (a text, a negative or broken number)."""
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value % 1 == 0
    return int(value) if whole else None


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

    def append(self, request: ChatCall, outcome: Outcome, **facts: Any) -> Attempt:
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

    def last(self, request: ChatCall) -> Attempt | None:
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
