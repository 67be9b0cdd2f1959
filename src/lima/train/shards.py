"""Training states of a sharded run: every process writes its part, and any number of processes can read them.

The same contents as `lima.train.checkpoints.States`, as torch's distributed checkpoint in a folder a state. The folder
gets its name when all parts are on the disk, so that a killed run never finds half a state.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor

from lima.console import warn
from lima.errors import LimaError
from lima.files import sha256
from lima.train.checkpoints import KEPT, States, moments, read_state, state_files, step_of
from lima.train.parallel import Processes

SUMS = "sums-"


class ShardedStates(States):
    """The training states of one run, in ``folder``, a folder each."""

    def __init__(
        self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, processes: Processes
    ) -> None:
        super().__init__(folder, model, optimizer)
        self._processes = processes

    def restore(self) -> int:
        """Load the newest state; return its number of finished steps, 0 where there is none."""
        for path in self._processes.agree(all_states(self.folder)):
            if self._load_parts(path) if path.is_dir() else self._load_file(path):
                return step_of(path)
            if self._processes.is_first:
                warn(f"{path}: damaged, the state before it is used.")
        return 0

    def _load_parts(self, path: Path) -> bool:
        if self._processes.sum(torch.tensor(self._damaged(path), device=self._device)):
            return False
        self._make_moments()
        tensors = self._tensors()
        load(tensors, checkpoint_id=path, no_dist=self._processes.size == 1)
        for key, name, value in moments(tensors):
            self._optimizer.state[self._parameters[name]][key] = value
        return True

    def _load_file(self, path: Path) -> bool:
        """A state that one process alone has written."""
        tensors = read_state(path)
        if self._processes.sum(torch.tensor(int(tensors is None), device=self._device)) or tensors is None:
            return False
        spread = {name: self._spread(name, value) for name, value in tensors.items()}
        self._load(spread)
        return True

    def _spread(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """The shard of a whole tensor, by its name in the state."""
        kind, _, rest = name.partition(".")
        parameter = self._parameters[rest if kind == "model" else rest.partition(".")[2]]
        if value.ndim == 0 or not isinstance(parameter, DTensor):
            return value
        return distribute_tensor(value.to(self._device), parameter.device_mesh, parameter.placements)

    def _damaged(self, path: Path) -> int:
        """How many of this process's share of the files differ from their sums. The processes share the work."""
        try:
            sums: dict[str, str] = {}
            for part in path.glob(f"{SUMS}*"):
                sums |= json.loads(part.read_text())
            names = sorted({*sums, *(file.name for file in path.iterdir() if not file.name.startswith(SUMS))})
            mine = names[self._processes.rank :: self._processes.size]
            return sum(sums.get(name) != sha256(path / name) for name in mine) if sums else 1
        except (OSError, ValueError):
            return 1

    @property
    def _device(self) -> torch.device:
        return next(iter(self._parameters.values())).device

    def save(self, step: int) -> None:
        """Write the state after ``step`` finished steps, then remove states that are no longer needed."""
        temporary = self.folder / ".state.tmp"
        with self._timed():
            if self._processes.is_first:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
            self._wait()
            try:
                save(self._tensors(), checkpoint_id=temporary, no_dist=self._processes.size == 1)
                self._wait()
                self._write_sums(temporary)
            except (OSError, CheckpointException) as error:
                raise LimaError(
                    f"{self.folder}: the training state cannot be written ({str(error).strip().splitlines()[-1]}). "
                    "Free some space and run the same command again; it continues."
                ) from None
            self._wait()
            if self._processes.is_first:
                target = self.folder / f"step-{step:08d}"
                shutil.rmtree(target, ignore_errors=True)  # a damaged state, whose step was taken again
                temporary.rename(target)
                for old in all_states(self.folder)[KEPT:]:
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
            self._wait()

    def _write_sums(self, folder: Path) -> None:
        """Each process reads a share of the files again and notes their digests."""
        rank, size = self._processes.rank, self._processes.size
        files = sorted(file for file in folder.iterdir() if not file.name.startswith(SUMS))
        sums = {file.name: sha256(file) for file in files[rank::size]}
        (folder / f"{SUMS}{rank}.json").write_text(json.dumps(sums))

    def is_due(self, step: int, every: int | None) -> bool:
        """Whether the state should be saved; the first process's clock decides for all."""
        return self._processes.agree(super().is_due(step, every))

    def _wait(self) -> None:
        if self._processes.size > 1:
            dist.barrier()

    def _make_moments(self) -> None:
        """Moments of zero, spread like the weights, for the loading to fill."""
        for parameter in self._parameters.values():
            state = self._optimizer.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)


def sharded_states(folder: Path) -> list[Path]:
    """The sharded states in a folder, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def all_states(folder: Path) -> list[Path]:
    """The states in a folder, those in parts and those of one process, newest first."""
    return sorted([*sharded_states(folder), *state_files(folder)], key=step_of, reverse=True)
