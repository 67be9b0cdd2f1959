"""What ``lima experiment NAME --model ...`` can be told: the same questions put to a real base and real data."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from lima.remote.endpoint import parse_address
from lima.settings import Settings
from lima.train.settings import FitSettings

EXPERIMENTS = ("quantity", "quality", "diversity", "dialogue", "structure", "perplexity", "token-shift")
"""The experiments that need no ground truth: a judge, or people, rate the answers."""


class RealSettings(Settings):
    """A real base, real data and a judge, in place of the built-in world."""

    data: Path | None = None
    """Examples to tune on, JSON Lines (`lima curate`, `lima import`)."""
    other: Path | None = None
    """Other examples to compare with: unfiltered ones (quality), or ones with a single kind of prompt (diversity)."""
    prompts: Path | None = None
    """Test prompts; none of them may be in the data."""
    heldout: Path | None = None
    """Held-out conversations whose loss is measured every epoch (perplexity)."""
    judge: str | None = None
    """The judge model that rates helpfulness, URL#model. Not given: the blind study is left for people or a later judge."""
    samples: int = Field(5, ge=1)
    """Answers a prompt. [paper: 5]"""
    max_length: int = Field(2048, gt=1)
    """Longest text in tokens, in training and in answers."""
    max_new_tokens: int | None = Field(None, gt=0)
    """Longest answer in tokens; by default all that max-length leaves."""
    keep_eot: bool = False
    """End a trimmed text with EOT (see `lima train`)."""
    limit: int | None = Field(None, gt=0)
    """Ask only the first prompts of the file."""
    fit: FitSettings = FitSettings()
    """How each arm is tuned; the same for all."""

    @field_validator("judge")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return value if value is None else parse_address(value).address
