"""The OpenAI chat and completion API as types: what a client may send, and what it gets back.

A field that would be ignored is refused, with its name. What a client leaves out is the paper's decoding.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lima.files import whole_characters
from lima.generate.engine.decoding import LEAST_PENALTY, MOST_PENALTY, MOST_TOP_K, PAPER, Decoding
from lima.records import Message

StopText = Annotated[str, Field(max_length=1000)]


class ErrorFacts(BaseModel):
    """What went wrong; `param` is the field at fault."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every error, in OpenAI's form."""

    error: ErrorFacts


class ApiError(Exception):
    """An error that a client gets as an `ErrorBody`."""

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


ASKS_FOR_NOTHING: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "annotations": ([],),
    "bad_words": ([],),
    "best_of": (1,),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "detokenize": (True,),
    "documents": ([],),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "priority": (0,),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "return_token_ids": (False,),
    "return_tokens_as_token_ids": (False,),
    "service_tier": ("auto", "default"),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop_token_ids": ([],),
    "store": (False,),
    "suffix": ("",),
    "tool_calls": ([],),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "use_beam_search": (False,),
}
"""Fields that are not offered, and the values that change nothing: those pass, as null does for every field."""


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_wishes(cls, values: Any) -> Any:
        """Clients send replies of ours back with all their fields, and fields with the value they have anyway."""
        if not isinstance(values, dict):
            return values
        return {
            name: value
            for name, value in values.items()
            if name in cls.model_fields or not (value is None or value in ASKS_FOR_NOTHING.get(name, ()))
        }


class TextPart(_Fields):
    """One part of a message; only text is understood."""

    type: Literal["text"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("type") != "text":
            raise ValueError("only text parts are understood")
        return values


class ChatMessage(_Fields):
    """One message of a request."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def message(self) -> Message:
        """As one of our records."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(_Fields):
    """What a stream holds besides text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class SamplingFields(_Fields):
    """Fields that both kinds of requests have. What a request leaves out is the paper's decoding."""

    model: str
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=MOST_TOP_K)
    repetition_penalty: float | None = Field(None, ge=LEAST_PENALTY, le=MOST_PENALTY)
    """As in vLLM, where it counts the prompt's tokens too, unless `penalize_prompt` is false."""
    penalize_prompt: bool | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: StopText | Annotated[list[StopText], Field(max_length=64)] | None = None
    n: int | None = Field(None, ge=1, le=128)
    max_tokens: int | None = Field(None, ge=1)
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
    safety_identifier: str | None = None
    """Not used."""
    prompt_cache_key: str | None = None
    """Not used: prompts that begin alike share their beginning anyway."""
    metadata: dict[str, str] | None = None
    """Not used."""

    @model_validator(mode="before")
    @classmethod
    def _whole_characters(cls, values: Any) -> Any:
        """A client that cuts a text within an emoji sends half of a surrogate pair, which no tokenizer takes."""
        return whole_characters(values)

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


class ChatRequest(SamplingFields):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)

    @property
    def longest(self) -> int | None:
        """Tokens of the answer, where the request limits them."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def likeliest(self) -> int | None:
        """How many likely tokens to name beside each chosen one; None: no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(SamplingFields):
    """`POST /v1/completions`: goes on with a text."""

    prompt: str | list[str] | list[int] | list[list[int]]
    """Text or token ids, one or several. Text is read as vLLM reads it: what spells a special token is that token,
    and the tokenizer adds its own (BOS), unless the text begins with it."""
    add_special_tokens: bool | None = None
    """Whether the tokenizer adds its special tokens to a text (true where this is left out)."""
    max_tokens: int | None = Field(None, ge=0)
    """0 only with `echo`: the prompt is scored and nothing is written."""
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None
    """Begin the answer with the prompt; with `logprobs`, its log-probabilities too (null for its first token)."""

    @model_validator(mode="after")
    def _something_is_asked_for(self) -> Self:
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens 0 needs echo")
        return self

    @property
    def longest(self) -> int | None:
        """Tokens of the answer, where the request limits them."""
        return self.max_tokens

    @property
    def likeliest(self) -> int | None:
        """How many likely tokens to name beside each chosen one; None: no log-probabilities at all."""
        return self.logprobs

    @property
    def prompts(self) -> list[str | list[int]]:
        """One entry a prompt."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and all(isinstance(item, int) for item in self.prompt):
            return [[item for item in self.prompt if isinstance(item, int)]]
        return [item for item in self.prompt if not isinstance(item, int)]
