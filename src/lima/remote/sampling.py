"""Sampling parameters -> the fields of a chat request, each sent explicitly, by server.

An unset field is filled by the server (vLLM takes it from the model's ``generation_config.json``), so that
nothing is left unset. Fields outside the OpenAI API go only to servers known to take them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Dialect = Literal["generic", "openai", "vllm", "sglang", "llama.cpp", "lima"]


@dataclass(frozen=True)
class Sampling:
    """How to sample one answer."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int = 0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class DialectFacts:
    """What one kind of server calls things, beyond the common fields."""

    length: str = "max_tokens"
    penalty: str | None = None
    penalizes_prompt: bool = True
    """Whether the penalty counts the prompt's tokens too."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Fields that switch off what the server would otherwise fill in by itself."""


DIALECTS: dict[Dialect, DialectFacts] = {
    "generic": DialectFacts(),
    "openai": DialectFacts(length="max_completion_tokens"),
    "vllm": DialectFacts(penalty="repetition_penalty", fixed=(("top_k", -1), ("min_p", 0.0))),
    "sglang": DialectFacts(penalty="repetition_penalty", fixed=(("top_k", -1), ("min_p", 0.0))),
    "llama.cpp": DialectFacts(
        penalty="repeat_penalty",
        fixed=(("top_k", 0), ("min_p", 0.0), ("typical_p", 1.0), ("repeat_last_n", -1)),
    ),
    "lima": DialectFacts(
        penalty="repetition_penalty",
        penalizes_prompt=False,
        fixed=(("top_k", 0), ("penalize_prompt", False)),
    ),
}


def dialect_of(asked: Dialect, owner: str) -> Dialect:
    """The dialect to speak: the one asked for, but that of ``lima serve`` where no other than the common one is.

    Args:
        asked: the setting.
        owner: ``owned_by`` in the server's list of models.

    >>> dialect_of("generic", "lima"), dialect_of("generic", "vllm"), dialect_of("openai", "lima")
    ('lima', 'generic', 'openai')
    """
    return "lima" if (asked, owner) == ("generic", "lima") else asked


def parameters(sampling: Sampling, dialect: Dialect = "generic") -> tuple[dict[str, Any], list[str]]:
    """The fields of a request, without ``model`` and ``messages``, and what the server will not do as asked.

    There is no ``n``: K samples are K requests.

    >>> parameters(Sampling(repetition_penalty=1.2))[1]
    ['repetition_penalty 1.2 is no field of a generic server and is not sent']
    """
    facts = DIALECTS[dialect]
    body: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        facts.length: sampling.max_tokens,
        "seed": sampling.seed,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "stream": False,
        **dict(facts.fixed),
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    warnings = []
    if facts.penalty:
        body[facts.penalty] = sampling.repetition_penalty
    if sampling.repetition_penalty != 1.0 and facts.penalizes_prompt:
        value = f"repetition_penalty {sampling.repetition_penalty}"
        warnings.append(
            f"{value} counts the prompt's tokens too on {dialect}"
            if facts.penalty
            else f"{value} is no field of a {dialect} server and is not sent"
        )
    return body, warnings
