"""Residual dropout that rises with depth: p_l = p_max * l / (L - 1) (LIMA, section 3).

It acts on the output of both sub-layers (attention and MLP) before that is added to the residual stream,
through forward hooks, so that the model class and the saved model stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import dropout

from lima.errors import LimaError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SUBLAYERS = {
    **dict.fromkeys(
        ("llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "olmo", "phi3", "starcoder2"),
        ("self_attn", "mlp"),
    ),
    # These normalise a sub-layer's output before they add it: what is added is the norm's output.
    **dict.fromkeys(
        ("olmo2", "olmo3", "gemma3_text"), ("post_attention_layernorm", "post_feedforward_layernorm")
    ),
}
"""Model type -> the modules of a decoder layer whose outputs are added to the residual stream."""


@contextmanager
def residual_dropout(model: PreTrainedModel, last: float) -> Iterator[None]:
    """Drop elements of the sub-layer outputs while the model is in training mode, within the block.

    Args:
        model: a decoder of a known residual form (`SUBLAYERS`).
        last: the rate p_max of the last layer; the first has 0. With 0 nothing is hooked.

    Raises:
        LimaError: the model's residual form is unknown.
    """
    handles = []
    if last:
        for layer, rate in zip(decoder_layers(model), ramp(len(decoder_layers(model)), last), strict=True):
            for name in sublayer_names(model):
                handles.append(layer.get_submodule(name).register_forward_hook(_Drop(rate)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def ramp(layers: int, last: float) -> list[float]:
    """The rate of each layer; a single layer has 0.

    >>> [round(rate, 6) for rate in ramp(4, 0.3)]
    [0.0, 0.1, 0.2, 0.3]
    """
    return [last * layer / max(1, layers - 1) for layer in range(layers)]


def decoder_layers(model: PreTrainedModel) -> torch.nn.ModuleList:
    """The decoder layers of the model, bottom first."""
    lists = [part for part in model.get_decoder().children() if isinstance(part, torch.nn.ModuleList)]
    if not lists:
        raise LimaError(f"model type {model.config.model_type!r}: its decoder has no list of layers.")
    return max(lists, key=len)


def sublayer_names(model: PreTrainedModel) -> tuple[str, str]:
    """Names of the two modules of a layer whose outputs are added to the residual stream."""
    names = SUBLAYERS.get(model.config.model_type)
    if names is None:
        raise _unknown_form(model)
    return names


class _Drop:
    """A forward hook: element-wise dropout of a module's output, or of the first of its outputs."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, module: torch.nn.Module, inputs: Any, output: Any) -> Any:
        if not module.training or not self.rate:
            return output
        if isinstance(output, tuple):
            return (dropout(output[0], self.rate), *output[1:])
        return dropout(output, self.rate)


def _unknown_form(model: PreTrainedModel) -> LimaError:
    return LimaError(
        f"residual dropout: the residual form of model type {model.config.model_type!r} is unknown. "
        f"Known: {', '.join(sorted(SUBLAYERS))}. Use --residual-dropout 0 to train without it."
    )
