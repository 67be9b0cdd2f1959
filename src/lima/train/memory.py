"""How much memory a training run needs, from the model's config alone, before any weight is loaded.

The forward pass of models with one and with two layers runs on fake tensors, which have shapes and no content, and what
autograd would keep is counted; the rest is arithmetic. So it holds for any architecture, precision and setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch

from lima.chat import Tokens
from lima.model import checked_device
from lima.train import four_bit
from lima.train.adapters import add_adapters
from lima.train.attention import inside_documents
from lima.train.batches import MicroBatch, collate, micro_batches
from lima.train.dropout import decoder_layers, residual_dropout
from lima.train.invariants import training_path
from lima.train.loss import accumulating, chunk_rows, measured_loss
from lima.train.precision import autocast, checkpoint_activations, narrow, narrow_frozen, resolve
from lima.train.settings import FitSettings, TrainSettings
from lima.weights import shortened

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FLOAT = 4
"""Bytes of a weight, of its gradient and of each of AdamW's two moments."""
HALF = 2
"""The same with ``--memory low``, where the rest of each weight has as many."""


DEVICES = (1, 2, 4, 8, 16)
"""Numbers of devices that a table shows."""
NAMES = {
    "weights": "weights",
    "gradients": "gradients",
    "moments": "AdamW's moments",
    "activations": "activations of the largest micro-batch",
    "recomputed": "a layer's, computed again",
    "layer": "the layer that is gathered",
    "logits": "a chunk of logits",
}


@dataclass(frozen=True)
class Memory:
    """Bytes on each device at the end of a forward pass, the moment at which most is held."""

    weights: float
    gradients: float
    moments: float
    activations: float
    """What autograd keeps for the backward pass of the largest micro-batch."""
    recomputed: float
    """With activation checkpointing: those of the one layer that is being computed again."""
    layer: float
    """Several devices: the one layer, or the embeddings and head, that are held in full for the moment."""
    logits: float
    """One chunk of logits, and the head in the type of the products."""

    @property
    def total(self) -> float:
        """All of it."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


def estimate(model: PreTrainedModel, sequences: Sequence[Tokens], settings: FitSettings) -> Memory:
    """The memory of a run on one device.

    Args:
        model: the model, or one of the same config on the meta device.
        sequences: the training data; its largest micro-batch counts.
        settings: batches, precision, dropout, checkpointing.
    """
    size = HALF if settings.memory == "low" else FLOAT
    # `low` narrows the weights; those of a frozen base may be narrow already
    weights: float = sum(p.numel() * min(size, p.element_size()) for p in model.parameters())
    if isinstance(settings, TrainSettings) and settings.four_bit:
        weights = sum(four_bit.elements(p) for p in model.parameters()) * FLOAT
        weights -= _linear_elements(model) * (FLOAT - four_bit.BYTES)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) * size
    batch = collate(largest_micro_batch(sequences, settings), torch.device("cpu"))
    depth = model.config.num_hidden_layers
    device = checked_device(settings.device) if isinstance(settings, TrainSettings) else model.device
    # of the device that trains: the tensors that are counted lie on the CPU, for which `auto` may mean another type
    precision = resolve(model, settings.precision, device)
    settings = settings.model_copy(update={"precision": precision})
    one, two = (_fake_activations(model, batch, settings, layers) for layers in (1, 2))
    dtype = 2 if precision == "bfloat16" else FLOAT
    return Memory(
        weights=weights,
        gradients=trained,
        moments=(3 if settings.memory == "low" else 2) * trained,
        activations=one + (depth - 1) * (two - one),
        recomputed=_of_one_layer(model, batch, settings) if settings.activation_checkpointing else 0,
        layer=0,
        logits=_chunk(model, batch, dtype, is_cast=dtype < size, on_cuda=device.type == "cuda"),
    )


def _chunk(model: PreTrainedModel, batch: MicroBatch, size: int, *, is_cast: bool, on_cuda: bool) -> float:
    """Bytes of a chunk of logits, and of the head where it is narrowed for the products."""
    vocabulary, width = map(int, model.get_input_embeddings().weight.shape)
    head = vocabulary * width * size if is_cast else 0
    rows = chunk_rows(len(batch.targets), vocabulary, size=size, on_cuda=on_cuda)
    return rows * vocabulary * size + head


def memory_table(
    model: PreTrainedModel, sequences: Sequence[Tokens], settings: FitSettings
) -> list[list[str]]:
    """Head and rows: the parts and their sum in GiB, by the number of devices, as far as several are possible."""
    alone = estimate(model, sequences, settings)
    is_single = settings.memory == "low" or (isinstance(settings, TrainSettings) and settings.four_bit)
    shared = {count: _shared(alone, model, count) for count in (DEVICES[:1] if is_single else DEVICES)}
    rows = [["GiB on each of", *(f"{count} device{'s' * (count > 1)}" for count in shared)]]
    for field in fields(Memory):
        rows.append([NAMES[field.name], *(f"{getattr(m, field.name) / 2**30:,.2f}" for m in shared.values())])
    return [*rows, ["in all", *(f"{m.total / 2**30:,.2f}" for m in shared.values())]]


def _shared(alone: Memory, model: PreTrainedModel, devices: int) -> Memory:
    if devices == 1:
        return alone
    parts = {name: getattr(alone, name) / devices for name in ("weights", "gradients", "moments")}
    return replace(alone, **parts, layer=_largest_group(model))


def largest_micro_batch(sequences: Sequence[Tokens], settings: FitSettings) -> list[Tokens]:
    """The micro-batch of the most tokens that any batch can hold: the longest examples, as far as they fit."""
    longest = sorted(sequences, key=lambda sequence: -len(sequence.ids))[: settings.batch_size]
    return max(
        micro_batches(longest, settings.micro_batch_tokens), key=lambda group: sum(len(s.ids) for s in group)
    )


def saved_bytes(model: PreTrainedModel, batch: MicroBatch, settings: FitSettings) -> int:
    """Bytes that autograd keeps after a forward pass, each storage once, weights not counted."""
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    model.train()
    with (
        inside_documents(model),
        residual_dropout(model, settings.residual_dropout),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        autocast(model, settings.precision),
        accumulating(model, 1.0) as step_head,
    ):
        loss = measured_loss(model, batch, settings.neftune_alpha, step_head).loss
    model.zero_grad()
    model.eval()
    assert loss.requires_grad, "nothing is trained"
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)


def _linear_elements(model: PreTrainedModel) -> int:
    """Weights of the linear layers that four bits are kept of; adapters are not among them."""
    return sum(
        four_bit.elements(part.weight)
        for name, part in decoder_layers(model).named_modules()
        if isinstance(part, torch.nn.Linear) and ".lora_" not in name
    )


def _is_narrow(model: PreTrainedModel) -> bool:
    """Whether `lima.train.precision.narrow_frozen` made it."""
    return any(p.dtype == torch.bfloat16 and not p.requires_grad for p in model.parameters())


def _of_one_layer(model: PreTrainedModel, batch: MicroBatch, settings: FitSettings) -> int:
    kept = settings.model_copy(update={"activation_checkpointing": False})
    one, two = (_fake_activations(model, batch, kept, layers) for layers in (1, 2))
    return two - one


def _fake_activations(model: PreTrainedModel, batch: MicroBatch, settings: FitSettings, layers: int) -> int:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoModelForCausalLM

    config = shortened(model.config, layers)
    with torch.device("meta"):
        small = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if isinstance(settings, TrainSettings) and settings.lora_rank:
        if _is_narrow(model) or (settings.four_bit and settings.precision == "bfloat16"):
            narrow_frozen(small)
        add_adapters(
            small,
            0,
            rank=settings.lora_rank,
            alpha=settings.lora_alpha,
            dropout=settings.lora_dropout,
            seed=0,
        )
    if settings.memory == "low":
        narrow(small)
    if settings.activation_checkpointing:
        checkpoint_activations(small, "enable")
    with FakeTensorMode(allow_non_fake_inputs=True), training_path(small):
        _onto_cpu(small)
        return saved_bytes(small, batch, settings)


def _onto_cpu(model: PreTrainedModel) -> None:
    """New tensors on the CPU in place of those on the meta device, which no real tensor may meet in an operation."""
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, old in held.items():
                if old is None:
                    continue
                if id(old) not in made:
                    new = torch.empty(old.shape, dtype=old.dtype)
                    is_weight = isinstance(old, torch.nn.Parameter)
                    made[id(old)] = torch.nn.Parameter(new, old.requires_grad) if is_weight else new
                held[name] = made[id(old)]


def _largest_group(model: PreTrainedModel) -> float:
    """The weights that one device holds in full at a time: those of a layer, beside embeddings, last norm and head."""
    layers = decoder_layers(model)
    layer, every, whole = (
        sum(p.numel() * p.element_size() for p in part.parameters()) for part in (layers[0], layers, model)
    )
    return float(layer + whole - every)
