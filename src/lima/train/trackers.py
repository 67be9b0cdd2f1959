"""``--log-to``: the rows of ``metrics.jsonl`` in the places where people look at curves, too.

The packages are wanted only when they are asked for. Settings go there as the run's configuration; they hold no key. What a
run sends is what its file says: a resumed run goes on in the same place.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from lima.errors import LimaError
from lima.files import text_hash
from lima.train.metrics import Metrics
from lima.train.settings import Tracker, TrainSettings

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
    if row.tokens and row.seconds:
        named["train/tokens_per_second"] = row.tokens / row.seconds
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
    # an identity that hangs on the folder, so that a resumed run goes on in the same curves; trackio knows runs by name
    "wandb": lambda settings: _service("wandb", settings, settings.out.name, id=_identity(settings)),
    "trackio": lambda settings: _service(
        "trackio", settings, f"{settings.out.name}-{_identity(settings)[:6]}"
    ),
}


def _identity(settings: TrainSettings) -> str:
    return text_hash(str(settings.out.resolve()))
