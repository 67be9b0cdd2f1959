"""Attention blocks of LLaMA's kind with fewer operators, for steps on a CPU whose linear layers are packed.

A decode step reads every weight once, which drives the code of torch's operators out of the processor's caches: the many
small operators of a stock attention block then take longer than attention itself. Here queries, keys and values are one
product, positions are turned in three operators and in place, and keys and values are written at once. A fused module is
its stock class with another ``forward``, which falls back to the stock one wherever its linear layers are not packed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from lima.generate.engine.attention import BatchLayout, Scoring, attend


class FusedAttention(nn.Module):
    """Attention with rotary positions over whole heads and, in some families, a norm on queries and keys."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        **others: Any,
    ) -> tuple[Tensor, Any]:
        """What the stock class returns, (1, T, width), up to rounding."""
        own: Any = self
        layout: BatchLayout | None = others.get("layout")
        packed: Callable[[Tensor], Tensor] | None = getattr(own.q_proj, "_packed", None)
        shared = packed is not None and packed is getattr(own.v_proj, "_packed", None)
        whole = position_embeddings[0].shape[-1] == own.head_dim
        if layout is None or not shared or not whole or torch.is_grad_enabled():
            found: tuple[Tensor, Any] = super().forward(
                hidden_states=hidden_states,
                position_embeddings=position_embeddings,
                attention_mask=attention_mask,
                **others,  # the cache too, whose name is not the same in all releases of transformers
            )
            return found
        assert packed is not None
        heads_TGd = packed(hidden_states[0]).unflatten(-1, (-1, own.head_dim))
        out_THd = _attend(own, heads_TGd, layout, position_embeddings)
        return own.o_proj(out_THd.flatten(1)[None]), None


def _attend(own: Any, heads_TGd: Tensor, layout: BatchLayout, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """``heads_TGd``: of queries, keys and values; changed in place."""
    queries, keys = (layer.out_features // own.head_dim for layer in (own.q_proj, own.k_proj))
    query_THd, key_Thd = heads_TGd[:, :queries], heads_TGd[:, queries : queries + keys]
    if hasattr(own, "q_norm"):
        query_THd.copy_(own.q_norm(query_THd))
        key_Thd.copy_(own.k_norm(key_Thd))
    turned = heads_TGd[:, : queries + keys]
    cos_T1d, sin_T1d = layout.turn(*cos_sin)
    exchanged = turned.roll(own.head_dim // 2, -1)
    turned.mul_(cos_T1d).addcmul_(exchanged, sin_T1d)
    scoring = Scoring(own.scaling, _window(own))
    return attend(query_THd, heads_TGd[:, queries:], own.layer_idx, layout, scoring)


KNOWN = frozenset(f"{family}Attention" for family in ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma3"))
"""The classes of transformers whose ``forward`` is known to compute this (tests/generate/test_packing.py)."""


def fuse(model: nn.Module) -> None:
    """Give the blocks that are known their fused class, in place."""
    for module in model.modules():
        if type(module).__name__ in KNOWN and not isinstance(module, FusedAttention):
            module.__class__ = _fused_class(cast(Any, type(module)))


def unfuse(model: nn.Module) -> None:
    """Give them their stock class again."""
    for module in model.modules():
        if isinstance(module, FusedAttention):
            module.__class__ = type(module).__bases__[1]


@cache
def _fused_class(stock: Any) -> Any:
    return type(stock.__name__, (FusedAttention, stock), {"__module__": stock.__module__})


def _window(module: Any) -> int | None:
    """Positions that a token of this layer sees; Mistral's layers leave it to the config."""
    if type(module).__name__ == "MistralAttention":
        return getattr(module.config, "sliding_window", None)
    return getattr(module, "sliding_window", None)
