"""Settings of ``lima demo``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from lima.settings import Settings


class DemoSettings(Settings):
    """Show the whole path on this machine: curate, train, generate, compare, report, with the real code.

    A small language model has read about a made-up world; it ships with lima. About 1,000 examples are curated from the
    world's forum and tune it. Since the world is made up, every answer can be checked. The same command again goes on
    where it was.

    Example:
        lima demo --out lima-demo
    """

    out: Path = Path("lima-demo")
    """The folder for all files of the demo."""
    seed: int = 0
    """Seed of the world, of the models and of all sampling; with another one a base is pretrained first."""
    examples: int = Field(default=1000, ge=1, le=1100)
    """Curated examples to train on."""
    questions: int = Field(default=300, ge=5, le=375)
    """Test questions, about people and in words that no training example has."""
    pretraining_steps: int = Field(default=1500, ge=1)
    """Steps of pretraining; with fewer the model knows less of its world."""
    pretrain: bool = False
    """Pretrain the base on this machine (once, 2-4 minutes; it is kept) rather than take the one that ships."""
    dumps: Path | None = None
    """Write the world's raw dumps into this folder and end: Stack Exchange, wikiHow, Reddit, Super-NaturalInstructions and
    authored examples in the formats of the real ones, for `lima curate world-all`."""
    dry_run: bool = False
    """Show what would be done, and end."""

    free_fields: ClassVar[frozenset[str]] = frozenset({"out", "dumps", "dry_run"})
