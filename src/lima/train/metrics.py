"""``metrics.jsonl``: a row a step and a row an epoch, also after a resume as if there had been no stop.

With ``--log-to`` the rows go where people look at curves, too. Those packages are wanted only when they are asked for; settings
go there as the run's configuration, which holds no key.
"""

from __future__ import annotations

import importlib
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import torch
from pydantic import JsonValue, model_serializer

from lima.chat import Tokens
from lima.errors import LimaError
from lima.files import JsonlLog, text_hash, write_jsonl
from lima.records import Record
from lima.train.dropout import decoder_layers
from lima.train.four_bit import elements
from lima.train.settings import Tracker, TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WORTH_MEASURING = 10_000_000
"""Weights of a model from which on its speed is held against the device's."""


class Metrics(Record):
    """What one optimiser step did (``loss`` is set), or what held after an epoch (``loss`` is absent)."""

    step: int
    """Finished steps, from 1."""
    epoch: int
    """The epoch it belongs to, from 1."""
    loss: float | None = None
    """Mean negative log-likelihood of the step's supervised tokens, in nats, before the step."""
    accuracy: float | None = None
    """Share of those tokens that had the highest probability, in [0, 1]: when it stops rising, tuning can stop."""
    stop_loss: float | None = None
    """The loss at the ends of answers alone, where the stop token is wanted: exp(-it) is how likely the model stops there."""
    learning_rate: float | None = None
    grad_norm: float | None = None
    """Norm of the gradient before clipping."""
    tokens: int | None = None
    """Tokens that went through the model, supervised or not."""
    replayed: int | None = None
    """Those of them that are replayed pretraining text."""
    seconds: float | None = None
    tokens_per_second: float | None = None
    utilisation: float | None = None
    """The products' FLOPs a second, attention apart, as a share of the rate of one large product on this device (`Meter`)."""
    peak_memory: float | None = None
    """GB: on CUDA the most that tensors have held so far, else the most that the process has held."""
    heldout_nll: float | None = None
    """Mean negative log-likelihood of the held-out file's supervised tokens, in nats."""
    dev_nll: float | None = None

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, JsonValue]:
        return {key: value for key, value in handler(self).items() if value is not None}


MEASURED = ("seconds", "tokens_per_second", "utilisation", "peak_memory")
"""Fields that tell of the machine: all others are the same however often a run was stopped."""


@dataclass(frozen=True)
class Meter:
    """What the time of a step is held against: the products that it needs, and the rate that the device has for them."""

    flops: tuple[float, float]
    """For a token that goes through the layers, and for a supervised one besides, which goes through the head."""
    rate: float | None
    """FLOPs a second of one large product in the run's arithmetic; None: not measured, as the model is too small."""
    device: torch.device

    @classmethod
    def of(cls, model: PreTrainedModel, dtype: torch.dtype) -> Self:
        """Measure the device once."""
        matrices = [p for p in decoder_layers(model).parameters() if p.ndim == 2]
        layers = sum(_flops(p) * elements(p) for p in matrices)
        head = model.get_input_embeddings().weight
        is_small = sum(p.numel() for p in model.parameters()) < WORTH_MEASURING or model.device.type == "meta"
        rate = None if is_small else product_rate(model.device, dtype)
        return cls((layers, _flops(head) * head.numel()), rate, model.device)

    def measured(self, batch: Sequence[Tokens], replayed: Sequence[Tokens], seconds: float) -> dict[str, Any]:
        """The fields of a step's row that give its tokens and describe the machine; ``batch`` includes the replayed windows."""
        tokens, supervised = sum(len(row.ids) for row in batch), sum(row.supervised for row in batch)
        found = {
            "tokens": tokens,
            "replayed": sum(len(window.ids) for window in replayed) or None,
            "seconds": round(seconds, 4),
            "tokens_per_second": round(tokens / seconds, 1),
            "peak_memory": round(peak_memory(self.device) / 1e9, 3),
        }
        if self.rate:
            achieved = (self.flops[0] * tokens + self.flops[1] * supervised) / seconds
            found["utilisation"] = round(achieved / self.rate, 4)
        return found


def progress_note(row: Metrics) -> str:
    """A step's figures for the progress line."""
    parts = [f"loss {row.loss:.3f}", f"accuracy {row.accuracy:.0%}", f"{row.tokens_per_second:,.0f} tokens/s"]
    # above 1, the rate was measured while other work slowed it
    if row.utilisation is not None and row.utilisation <= 1:
        parts.append(f"{row.utilisation:.0%} of matrix-product speed")
    return ", ".join([*parts, f"{row.peak_memory:.1f} GB"])


def epoch_table(metrics: Iterable[Metrics]) -> list[list[str]]:
    """Head and a row an epoch: means over its steps, and what was measured at its end."""
    epochs: dict[int, list[Metrics]] = {}
    for row in metrics:
        epochs.setdefault(row.epoch, []).append(row)
    columns = {
        "loss": "loss", "accuracy": "accuracy", "stop_loss": "stop", "heldout_nll": "held-out NLL", "dev_nll": "dev NLL",
    }  # fmt: skip
    rows = []
    for epoch, found in epochs.items():
        values = [[x for row in found if (x := getattr(row, name)) is not None] for name in columns]
        rows.append([f"{epoch}", *(f"{sum(x) / len(x):.3f}" if x else "" for x in values)])
    table = [["epoch", *columns.values()], *rows]
    used = [place for place in range(len(table[0])) if any(row[place] for row in rows)]
    return [[row[place] for place in used] for row in table]


def _flops(weight: torch.Tensor) -> int:
    """For a token: a frozen weight has no gradient of its own."""
    return 6 if weight.requires_grad else 4


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs a second of one large product of square matrices: the best within a fifth of a second, since other work may take turns."""
    size = 8192 if device.type == "cuda" else 1024
    # a card is faster on numbers that are all alike, whose bits cost less power
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(size, size, generator=generator, device=device).to(dtype) for _ in range(2))
    taken: list[float] = []
    while len(taken) < 5 or sum(taken) < 0.2:
        _wait(device)
        began = time.perf_counter()
        a @ b
        _wait(device)
        taken.append(time.perf_counter() - began)
    return 2 * size**3 / min(taken)


def peak_memory(device: torch.device) -> float:
    """Bytes: the most that tensors have held on CUDA, else the most that this process has held."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


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


Report: TypeAlias = Callable[[Metrics], None]
PROJECT = "lima"


@contextmanager
def reporting(settings: TrainSettings) -> Iterator[Report]:
    """What takes the rows of a run while it lasts; does nothing where nothing was asked for."""
    with ExitStack() as stack:
        reports = [stack.enter_context(TRACKERS[name](settings)) for name in dict.fromkeys(settings.log_to)]

        def report(row: Metrics) -> None:
            for tell in reports:
                tell(row)

        yield report


def check_installed(settings: TrainSettings) -> None:
    """Find out before a run begins.

    Raises:
        LimaError: a package that ``log_to`` needs is missing.
    """
    for name in settings.log_to:
        try:
            importlib.import_module(name)
        except ImportError:
            raise LimaError(f"--log-to {name}: the package is missing. pip install {name}") from None


def values(row: Metrics) -> dict[str, float]:
    """The figures of a row by the names that trackers group by, such as ``train/loss``."""
    part = "epoch" if row.loss is None else "train"
    known = row.model_dump(exclude={"step", "epoch"}, exclude_none=True)
    named = {f"{part}/{name}": float(value) for name, value in known.items()}
    return named | {"epoch": float(row.epoch)}


@contextmanager
def _tensorboard(settings: TrainSettings) -> Iterator[Report]:
    """Event files in the run folder; what a killed run wrote beyond its last state is purged."""
    from torch.utils.tensorboard import SummaryWriter

    writers: list[Any] = []

    def tell(row: Metrics) -> None:
        if not writers:
            writers.append(SummaryWriter(str(settings.out / "tensorboard"), purge_step=row.step))
        for name, value in values(row).items():
            writers[0].add_scalar(name, value, row.step)

    try:
        yield tell
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def _service(package: str, settings: TrainSettings, name: str, **more: Any) -> Iterator[Report]:
    """Weights & Biases and trackio have the same three functions."""
    service = importlib.import_module(package)
    service.init(
        project=PROJECT,
        name=name,
        config=settings.model_dump(mode="json", exclude={"log_to"}),
        resume="allow",
        **more,
    )
    try:
        yield lambda row: service.log(values(row), step=row.step)
    finally:
        service.finish()


TRACKERS: Mapping[Tracker, Any] = {
    "tensorboard": _tensorboard,
    # an identity that depends on the folder alone, so that a resumed run goes on in the same curves; trackio knows runs by name
    "wandb": lambda settings: _service("wandb", settings, settings.out.name, id=_identity(settings)),
    "trackio": lambda settings: _service(
        "trackio", settings, f"{settings.out.name}-{_identity(settings)[:6]}"
    ),
}


def _identity(settings: TrainSettings) -> str:
    return text_hash(str(settings.out.resolve()))
