"""Training states of a sharded run: every process writes its part, and any number of processes can read them.

The same contents as `lima.train.checkpoints.States`, as torch's distributed checkpoint in a folder a state. The folder
gets its name when all parts are on the disk, so that a killed run never finds half a state.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from lima.train.checkpoints import KEPT, States, moments
from lima.train.parallel import Processes


class ShardedStates(States):
    """The training states of one run, in ``folder``, a folder each."""

    def __init__(
        self, folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, processes: Processes
    ) -> None:
        super().__init__(folder, model, optimizer)
        self._processes = processes

    def restore(self) -> int:
        """Load the newest state; return its number of finished steps, 0 where there is none."""
        found = self._processes.agree(sharded_states(self.folder))
        if not found:
            return 0
        self._make_moments()
        tensors = self._tensors()
        load(tensors, checkpoint_id=found[0], no_dist=self._processes.size == 1)
        for key, name, value in moments(tensors):
            self._optimizer.state[self._parameters[name]][key] = value
        return int(found[0].name.removeprefix("step-"))

    def save(self, step: int) -> None:
        """Write the state after ``step`` finished steps, then remove states that are no longer needed."""
        temporary = self.folder / ".state.tmp"
        with self._timed():
            if self._processes.is_first:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
            self._wait()
            save(self._tensors(), checkpoint_id=temporary, no_dist=self._processes.size == 1)
            self._wait()
            if self._processes.is_first:
                temporary.rename(self.folder / f"step-{step:08d}")
                for old in sharded_states(self.folder)[KEPT:]:
                    shutil.rmtree(old)
            self._wait()

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
