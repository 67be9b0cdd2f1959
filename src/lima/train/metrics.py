"""``metrics.jsonl``: a row a step and a row an epoch, also after a resume as if there had been no stop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

from pydantic import JsonValue, model_serializer

from lima.files import JsonlLog, write_jsonl
from lima.records import Record


class Metrics(Record):
    """What one optimiser step did (``loss`` is set), or what held after an epoch (``loss`` is absent)."""

    step: int
    """Finished steps, from 1."""
    epoch: int
    """The epoch it belongs to, from 1."""
    loss: float | None = None
    """Mean negative log-likelihood of the step's supervised tokens, in nats, before the step."""
    learning_rate: float | None = None
    grad_norm: float | None = None
    """Norm of the gradient before clipping."""
    tokens: int | None = None
    """Tokens that went through the model, supervised or not."""
    replayed: int | None = None
    """Those of them that are replayed pretraining text."""
    seconds: float | None = None
    heldout_nll: float | None = None
    """Mean negative log-likelihood of the held-out file's supervised tokens, in nats."""
    dev_nll: float | None = None

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, JsonValue]:
        return {key: value for key, value in handler(self).items() if value is not None}


class MetricsLog(JsonlLog[Metrics]):
    """The log of a run that goes on after ``step`` finished steps; rows of later steps are cut off.

    ``report`` gets each new row too, once it is written.
    """

    def __init__(self, path: Path, step: int, report: Callable[[Metrics], None] = lambda row: None) -> None:
        super().__init__(path, Metrics)
        self._report = report
        kept = [row for row in self.existing if row.step <= step]
        if len(kept) < len(self.existing):
            self.close()
            write_jsonl(path, kept)
            super().__init__(path, Metrics)

    def append(self, record: Metrics) -> None:
        """Write a row and report it."""
        super().append(record)
        self._report(record)

    def has_epoch(self, epoch: int) -> bool:
        """Whether the row that closes an epoch is there."""
        return any(row.epoch == epoch and row.loss is None for row in self.existing)


class NoLog(nullcontext[None]):
    """The log of a process that keeps none, since another one does."""

    def __enter__(self) -> Self:  # type: ignore[override]
        return self

    def has_epoch(self, epoch: int) -> bool:
        """Nothing is there."""
        return False

    def append(self, record: Metrics) -> None:
        """Nothing is kept."""
