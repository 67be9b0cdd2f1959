"""Settings of ``lima regress``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import tyro
from pydantic import Field

from lima.hub import ModelPlace
from lima.settings import Settings


class RegressSettings(Settings):
    """What did tuning cost? Tasks of lm-evaluation-harness on a base and on the model tuned from it, paired by item.

    Local models are served by `lima serve`, one after the other; URL#model is asked where it runs. The harness must be installed (the extra regress).

    Example: lima regress meta-llama/Llama-3.1-8B runs/lima/epoch-10 --tasks hellaswag arc_easy --out regress/lima
    """

    base: tyro.conf.Positional[ModelPlace]
    """The model before tuning: a folder, a hub id, or URL#model of a running `lima serve`."""
    tuned: tyro.conf.Positional[ModelPlace]
    """The model after tuning, likewise."""
    tasks: tuple[str, ...]
    """Tasks of the harness, its own or those of --include-path."""
    out: Path
    """Folder for regress.json, and for the harness's own results of both models."""
    include_path: Path | None = None
    """Folder with task files (YAML) of your own."""
    tokenizer: str | None = None
    """Tokenizer of both models where they are given as URL#model: a folder or hub id. Not given: the model's own."""
    limit: int | None = Field(default=None, gt=0)
    """Only the first items of each task: a trial."""
    num_fewshot: int | None = Field(default=None, ge=0)
    """Examples before each item. Not given: as the task says."""
    max_length: int | None = Field(default=None, gt=0)
    """Longest text in tokens. Not given: the smaller context of the two models, 2,048 where it is not known."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the weights of local models."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Two-sided level of all tests together: each of the tasks has its part (Bonferroni)."""
    dry_run: bool = False
    """Print what would be run, and stop."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"include_path"})
    free_fields: ClassVar[frozenset[str]] = frozenset({"alpha", "dry_run"})
