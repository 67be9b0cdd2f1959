"""Settings of ``lima bench``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import tyro
from pydantic import Field

from lima.remote.endpoint import ModelAddress
from lima.settings import Settings


class BenchSettings(Settings):
    """Measure judges, estimators or selectors where the truth is known.

    judges: pairs of answers about a made-up world, in which truth, length, form and the side shown first are crossed, so that a judge's
    biases come out as effects with intervals. estimators: simulated studies with known win rates, for the coverage of any interval.
    selectors: a pool of examples with planted flaws, of which 128 are chosen; the score is exact answers after tuning by one recipe.
    A submission is a file; the sets are the same wherever seed and version are.

    Example: lima bench judges --judge http://127.0.0.1:8000/v1#my-model --out lima-bench
    """

    part: tyro.conf.Positional[Literal["judges", "estimators", "selectors"]]
    """What is measured."""
    out: Path = Path("lima-bench")
    """The folder for sets, verdicts and leaderboard pages."""
    judge: tuple[ModelAddress, ...] = ()
    """judges: models to ask, URL#model; each pair in both orders."""
    submission: tuple[Path, ...] = ()
    """Files to score: verdicts (`preferences.jsonl` of `lima judge`) or intervals (JSON Lines of study, low, high),
    or chosen examples (what `lima select` writes)."""
    seed: int = 0
    """Seed of the set. A leaderboard compares what was measured with one seed."""
    repeats: int = Field(10, ge=1, le=13)
    """judges: pairs of each of the 27 crossings."""
    studies: int = Field(200, ge=10)
    """estimators: simulated studies of each kind."""
    questions: int = Field(150, ge=10, le=375)
    """selectors: questions that a tuned model answers."""
    concurrency: int = Field(16, ge=1)
    """judges: most requests in flight."""
    dry_run: bool = False
    """Show what would be done, and end."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"submission"})
    free_fields: ClassVar[frozenset[str]] = frozenset(
        {"judge", "submission", "out", "concurrency", "dry_run"}
    )
