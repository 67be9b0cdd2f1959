"""Training states on the disk: what a killed run needs to go on as if nothing had happened.

A state is one safetensors file with the trainable weights and the optimiser's moments, whose name carries
the number of finished steps and a digest of its content. A file that does not match its name (a broken
disk, a copy cut short) is passed over, and the state before it is used.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lima.console import warn
from lima.errors import LimaError
from lima.files import sha256

KEPT = 2
"""States on the disk; the older one stands in when the newer is damaged."""
SHARE_OF_TIME = 0.05
"""Where ``save_every`` is unset, writing states takes at most this share of the time."""


class States:
    """The training states of one run, in ``folder``.

    A step is finished when its state is on the disk: a resumed run repeats those after the newest state.
    """

    def __init__(self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.folder = folder
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._optimizer = optimizer
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def restore(self) -> int:
        """Load the newest sound state; return its number of finished steps, 0 where there is none."""
        for path in state_files(self.folder):
            tensors = read_state(path)
            if tensors is not None:
                self._load(tensors)
                return step_of(path)
            warn(f"{path}: damaged, the state before it is used.")
        return 0

    def save(self, step: int) -> None:
        """Write the state after ``step`` finished steps, then remove states that are no longer needed."""
        with self._timed():
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = self.folder / ".state.tmp"
            try:
                save_file(self._tensors(), temporary)
            except (OSError, SafetensorError) as error:
                temporary.unlink(missing_ok=True)
                raise LimaError(
                    f"{self.folder}: the training state cannot be written ({error}). "
                    "Free some space and run the same command again; it continues."
                ) from None
            temporary.rename(self.folder / f"step-{step:08d}.{sha256(temporary)[:16]}.safetensors")
            for old in state_files(self.folder)[KEPT:]:
                old.unlink()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Note what writing a state costs."""
        began = time.monotonic()
        yield
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began

    def is_due(self, step: int, every: int | None) -> bool:
        """Whether the state after ``step`` steps should be saved."""
        if every is not None:
            return step % every == 0
        return time.monotonic() - self._saved_at >= self._cost / SHARE_OF_TIME

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {f"model.{name}": p.detach().contiguous() for name, p in self._parameters.items()}
        for name, parameter in self._parameters.items():
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        return tensors

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.data.copy_(tensors[f"model.{name}"])
        for key, name, value in moments(tensors):
            parameter = self._parameters[name]
            on_device = value if key == "step" and not parameter.is_cuda else value.to(parameter.device)
            self._optimizer.state[parameter][key] = on_device


def state_files(folder: Path) -> list[Path]:
    """The states in a folder, newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def remove_states(folder: Path) -> None:
    """Delete the states of a run that is complete."""
    shutil.rmtree(folder, ignore_errors=True)


def read_state(path: Path) -> dict[str, torch.Tensor] | None:
    """The tensors of a state file; None: it is damaged."""
    digest = path.name.split(".")[1]
    return load_file(path) if sha256(path).startswith(digest) else None


def step_of(path: Path) -> int:
    """The number of finished steps in a state's name."""
    return int(path.name.split(".")[0].removeprefix("step-"))


def moments(tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, str, torch.Tensor]]:
    """The optimiser's part of a state: ``(exp_avg, parameter name, tensor)`` and the like."""
    for full_name, value in tensors.items():
        kind, _, rest = full_name.partition(".")
        if kind == "optimizer":
            key, _, name = rest.partition(".")
            yield key, name, value
