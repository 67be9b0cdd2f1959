"""Settings of ``lima doctor``."""

from __future__ import annotations

from typing import ClassVar

import tyro
from pydantic import Field

from lima.hub import DataFile, ModelPlace
from lima.settings import Settings


class DoctorSettings(Settings):
    """Check, before training, that a model and a data file go together, and show what carries loss.

    Every check stands for a mistake that has spoiled somebody's fine-tuning: a stop token outside the loss, attention across
    packed documents, a dialogue without its history, a template that renders other ids at generation than at
    training, rows with nothing to learn. The first example at fault is named and the exit code is 2.

    With --dev it also says whether the base is ready: answers to answered dev prompts as it is, with examples in the
    prompt, and after a pilot on 64 examples, which tell a lack of knowledge from a lack of style.

    Example: lima doctor HuggingFaceTB/SmolLM2-135M train.jsonl --max-length 1024
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"model", "data"})

    model: tyro.conf.Positional[ModelPlace]
    """The base model: a Hugging Face folder or a hub id."""
    data: tyro.conf.Positional[DataFile]
    """Training conversations, JSON Lines of examples, or hf://USER/NAME:split."""
    max_length: int = Field(2048, gt=1)
    """Longest text in tokens, as for training."""
    keep_eot: bool = False
    """End a trimmed text with EOT, as for training."""
    eot_token: str = "<|eot|>"
    """The special token that ends every utterance."""
    chat_template: str = "lima"
    """Format of conversations, as for training: `lima`, `tokenizer` (the base's own template) or a file with one."""
    dev: DataFile | None = None
    """Answered development prompts, apart from the data: is the base ready? Takes a pilot of 160 steps."""
    dev_limit: int = Field(50, gt=1)
    """Dev prompts that are asked at most."""
    pilot_learning_rate: float | None = Field(None, gt=0)
    """Learning rate of the pilot; unset: 1e-5 at a width of 4,096, more in proportion for narrower models."""
    max_new_tokens: int = Field(256, gt=0)
    """Longest answer to a dev prompt, in tokens."""
    seed: int = 0
    """Draws the examples of the pilot."""
    show: int = Field(2, ge=0)
    """How many examples to print with their masks: green carries loss."""
