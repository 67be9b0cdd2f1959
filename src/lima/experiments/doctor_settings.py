"""Settings of ``lima doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import tyro
from pydantic import Field

from lima.settings import Settings


class DoctorSettings(Settings):
    """Check, before training, that a model and a data file go together, and show what carries loss.

    Every check is a mistake that has spoiled somebody's fine-tuning: a stop token outside the loss, attention across
    packed documents, a dialogue without its history, a template that renders other ids at generation than at
    training, rows with nothing to learn. The first example at fault is named and the exit code is 2.

    Example: lima doctor HuggingFaceTB/SmolLM2-135M train.jsonl --max-length 1024
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"model", "data"})

    model: tyro.conf.Positional[str]
    """The base model: a Hugging Face folder or a hub id."""
    data: tyro.conf.Positional[Path]
    """Training conversations, JSON Lines of examples."""
    max_length: int = Field(2048, gt=1)
    """Longest text in tokens, as for training."""
    keep_eot: bool = False
    """End a trimmed text with EOT, as for training."""
    eot_token: str = "<|eot|>"
    """The special token that ends every utterance."""
    show: int = Field(2, ge=0)
    """How many examples to print with their masks: green carries loss."""
