"""Frozen weights in four bits: NF4 with quantised scales (QLoRA, arXiv 2305.14314), through bitsandbytes.

The linear layers of the decoder are replaced in place; embeddings, norms and head stay as they are. Adapters learn
around the rounded weights, so what is saved holds the rounded weights too: the merged model is the one that was trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from lima.errors import LimaError
from lima.extras import install

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes of a weight: four bits, a scale of eight bits for every 64 weights, and its own scale for every 256 scales."""

LARGEST_ERROR = 0.15
"""Relative error of a rounded weight above which something is wrong; normal variables come to 0.092."""


def quantize(model: PreTrainedModel, device: torch.device, compute: torch.dtype) -> None:
    """Round the decoder's linear weights to four bits and move the model to the device; the rest becomes float32.

    Args:
        model: on the CPU, in any precision; changed in place.
        device: where it goes, layer by layer: the device never holds the whole weights.
        compute: the type that products are computed in.

    Raises:
        LimaError: the package bitsandbytes is not installed, or it cannot round these shapes on this device.
    """
    try:
        from bitsandbytes.nn.modules import Linear4bit, Params4bit
    except ModuleNotFoundError:
        raise LimaError(
            f"weights in 4 bits need the package 'bitsandbytes'. Install it: {install('qlora')}"
        ) from None
    for layer in model.get_decoder().layers:
        for name, linear in _linear_layers(layer):
            with torch.device("meta"):
                rounded = Linear4bit(
                    linear.in_features,
                    linear.out_features,
                    bias=linear.bias is not None,
                    compute_dtype=compute,
                    quant_type="nf4",
                )
            rounded.weight = Params4bit(
                linear.weight.data, requires_grad=False, quant_type="nf4", module=rounded
            )
            rounded.bias = linear.bias
            rounded.to(device)
            check_rounding(name, linear, rounded)
            layer.set_submodule(name, rounded)
    rounded_weights = {id(p) for p in model.parameters() if isinstance(p, Params4bit)}
    for parameter in model.parameters():
        if id(parameter) not in rounded_weights:
            parameter.data = parameter.data.float()
    model.to(device)
    model.is_loaded_in_4bit = True  # by this peft knows which adapters fit


def whole_weight(linear: torch.nn.Linear) -> torch.Tensor:
    """A layer's weight, float32 where it is rounded to four bits."""
    state: Any = getattr(linear.weight, "quant_state", None)
    if state is None:
        return linear.weight
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(linear.weight.data, state).float()


def elements(weight: torch.Tensor) -> int:
    """Weights in a tensor, of which those of four bits lie two in a byte."""
    state: Any = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else math.prod(state.shape)


def check_rounding(name: str, linear: torch.nn.Linear, rounded: torch.nn.Linear) -> None:
    """The rounded layer's weight comes back near the layer's own.

    Bitsandbytes 0.50.2 garbles rows of 32, 96 or 160 weights on a CPU with AVX-512, for one.

    Raises:
        LimaError: it does not.
    """
    after = whole_weight(rounded)
    # compared where the rounded one is: a card takes no time for the weights of an 8B model
    before = linear.weight.to(after.device).float()
    error = (after - before).norm() / before.norm()
    if error > LARGEST_ERROR:
        raise LimaError(
            f"{name}, {tuple(before.shape)}: its weight comes back from 4 bits {100 * error:.0f} % off (10 % is usual). "
            "Train without --four-bit."
        )


def _linear_layers(layer: torch.nn.Module) -> list[tuple[str, torch.nn.Linear]]:
    return [(name, part) for name, part in layer.named_modules() if isinstance(part, torch.nn.Linear)]
