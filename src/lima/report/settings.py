"""Settings of ``lima report``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import tyro
from pydantic import Field

from lima.settings import Settings


class ReportSettings(Settings):
    """Turn the verdicts of a study into one self-contained page, and the same numbers as JSON.

    Writes report.html, report.json, tables.md, tables.tex and figures/*.svg. It can run at any time, also before all raters are done.

    Example: lima report studies/tuned-vs-base
    """

    study: tyro.conf.Positional[Path]
    """Study folder, as `lima compare` makes it."""
    out: Path | None = None
    """Folder for the report; by default the study folder itself."""
    system: str | None = None
    """The system whose wins are counted. Default: the first one of the protocol, else the one in most pairs."""
    against: Path | None = None
    """Another study with the same prompts: its system under test is compared with this one's, item by item."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Confidence level of every interval."""
    seed: int = 0
    """Seed of the bootstrap and of the sample of items shown."""
    rounds: int = Field(default=10_000, ge=100)
    """Bootstrap resamples an interval."""
    coverage: float = Field(default=0.95, ge=0, le=1)
    """Below this share of usable verdicts the report warns at its very top."""
    samples: int = Field(default=300, ge=0)
    """Items shown with their answers, verdicts and raw judge text, drawn at random when there are more."""
    dry_run: bool = False
    """Read and check the study, print its counts, write nothing."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"study", "against"})
    free_fields: ClassVar[frozenset[str]] = frozenset({"dry_run"})
