"""What a run leaves on the disk: which epochs' models, in which type, how many bytes; and the mean of the last ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open

from lima import model as models
from lima.errors import LimaError
from lima.train.checkpoints import KEPT
from lima.train.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHOSEN_AMONG = range(5, 11)
"""Epochs among which the paper chooses by hand (LIMA, section 3)."""


def kept_epochs(settings: TrainSettings, last: int) -> list[int]:
    """The epochs whose models a run of this many epochs writes."""
    every = range(1, last + 1)
    if settings.keep_epochs:
        return [e for e in every if e in settings.keep_epochs or e == last or 0 in settings.keep_epochs]
    return [e for e in every if e in CHOSEN_AMONG or e == last or last < CHOSEN_AMONG.start]


def save_dtype(settings: TrainSettings) -> torch.dtype:
    """The type that weights are saved in."""
    if settings.save_dtype == "auto":
        return models.stored_dtype(settings.model)
    found: torch.dtype = getattr(torch, settings.save_dtype)
    return found


def epoch_folder(run: Path, epoch: int) -> Path:
    """Where a run keeps the model of an epoch, such as ``epoch-07``."""
    return run / f"epoch-{epoch:02d}"


@dataclass(frozen=True)
class Disk:
    """Bytes that a run writes, and how many its disk has."""

    model: int
    """One saved model, with its adapters beside it."""
    models: int
    """How many there will be that are not there yet."""
    states: int
    """Training states, the one being written included; they are removed at the end."""
    free: int

    @property
    def total(self) -> int:
        """All that will be written, at the moment when most is held."""
        return self.model * self.models + self.states

    def check(self, folder: Path) -> None:
        """Find out before the first step.

        Raises:
            LimaError: there is too little.
        """
        if self.total > self.free:
            raise LimaError(
                f"{folder}: the run needs {self.total / 1e9:,.1f} GB on the disk ({self.models} models of "
                f"{self.model / 1e9:,.1f} GB, and {self.states / 1e9:,.1f} GB of training states), {self.free / 1e9:,.1f} GB are "
                "free. Name fewer --keep-epochs, take --save-dtype bfloat16, or another --out."
            )


def disk(model: PreTrainedModel, settings: TrainSettings, last: int) -> Disk:
    """What a run of this many epochs needs; a folder that was written before a stop is not counted again."""
    size = save_dtype(settings).itemsize
    missing = [e for e in kept_epochs(settings, last) if not epoch_folder(settings.out, e).exists()]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    states = (8 if settings.memory == "low" else 12) * trained * (KEPT + 1)
    there = sum(file.stat().st_size for file in (settings.out / "state").rglob("*") if file.is_file())
    place = next(path for path in (settings.out, *settings.out.absolute().parents) if path.exists())
    return Disk(
        model=size * _plain_weights(model) + (4 * trained if settings.lora_rank else 0),
        models=len(missing) + bool(settings.average_last),
        states=max(0, states - there),
        free=shutil.disk_usage(place).free,
    )


def _plain_weights(model: PreTrainedModel) -> int:
    """Weights of the model without adapters, which are merged when it is saved."""
    return sum(
        p.numel()
        for name, p in model.named_parameters()
        if "lora_" not in name and "trainable_tokens" not in name
    )


def average_weights(folders: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean, tensor by tensor, of the weights in Hugging Face folders of one architecture.

    Sums are in float64, so that the order of folders does not matter; one folder's tensor is read at a time.
    """
    totals: dict[str, torch.Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    for folder in folders:
        for shard in sorted(folder.glob("*.safetensors")):
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (the file is no mapping)
                    tensor = file.get_tensor(name)
                    dtypes[name] = tensor.dtype
                    totals[name] = tensor.double() + totals.get(name, 0.0)
    return {name: (total / len(folders)).to(dtypes[name]) for name, total in totals.items()}
