"""The OpenAI chat and completion API as types: what a client may send, and what it gets back.

A field that would be ignored is refused, with its name. What a client leaves out is the paper's decoding.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lima.generate.engine.decoding import LEAST_PENALTY, MOST_PENALTY, MOST_TOP_K, PAPER, Decoding
from lima.generate.engine.requests import Answer, LogProbs
from lima.records import Message

_NOTHING = object()
NOT_NEGATIVE_TOKENS = Annotated[int, Field(ge=1)]


StopText = Annotated[str, Field(max_length=1000)]


class ApiError(Exception):
    """An error in OpenAI's shape."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that goes to the client."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}


NO_REQUESTS: dict[str, Any] = {
    "annotations": [],
    "best_of": 1,
    "echo": False,
    "logit_bias": {},
    "response_format": {"type": "text"},
    "tool_calls": [],
    "tools": [],
}
"""Values with which a field that is not offered asks for nothing; null is one for every field."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_no_requests(cls, values: Any) -> Any:
        """Clients send replies of ours back with all their fields, and fields with the value they have anyway."""
        if not isinstance(values, dict):
            return values
        empty = {
            name
            for name, value in values.items()
            if name not in cls.model_fields and (value is None or value == NO_REQUESTS.get(name, _NOTHING))
        }
        return {name: value for name, value in values.items() if name not in empty}


class TextPart(_Model):
    """One part of a message; only text is understood."""

    type: Literal["text"]
    text: str


class ChatMessage(_Model):
    """One message of a request."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def message(self) -> Message:
        """As one of our records."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(_Model):
    """What a stream holds besides text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Sampling(_Model):
    """Fields that both kinds of requests have."""

    model: str
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=MOST_TOP_K)
    repetition_penalty: float | None = Field(None, ge=LEAST_PENALTY, le=MOST_PENALTY)
    """As in vLLM, where it counts the prompt's tokens too, unless ``penalize_prompt`` is false."""
    penalize_prompt: bool | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: StopText | Annotated[list[StopText], Field(max_length=64)] | None = None
    n: int | None = Field(None, ge=1, le=128)
    max_tokens: NOT_NEGATIVE_TOKENS | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: float | None = Field(None, ge=0, le=0)
    """Only 0: not offered."""
    presence_penalty: float | None = Field(None, ge=0, le=0)
    """Only 0: not offered."""
    min_p: float | None = Field(None, ge=0, le=0)
    """Only 0: not offered."""
    user: str | None = None
    """Not used."""

    def decoding(self) -> Decoding:
        """Our settings: the paper's where the request says nothing."""
        asked = self.repetition_penalty is not None
        return Decoding(
            temperature=PAPER.temperature if self.temperature is None else self.temperature,
            top_p=PAPER.top_p if self.top_p is None else self.top_p,
            top_k=max(0, self.top_k or 0),
            repetition_penalty=PAPER.repetition_penalty
            if self.repetition_penalty is None
            else self.repetition_penalty,
            penalize_prompt=asked if self.penalize_prompt is None else self.penalize_prompt,
        )

    def stops(self) -> tuple[str, ...]:
        """Stop strings, empty ones left out."""
        texts = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in texts if text)


class ChatRequest(Sampling):
    """``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: NOT_NEGATIVE_TOKENS | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)

    @property
    def longest(self) -> int | None:
        """Tokens of the answer, where the request limits them."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def told_logprobs(self) -> int | None:
        """How many likely tokens to tell beside each chosen one."""
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(Sampling):
    """``POST /v1/completions``."""

    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: Literal[False] | None = None

    @property
    def longest(self) -> int | None:
        """Tokens of the answer, where the request limits them."""
        return self.max_tokens

    @property
    def told_logprobs(self) -> int | None:
        """How many likely tokens to tell beside each chosen one."""
        return self.logprobs

    @property
    def prompts(self) -> list[str | list[int]]:
        """One entry a prompt."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and all(isinstance(item, int) for item in self.prompt):
            return [[item for item in self.prompt if isinstance(item, int)]]
        return [item for item in self.prompt if not isinstance(item, int)]


@dataclass(frozen=True)
class Told:
    """A token with its log-probabilities: text, bytes, and both of the likeliest in its place."""

    text: str
    raw: bytes
    values: LogProbs
    likely: tuple[tuple[str, bytes], ...]


Body = ChatRequest | CompletionRequest


class Shape:
    """Builds the replies to one request: whole or in chunks, chat or plain completion."""

    def __init__(self, reply_id: str, body: Body) -> None:
        self._chat = isinstance(body, ChatRequest)
        self._head = {"id": reply_id, "created": int(time.time()), "model": body.model}

    def whole(self, choices: list[dict[str, Any]], usage: dict[str, int]) -> dict[str, Any]:
        """The reply without streaming."""
        kind = "chat.completion" if self._chat else "text_completion"
        return {**self._head, "object": kind, "choices": choices, "usage": usage}

    def choice(self, index: int, answer: Answer, logprobs: Any) -> dict[str, Any]:
        """One finished answer."""
        ending = {"index": index, "finish_reason": finish_reason(answer), "logprobs": logprobs}
        if self._chat:
            message = {"role": "assistant", "content": answer.text, "refusal": None}
            return {**ending, "message": message}
        return {**ending, "text": answer.text}

    def chunk(
        self, index: int, text: str, answer: Answer | None, logprobs: Any, *, first: bool
    ) -> dict[str, Any]:
        """One piece of a stream."""
        choice: dict[str, Any] = {
            "index": index,
            "finish_reason": None if answer is None else finish_reason(answer),
            "logprobs": logprobs,
        }
        if self._chat:
            choice["delta"] = ({"role": "assistant"} if first else {}) | {"content": text}
        else:
            choice["text"] = text
        return self._chunk([choice])

    def usage_chunk(self, usage: dict[str, int]) -> dict[str, Any]:
        """The last piece of a stream with ``include_usage``."""
        return {**self._chunk([]), "usage": usage}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return {**self._head, "object": kind, "choices": choices}

    def logprobs(self, tokens: list[Told], offset: int = 0) -> dict[str, Any] | None:
        """Log-probabilities of tokens, the first of which begins ``offset`` characters into the answer."""
        if not tokens:
            return None
        if self._chat:
            return {"content": [_chat_logprob(token) for token in tokens], "refusal": None}
        lengths = itertools.accumulate((len(token.text) for token in tokens), initial=offset)
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.values.chosen for token in tokens],
            "top_logprobs": [
                {text: value for (text, _), (_, value) in zip(token.likely, token.values.top, strict=True)}
                for token in tokens
            ],
            "text_offset": list(lengths)[:-1],
        }


def finish_reason(answer: Answer) -> str:
    """In OpenAI's words."""
    return "length" if answer.finish_reason == "length" else "stop"


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Token counts of a reply."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def _chat_logprob(token: Told) -> dict[str, Any]:
    top = [
        {"token": text, "logprob": value, "bytes": list(raw)}
        for (text, raw), (_, value) in zip(token.likely, token.values.top, strict=True)
    ]
    return {
        "token": token.text,
        "logprob": token.values.chosen,
        "bytes": list(token.raw),
        "top_logprobs": top,
    }
