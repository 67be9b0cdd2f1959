"""Several devices: processes started by ``torchrun``, each with a shard of weights, gradients and moments (FSDP2).

The loop stays as it is. A step's micro-batches are dealt to the processes, and a micro-batch has the same dropout noise
wherever it is computed, so that any number of processes takes the same step.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from lima.train.batches import MicroBatch
from lima.train.dropout import decoder_layers
from lima.train.loss import Measured, measured_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a run: which one this is, and how many there are."""

    rank: int = 0
    size: int = 1
    sharded: Sharded | None = None
    """The model whose weights are spread over them, from `shard` on."""

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and speaks to the user."""
        return self.rank == 0

    def deal(self, things: Sequence[T]) -> Iterator[tuple[int, T, bool]]:
        """The share of this process, as ``(place, thing, counts)``.

        Every process gets equally many, because they compute together; a thing that does not count fills up.
        """
        for start in range(0, len(things), self.size):
            place = start + self.rank
            counts = place < len(things)
            yield (place, things[place], True) if counts else (start, things[start], False)

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def agree(self, value: T) -> T:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box)
        found: T = box[0]
        return found


ALONE = Processes()


def join() -> Processes:
    """Join the processes that ``torchrun`` started; without it this one is alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if not dist.is_initialized():
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_gpu else "gloo")
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    """End the group's threads before the interpreter ends: one left running aborts the process now and then, finished or not."""
    if dist.is_initialized():
        dist.destroy_process_group()


def agree_on_head(model: PreTrainedModel, processes: Processes) -> None:
    """Part head and embeddings where the first process found two of them, though the config ties them.

    It alone has read the weights. A model with other tensors would wait for the first one's forever.
    """
    is_tied = processes.agree(model.config.tie_word_embeddings)
    if model.config.tie_word_embeddings and not is_tied:
        model.config.tie_word_embeddings = False
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(head.weight.detach().clone())


class Sharded(torch.nn.Module):
    """A sharded model, whose forward pass is the loss: within it FSDP holds embeddings, last norm and head in full."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: MicroBatch, noise: float) -> Measured:
        """`lima.train.loss.measured_loss` of this process's micro-batch."""
        return measured_loss(self.model, batch, noise)


def shard(model: PreTrainedModel, processes: Processes, device: torch.device) -> Processes:
    """Split the weights over the processes, layer by layer, in place; return the processes that hold them.

    The first process's weights count; the others may hold the model on the meta device: no process but the first needs memory for the whole of it.
    """
    from torch.distributed.fsdp import fully_shard

    weights = dict(model.state_dict()) if processes.is_first else {}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()} if processes.is_first else {}
    wanted = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    tied = _tied(model)
    model.to(device="meta")
    _tie(tied)
    for layer in decoder_layers(model):
        fully_shard(layer)
    root = Sharded(model)
    fully_shard(root)
    model.to_empty(device=device)
    _tie(tied)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(wanted[name])
        _fill(parameter, weights.get(name), device)
    for name, buffer in model.named_buffers():
        if processes.is_first:
            buffer.copy_(buffers[name])
        dist.broadcast(buffer, 0)
    return replace(processes, sharded=root)


Place = tuple[torch.nn.Module, str]
"""A module and the name of one of its own parameters."""


def _tied(model: torch.nn.Module) -> list[list[Place]]:
    """The parameters that lie in several places, such as a head that is the embeddings, within adapters too."""
    places: dict[int, list[Place]] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            places.setdefault(id(parameter), []).append((module, name))
    return [group for group in places.values() if len(group) > 1]


def _tie(groups: list[list[Place]]) -> None:
    """Put the first place's parameter into the others: a move to another device parts them."""
    for (first, named), *others in groups:
        for module, name in others:
            setattr(module, name, getattr(first, named))


@torch.no_grad()
def _fill(parameter: torch.nn.Parameter, whole: torch.Tensor | None, device: torch.device) -> None:
    """Give every process its shard of the first one's tensor."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor), "shards come first"
    full = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
    if whole is not None:
        full.copy_(whole)
    parameter.copy_(distribute_tensor(full, parameter.device_mesh, parameter.placements))


def whole_weights(model: PreTrainedModel) -> dict[str, torch.Tensor] | None:
    """All weights in full on the CPU, gathered tensor by tensor; None where they are not sharded.

    Every process must call it; a tied head is left out, as saved models have it.
    """
    if not is_sharded(model):
        return None
    found = {name: gathered(parameter.detach()) for name, parameter in model.named_parameters()}
    saved = model.state_dict().keys()
    found |= {name: buffer.cpu() for name, buffer in model.named_buffers() if name in saved}
    return found


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether the weights are spread over processes."""
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def whole(value: torch.Tensor) -> torch.Tensor:
    """A tensor that may be spread over processes, such as the norm of a gradient."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def gathered(value: torch.Tensor) -> torch.Tensor:
    """A weight for the disk: what was spread over processes lies on the CPU, anything else stays where it is."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor().cpu() if isinstance(value, DTensor) else value
