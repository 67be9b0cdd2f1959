"""Settings of ``lima experiment``: in the built-in world, or on a real base and real data."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import tyro
from pydantic import Field, field_validator

from lima.remote.endpoint import parse_address
from lima.settings import Settings
from lima.train.settings import FitSettings

ON_REAL_BASES = ("quantity", "quality", "diversity", "dialogue", "structure", "perplexity", "token-shift")
"""The experiments that need no ground truth: a judge, or people, rate the answers."""


class RealSettings(Settings):
    """A real base and real data instead of the built-in world, measured by programs, or by a judge on your own prompts."""

    data: Path | None = None
    """Examples to tune on, JSON Lines (`lima curate`, `lima import`)."""
    other: Path | None = None
    """Examples to compare with: unfiltered ones (quality), or ones with a single kind of prompt (diversity)."""
    prompts: Path | None = None
    """Test prompts that a judge or people rate; none of them may be in the data. Not given: 200 prompts of our own with demands that a
    program checks, and 300 statements of common knowledge."""
    bands: Path | None = None
    """A YAML file of limits that were fixed in advance (see docs/claims.md)."""
    heldout: Path | None = None
    """Held-out conversations whose loss is measured every epoch (perplexity)."""
    judge: str | None = None
    """The judge model that rates helpfulness, URL#model. Not given: the blind study is left for people or a later judge."""
    samples: int = Field(5, ge=1)
    """Answers a prompt. [paper: 5]"""
    max_length: int = Field(2048, gt=1)
    """Longest text in tokens, in training and in answers."""
    max_new_tokens: int | None = Field(None, gt=0)
    """Longest answer in tokens; by default whatever max-length leaves."""
    keep_eot: bool = False
    """End a trimmed text with EOT (see `lima train`)."""
    limit: int | None = Field(None, gt=0)
    """Ask only this many prompts: the first ones of the file or, without a file, an even selection of our own prompts and statements."""
    fit: FitSettings = FitSettings()
    """How each arm is tuned; the same for all."""

    @field_validator("judge")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return value if value is None else parse_address(value).address


Name = Literal[
    "scratch",
    "quantity",
    "quality",
    "diversity",
    "token-shift",
    "pretraining",
    "transfer",
    "perplexity",
    "checkpoint",
    "overfitting",
    "unknown-facts",
    "dropout",
    "dialogue",
    "structure",
    "refusals",
    "selection",
    "in-context",
    "adapters",
    "epochs",
    "all",
]


class ExperimentSettings(RealSettings):
    """Test the paper's claims in the built-in world, where every answer can be checked.

    Small models read about a made-up world and are tuned in different ways, with the real code. Each claim ends
    in a table with intervals, a figure, and a verdict by limits that were fixed in advance. Finished jobs are
    kept and shared by experiments: the same command again continues.

    With --model an experiment runs on a real base and real data: measured by programs (demands on the answer, its end, its form, common
    knowledge), or, with --prompts, rated by a judge or by people.

    Example:
        lima experiment scratch --out lima-experiments
    """

    name: tyro.conf.Positional[Name]
    """The experiment, or `all`: every claim with its outcome, in one report."""
    model: str | None = None
    """A real base, a Hugging Face folder or a hub id, in place of the world's bases."""
    out: Path = Path("lima-experiments")
    """The folder for jobs and reports."""
    scale: Literal["demo", "small", "full"] = "demo"
    """`demo`: one base and one seed, minutes; intervals by person. `full`: two bases of five seeds; intervals by seed.
    On a real base: `demo` shows that it runs, `small` takes hours on two cores, `full` a night on one GPU."""
    seeds: int | None = Field(None, ge=1)
    """Seeds of tuning on each base. Default: 1 at demo scale, 5 at full scale; on a real base 3 for quantity, else 1."""
    workers: int | None = Field(None, ge=1)
    """Processes at a time, one thread each. Default: the number of processors."""
    finished: bool = False
    """Report on the finished runs and start none, to look at a long run in progress."""
    dry_run: bool = False
    """Show which jobs would run, and stop."""

    input_fields: ClassVar[frozenset[str]] = frozenset(
        {"model", "data", "other", "prompts", "heldout", "bands"}
    )
    # The folder holds jobs of all experiments, whatever the scale; each is known by its own settings.
    free_fields: ClassVar[frozenset[str]] = frozenset(
        {"name", "out", "scale", "seeds", "workers", "finished", "dry_run", "judge"}
    )
