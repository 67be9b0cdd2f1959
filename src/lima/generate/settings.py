"""Settings of ``lima generate``, ``serve`` and ``chat`` (LIMA, section 4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import tyro
from pydantic import Field, field_validator

from lima.hub import DataFile, ModelPlace
from lima.remote.endpoint import KeyVariable, parse_address
from lima.remote.sampling import Dialect
from lima.settings import Settings

WeightType = Literal["auto", "float32", "bfloat16", "float16"]


class ModelSettings(Settings):
    """How a model is loaded."""

    max_length: int = Field(2048, gt=1)
    """Prompt and answer together, in tokens; the model's own context is the limit where it is shorter."""
    dtype: WeightType = "auto"
    """Type of the weights in memory. auto: the checkpoint's own on CUDA and on CPUs with bfloat16 instructions
    (avx512_bf16, amx), float32 on others."""


class SamplingSettings(ModelSettings):
    """How answers are sampled, and how a server is asked."""

    temperature: float = Field(0.7, ge=0)
    """Flatness of the distribution; 0 always takes the likeliest token."""
    top_p: float = Field(0.9, ge=0, le=1)
    """Sample from the smallest set of likeliest tokens that holds this share of the probability."""
    top_k: int = Field(0, ge=0, le=2**31 - 1)
    """Sample from that many likeliest tokens at most; 0 is no limit."""
    repetition_penalty: float = Field(1.2, ge=0.01, le=100)
    """Divides the (positive) logits of tokens that were generated before; 1 is none."""
    penalize_prompt: bool = False
    """Count tokens of the prompt as repeated too, as most libraries do."""
    greedy: bool = False
    """Always take the likeliest token, whatever the temperature; the penalty stays."""
    max_new_tokens: int | None = Field(None, gt=0)
    """Longest answer in tokens; by default all that max-length leaves."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer; they are not part of it."""
    seed: int = 0
    """Random numbers depend on the seed, the prompt, the sample and the position, on nothing else."""
    server: Dialect = "generic"
    """URL#model: kind of server; decides which sampling fields beyond the common ones are sent. A lima server is
    recognised by itself."""
    api_key_env: KeyVariable = "LIMA_API_KEY"
    """URL#model: environment variable that holds the key. Unset: no key is sent."""
    api_key_file: Path | None = None
    """URL#model: file that holds the key, instead of the environment."""
    header: tuple[str, ...] = ()
    """URL#model: further HTTP headers as NAME=VALUE; env:VARIABLE as the value reads it from the environment, as a
    key should be."""
    query: tuple[str, ...] = ()
    """URL#model: parameters of every request's address as NAME=VALUE, such as api-version=2024-06-01."""
    timeout: float = Field(600.0, gt=0)
    """URL#model: seconds to wait for one reply."""


class GenerateSettings(SamplingSettings):
    """Sample a system's answers to a file of prompts.

    Example:
        lima generate runs/lima/epoch-10 data/test.jsonl --out answers/lima.jsonl

    A prompt is an Example that ends in a user turn. The defaults are the paper's: nucleus 0.9, temperature
    0.7, repetition penalty 1.2 over generated tokens, prompt and answer together at most 2,048 tokens.
    """

    system: tyro.conf.Positional[ModelPlace]
    """A checkpoint folder, a hub id (also USER/NAME@REVISION), or URL#model of an OpenAI-compatible server."""
    prompts: tyro.conf.Positional[DataFile]
    """JSON Lines file of Examples, or hf://USER/NAME:split."""
    out: Path
    """Where the completions go; with --also a folder, one file a system."""
    also: tuple[str, ...] = ()
    """Further systems that answer the same prompts."""
    name: str | None = None
    """The system's name in the records. Default: the folder's name (run and epoch), or the model's."""
    samples: int = Field(1, gt=0)
    """Answers a prompt (5 in the paper's ablations)."""
    in_context: Path | None = None
    """Answered Examples that are put before every prompt as plain text: the baseline without tuning."""
    limit: int | None = Field(None, gt=0)
    """Answer only the first prompts of the file."""
    slots: int = Field(32, gt=0)
    """Answers that are generated at the same time."""
    dtype: WeightType = "float32"
    """Type of the weights in memory; answers are reproducible to the byte in float32 on a CPU. auto: the checkpoint's
    own on CUDA and on CPUs with bfloat16 instructions (avx512_bf16, amx), float32 on others."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the attention of generation: half a minute once, then up to twice the speed in bfloat16
    on a CPU; needs a C++ compiler. auto: where there is one, for 128 answers or more."""
    concurrency: int = Field(64, gt=0)
    """URL#model: most requests in flight. The run adapts below it."""
    attempts: int = Field(6, gt=0)
    """URL#model: attempts for one request (after 429, 5xx, timeout or a dropped connection)."""
    max_calls: int | None = Field(None, gt=0)
    """URL#model: stop after this many calls, retries included."""
    strict: bool = False
    """Stop with exit code 2 where a prompt is too long, in place of rejecting it by name."""
    dry_run: bool = False
    """Show what would be done, and end."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"system", "prompts", "in_context"})
    free_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "out",
            "also",
            "slots",
            "api_key_env",
            "api_key_file",
            "header",
            "query",
            "concurrency",
            "timeout",
            "attempts",
        }
        | {"max_calls", "strict", "dry_run"}
    )

    @field_validator("system")
    @classmethod
    def _address(cls, value: str) -> str:
        return parse_address(value).address if "://" in value else value


class ServeSettings(ModelSettings):
    """Serve a model to any OpenAI client: chat and plain completions, streaming, many requests at once.

    What a request leaves out is the paper's decoding. The address is printed as URL#model, as `lima generate`
    and `lima judge` take it.

    Example: lima serve runs/lima/epoch-10 --port 8000
    """

    model: tyro.conf.Positional[ModelPlace]
    """A checkpoint folder or hub id."""
    name: str | None = None
    """The model's name for clients. Default: the folder's name (run and epoch)."""
    host: str = "127.0.0.1"
    """Address to listen on; only this machine by default."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one and prints it."""
    page: bool = False
    """Also serve a page at / to talk with the model in a browser."""
    against: str | None = None
    """A second model, a checkpoint folder or hub id, behind the same address; the page shows both side by side."""
    slots: int = Field(32, gt=0)
    """Answers that are generated at the same time."""
    queue: int = Field(256, gt=0)
    """Answers in progress or waiting; further requests get 429."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the attention of generation (see lima generate). auto: in bfloat16 on a CPU with a C++ compiler."""
    api_key_env: str = "LIMA_SERVE_KEY"
    """Environment variable with the key that clients must send. Unset: none is asked for."""
    dry_run: bool = False
    """Load the model, show how prompts are put to it, and end."""


class ChatSettings(SamplingSettings):
    """Talk with a model in the terminal, or with two side by side.

    Type a message, or /help. The history is shortened by whole turns where it outgrows the context. /save keeps
    the conversation as an Example, for training or as a dialogue.

    Example: lima chat runs/lima/epoch-10 --against runs/lima/epoch-05
    """

    system: tyro.conf.Positional[ModelPlace]
    """A checkpoint folder, a hub id, or URL#model."""
    against: str | None = None
    """A second system that answers the same messages."""
    save: Path = Path("chats.jsonl")
    """The file that /save appends to."""
    max_new_tokens: int = Field(512, gt=0)
    """Longest answer in tokens."""
    dry_run: bool = False
    """Load the systems and end."""
