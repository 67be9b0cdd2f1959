"""How a model computes: float32 weights (or bfloat16 ones, in little memory), bfloat16 products where the hardware gains
by it, whether activations are kept or computed again, and whether layers are compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

import torch
from transformers.pytorch_utils import Conv1D

from lima.extras import has_compiler
from lima.train.dropout import decoder_layers
from lima.train.settings import Precision

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NARROW = 256
"""Width under which ``auto`` stays with float32 on a CPU. Measured on one core with avx512_bf16: bfloat16 is 2.2
times as fast at width 384, but 1.04 times at 128 and 1.4 times at 64, which is not worth results that differ
between processors with and without these instructions."""


def resolve(
    model: PreTrainedModel, precision: Precision, device: torch.device | None = None
) -> Literal["float32", "bfloat16"]:
    """What ``auto`` means for this model on its device, or on that where it will be."""
    if precision != "auto":
        return precision
    if (device or model.device).type == "cuda":
        # cards before Ampere (T4, V100) emulate it, more slowly than they compute in float32
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    fast = torch.cpu.get_capabilities().get("avx512_bf16", False) and model.config.hidden_size >= NARROW
    return "bfloat16" if fast else "float32"


def gains_by_compiling(arithmetic: Literal["float32", "bfloat16"], device: torch.device) -> bool:
    """Whether products take so little of a step (bfloat16 on a processor with AMX) that fusing all else, by compiling, shows."""
    has_tiles = bool(torch.cpu.get_capabilities().get("amx_tile", False))
    return device.type == "cpu" and arithmetic == "bfloat16" and has_tiles and has_compiler()


def autocast(
    model: PreTrainedModel, precision: Precision, *, keeps: bool = True
) -> AbstractContextManager[object]:
    """The context that forward passes run in; it ``keeps`` each weight's bfloat16 copy to its end, or makes it at each use."""
    if resolve(model, precision) == "float32":
        return nullcontext()
    return torch.autocast(model.device.type, dtype=torch.bfloat16, cache_enabled=keeps)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Backward passes run so: their types are those of the forward pass."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def narrow(model: PreTrainedModel) -> None:
    """Hold matrices in bfloat16, in place, for `lima.train.optimizer.CompensatedAdamW`; vectors, which are few, in float32."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16 if parameter.ndim >= 2 else torch.float32)


def narrow_frozen(model: PreTrainedModel) -> None:
    """Hold the matrices of the decoder's linear layers in bfloat16 and all else in float32, in place: a base that only adapters are trained on.

    Products come out the same, bit by bit. From float32, autocast would make such a copy of each frozen matrix for every product and
    keep it for the backward pass: 6 bytes a weight in place of 2.
    """
    layers = (part for part in decoder_layers(model).modules() if isinstance(part, torch.nn.Linear | Conv1D))
    matrices = {id(layer.weight) for layer in layers}
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16 if id(parameter) in matrices else torch.float32)


def checkpoint_activations(model: PreTrainedModel, action: Literal["enable", "disable"]) -> None:
    """Compute activations again in the backward pass, or keep them."""
    # Late releases of transformers 5 deprecate the name that early ones know alone.
    old, new = f"gradient_checkpointing_{action}", f"activation_checkpointing_{action}"
    getattr(model, new if hasattr(model, new) else old)()


@contextmanager
def compiled_layers(model: PreTrainedModel, *, whole: bool) -> Iterator[None]:
    """Compile the decoder layers with their hooks within the block; attention over documents stays as it is.

    Lengths differ from step to step, so shapes are symbols: one compilation serves all. A layer whose activations
    are computed again cannot be compiled ``whole``, because attention parts its graph; its other modules can.
    """
    layers: list[torch.nn.Module] = list(decoder_layers(model))
    if not whole:
        layers = [part for layer in layers for name, part in layer.named_children() if name != "self_attn"]
    for layer in layers:
        layer.compile(dynamic=True)
    try:
        yield
    finally:
        for layer in layers:
            layer._compiled_call_impl = None  # what Module.compile sets; torch has no call that takes it back
