"""Where a system comes from, as far as the folders of its training say: for curves over training sets and epochs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from lima.files import read_json, read_jsonl
from lima.records import Record


class Lineage(Record):
    """The training of a checkpoint (``lima train``); None: not known."""

    examples: int | None = None
    """Training examples."""
    epoch: int | None = None
    """The epoch after which it was kept."""
    heldout_perplexity: float | None = None
    """exp of the mean negative log-likelihood on the run's held-out file after that epoch (LIMA, appendix B)."""


class _Row(Record):
    """What counts here of a row of ``metrics.jsonl``."""

    model_config = ConfigDict(extra="ignore")

    epoch: int
    heldout_nll: float | None = None


def lineage_of(model: str) -> Lineage | None:
    """What is known of a model's training: its folder is one epoch of a run, or the run itself.

    None for a model that no run of ``lima train`` in reach has made (a hub id, a URL, a folder from elsewhere).
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    for run in (folder, folder.resolve().parent):
        record: dict[str, Any] = read_json(run / "run.json") if (run / "run.json").is_file() else {}
        if record.get("command") == "train":
            epoch = None if run == folder else re.fullmatch(r"epoch-0*(\d+)", folder.name)
            number = int(epoch[1]) if epoch else None
            examples = record.get("facts", {}).get("examples")
            return Lineage(
                examples=examples, epoch=number, heldout_perplexity=_perplexity(run / "metrics.jsonl", number)
            )
    return None


def _perplexity(metrics: Path, epoch: int | None) -> float | None:
    if not metrics.exists():
        return None
    measured = [row for row in read_jsonl(metrics, _Row) if row.heldout_nll is not None]
    found = [row for row in measured if epoch in (None, row.epoch)]
    return math.exp(found[-1].heldout_nll) if found and found[-1].heldout_nll is not None else None
