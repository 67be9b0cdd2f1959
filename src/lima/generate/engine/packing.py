"""Weights of linear layers in oneDNN's own layout: products with few rows run 1.3 to 2.4 times as fast on a CPU.

A decode step multiplies each weight matrix by as many rows as there are slots. At 8 to 64 rows a product is
bound by how the matrix is read; blocks in the order in which the kernel wants them are worth more than any
choice of library. Results are those of the plain layer up to the rounding of another order of summation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from lima.generate.engine import fused

ROWS = 32
"""The number of rows that the layout is made for. It is the fastest one at 1 to 1,024 rows too (benchmarks/generate.py)."""


@dataclass(eq=False)
class Packed:
    """The weights of one linear layer, or of several that read the same input, one below the other, in oneDNN's layout."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, layers: Sequence[nn.Linear]) -> Self:
        """Pack; the layers have biases all or none."""
        one = len(layers) == 1
        weight = layers[0].weight.detach() if one else torch.cat([x.weight.detach() for x in layers])
        biases = [x.bias for x in layers if x.bias is not None]
        bias = torch.cat([x.detach() for x in biases]) if biases and not one else layers[0].bias
        return cls(torch.ops.mkldnn._reorder_linear_weight(weight, ROWS), bias)

    def __call__(self, input: Tensor) -> Tensor:
        """The product."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return product


class PackedLinear(nn.Linear):
    """A linear layer that computes with a packed copy of its weight; `pack` turns stock layers into it, in place.

    The plain weight is let go, so that memory does not grow, except where an embedding shares it. Whatever else
    is done than inference (training, saving, loading, moving) first makes a stock layer of it again, with the
    same values in the same Parameter.
    """

    _packed: Packed
    _rows: slice
    """Where the layer's rows lie in what is packed."""

    def forward(self, input: Tensor) -> Tensor:
        """The stock layer's result; where a gradient may be wanted, by the stock layer."""
        if torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad):
            return nn.Linear.forward(self.unpack(), input)
        product = self._packed(input)
        return product if product.shape[-1] == self.out_features else product[..., self._rows]

    def unpack(self) -> nn.Linear:
        """Make it a stock layer again."""
        if not self.weight.numel():
            with torch.inference_mode(False):  # a tensor of that mode could not be trained later
                whole = self._packed.weight.to_dense()
                self.weight.data = whole if len(whole) == self.out_features else whole[self._rows].clone()
        del self._packed
        self.__class__ = nn.Linear  # type: ignore[assignment]
        return self

    def train(self, mode: bool = True) -> Self:
        """Unpack before training."""
        nn.Linear.train(self.unpack() if mode else self, mode)
        return self

    def _save_to_state_dict(self, *arguments: Any) -> None:
        nn.Linear._save_to_state_dict(self.unpack(), *arguments)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        nn.Linear._load_from_state_dict(self.unpack(), *arguments)

    def _apply(self, *arguments: Any, **options: Any) -> Self:
        nn.Linear._apply(self.unpack(), *arguments, **options)
        return self


def can_pack(model: nn.Module) -> bool:
    """Whether this processor multiplies packed weights of the model's type."""
    weight = next(model.parameters())
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


@torch.no_grad()
def pack(model: nn.Module) -> None:
    """Pack the stock linear layers of a model, one after the other: memory peaks at one more matrix.

    Raises:
        RuntimeError, AttributeError: this build of torch cannot.
    """
    uses = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))
    for module in list(model.modules()):
        if type(module).__name__ in fused.KNOWN:
            _pack_together([module.q_proj, module.k_proj, module.v_proj], uses)
    for layer in list(model.modules()):
        _pack_together([layer], uses)
    fused.fuse(model)


def _pack_together(layers: Sequence[Any], uses: Counter[int]) -> None:
    if not all(type(layer) is nn.Linear and layer.weight.numel() for layer in layers):
        return
    if len({layer.bias is None for layer in layers}) > 1:
        return
    packed, start = Packed.of(layers), 0
    for layer in layers:
        layer._packed, layer._rows = packed, slice(start, start + layer.out_features)
        start += layer.out_features
        layer.__class__ = PackedLinear
        if uses[id(layer.weight)] == 1:  # an embedding that shares it still needs plain rows
            layer.weight.data = layer.weight.new_empty(0)


def unpack(model: nn.Module) -> None:
    """Make all layers stock layers again."""
    fused.unfuse(model)
    for layer in list(model.modules()):
        if isinstance(layer, PackedLinear):
            layer.unpack()
