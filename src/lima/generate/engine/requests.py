"""What goes into the engine and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from lima.generate.engine.decoding import PAPER, Decoding
from lima.records import FinishReason


@dataclass(frozen=True)
class Request:
    """One answer to make."""

    id: str
    prompt: tuple[int, ...]
    max_new_tokens: int
    decoding: Decoding = PAPER
    noise: int = 0
    """The key of its random numbers (`decoding.noise_key`)."""
    stop_ids: frozenset[int] = frozenset()
    stop: tuple[str, ...] = ()
    stream: bool = False
    """Whether `Step.text` is wanted while the answer grows."""
    raw: bool = False
    """Keep white space around the text (plain continuation)."""
    logprobs: int | None = None
    """How many likeliest tokens to tell beside each chosen one, with log-probabilities; None tells nothing."""

    def __post_init__(self) -> None:
        assert self.prompt, self.id
        assert self.max_new_tokens > 0, (self.id, self.max_new_tokens)


@dataclass(frozen=True)
class Answer:
    """A finished answer; ``ids`` hold the stop token where there is one."""

    request: Request
    ids: tuple[int, ...]
    text: str
    finish_reason: FinishReason


@dataclass(frozen=True)
class LogProbs:
    """Log-probabilities of one step under the model itself, before penalty, temperature and nucleus."""

    chosen: float
    top: tuple[tuple[int, float], ...]
    """The likeliest tokens, likeliest first."""


@dataclass(frozen=True)
class Step:
    """What one engine step did for one request."""

    request: Request
    token: int | None
    text: str
    """New text, for requests with ``stream``."""
    answer: Answer | None
    """Set when the request is finished."""
    logprobs: LogProbs | None = None
