"""What ``lima generate`` can be told (LIMA, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import tyro
from pydantic import Field

from lima.settings import Settings


class GenerateSettings(Settings):
    """Sample a system's answers to a file of prompts.

    Example:
        lima generate runs/lima/epoch-10 data/test.jsonl --out answers/lima.jsonl

    A prompt is an Example that ends in a user turn. The defaults are the paper's: nucleus 0.9, temperature
    0.7, repetition penalty 1.2 over generated tokens, prompt and answer together at most 2,048 tokens.
    """

    system: tyro.conf.Positional[str]
    """A checkpoint folder, a hub id, or URL#model of an OpenAI-compatible server."""
    prompts: tyro.conf.Positional[Path]
    """JSON Lines file of Examples."""
    out: Path
    """Where the completions go; with --also a folder, one file a system."""
    also: tuple[str, ...] = ()
    """Further systems that answer the same prompts."""
    name: str | None = None
    """The system's name in the records. Default: the folder's name (run and epoch), or the model's."""
    temperature: float = Field(0.7, ge=0)
    """Flatness of the distribution; 0 always takes the likeliest token."""
    top_p: float = Field(0.9, ge=0, le=1)
    """Sample from the smallest set of likeliest tokens that holds this share of the probability."""
    top_k: int = Field(0, ge=0)
    """Sample from that many likeliest tokens at most; 0 is no limit."""
    repetition_penalty: float = Field(1.2, gt=0)
    """Divides the (positive) logits of tokens that were generated before; 1 is none."""
    penalize_prompt: bool = False
    """Count tokens of the prompt as repeated too, as most libraries do."""
    greedy: bool = False
    """Always take the likeliest token, whatever the temperature; the penalty stays."""
    max_length: int = Field(2048, gt=1)
    """Prompt and answer together, in tokens; the model's own context is the limit where it is shorter."""
    max_new_tokens: int | None = Field(None, gt=0)
    """Longest answer in tokens; by default all that max-length leaves."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer; they are not part of it."""
    samples: int = Field(1, gt=0)
    """Answers a prompt (5 in the paper's ablations)."""
    seed: int = 0
    """Random numbers depend on the seed, the prompt's id, the sample and the position, on nothing else."""
    limit: int | None = Field(None, gt=0)
    """Answer only the first prompts of the file."""
    slots: int = Field(32, gt=0)
    """Answers that grow at once."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the weights; answers are reproducible to the byte in float32 on a CPU."""
    compile: bool = False
    """Compile the attention of growing answers: half a minute once, then up to twice the speed in bfloat16
    on a CPU; needs a C++ compiler."""
    strict: bool = False
    """Stop with exit code 2 where a prompt is too long, in place of rejecting it by name."""
    dry_run: bool = False
    """Show what would be done, and end."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"system", "prompts"})
    free_fields: ClassVar[frozenset[str]] = frozenset({"out", "also", "slots", "strict", "dry_run"})
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
