"""Attention over a slot cache: many sequences of different lengths in one flat batch.

A step holds one span of new tokens for each slot: one token for a row that decodes, a prompt for a row that
starts. Transformers' attention interface hands us queries, keys and values of the flat batch; this module
writes keys and values into the slots and attends span by span. Stock model classes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from lima.errors import LimaError

NAME = "lima_slots"
ROUND = 32
"""The live context is rounded up to a multiple of this, so that few shapes occur."""


@dataclass
class SlotCache:
    """Keys and values of every layer, (slots, heads, capacity, head size), made at a layer's first use."""

    slots: int
    capacity: int = 0
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def reserve(self, length: int) -> None:
        """Make room for ``length`` positions a slot; doubling keeps the copies few."""
        if length <= self.capacity:
            return
        self.capacity = max(length, 2 * self.capacity, 2 * ROUND)
        self.capacity += -self.capacity % ROUND
        for store in (self.keys, self.values):
            for layer, old in store.items():
                slots, heads, used, size = old.shape
                # Zeros, not uninitialised memory: a NaN there would survive a weight of zero.
                store[layer] = old.new_zeros(slots, heads, self.capacity, size)
                store[layer][:, :, :used] = old

    def layer(self, index: int, key_1hTd: Tensor, value_1hTd: Tensor) -> tuple[Tensor, Tensor]:
        """The storage of one layer."""
        if index not in self.keys:
            for store, new in ((self.keys, key_1hTd), (self.values, value_1hTd)):
                store[index] = new.new_zeros(self.slots, new.shape[1], self.capacity, new.shape[-1])
        return self.keys[index], self.values[index]

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of one slot to another."""
        for store in (self.keys, self.values):
            for tensor in store.values():
                tensor[target, :, :length] = tensor[source, :, :length]

    def clear(self, slot: int) -> None:
        """Zero a slot: one that held NaN would spoil the next row in it."""
        for store in (self.keys, self.values):
            for tensor in store.values():
                tensor[slot] = 0


@dataclass(frozen=True)
class Span:
    """New tokens ``start .. start + length`` of the sequence in one slot; they stand at ``offset`` in the batch."""

    slot: int
    start: int
    length: int
    offset: int


@dataclass(frozen=True)
class Plan:
    """One forward pass: a span for each of the slots 0 .. n - 1, in order, and where everything goes."""

    cache: SlotCache
    spans: tuple[Span, ...]
    slot_T: Tensor
    position_T: Tensor
    last_n: Tensor
    """Place of each span's last token in the flat batch."""
    length_n: Tensor
    """Number of positions of each sequence once this step is in the cache."""
    context: int
    """Positions that any row can see, rounded up."""

    @classmethod
    def of(cls, cache: SlotCache, spans: tuple[Span, ...], device: torch.device) -> Plan:
        """Lay out one forward pass; makes room in the cache."""
        longest = max(span.start + span.length for span in spans)
        cache.reserve(longest)
        slots = [span.slot for span in spans for _ in range(span.length)]
        positions = [span.start + i for span in spans for i in range(span.length)]
        return cls(
            cache=cache,
            spans=spans,
            slot_T=torch.tensor(slots, device=device),
            position_T=torch.tensor(positions, device=device),
            last_n=torch.tensor([span.offset + span.length - 1 for span in spans], device=device),
            length_n=torch.tensor([span.start + span.length for span in spans], device=device),
            context=min(longest + -longest % ROUND, cache.capacity),
        )


def slot_attention(
    module: torch.nn.Module,
    query_1HTd: Tensor,
    key_1hTd: Tensor,
    value_1hTd: Tensor,
    attention_mask: Tensor | None,
    *,
    plan: Plan | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function of transformers' interface; ``plan`` comes through the model's keyword arguments."""
    _refuse_unknown(module, others)
    if plan is None:
        raise LimaError(f"{type(module).__name__} does not pass on what the engine needs; serve it by vLLM.")
    keys, values = plan.cache.layer(module.layer_idx, key_1hTd, value_1hTd)  # type: ignore[arg-type]
    keys[plan.slot_T, :, plan.position_T] = key_1hTd[0].transpose(0, 1)
    values[plan.slot_T, :, plan.position_T] = value_1hTd[0].transpose(0, 1)
    scale = scaling if scaling is not None else query_1HTd.shape[-1] ** -0.5
    out_THd = query_1HTd.new_empty(query_1HTd.shape[2], query_1HTd.shape[1], values.shape[-1])
    if any(span.length == 1 for span in plan.spans):
        rows = len(plan.spans)
        visible_nL = _visible(plan.length_n, plan.context, sliding_window)
        out_THd[plan.last_n] = one_query(
            query_1HTd[0, :, plan.last_n].transpose(0, 1) * scale,
            keys[:rows, :, : plan.context],
            values[:rows, :, : plan.context],
            visible_nL,
            softcap,
        )
    for span in plan.spans:
        if span.length > 1:
            here = slice(span.offset, span.offset + span.length)
            out_THd[here] = _prefill(
                query_1HTd[:, :, here], keys, values, span, scale, sliding_window, softcap
            )
    return out_THd[None], None


def one_query(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, visible_nL: Tensor, softcap: float | None
) -> Tensor:
    """Attention of one (scaled) query a row over its slot, (n, H, d)."""
    rows, heads, size = query_nHd.shape
    kv_heads = keys_nhLd.shape[1]
    grouped = query_nHd.view(rows, kv_heads, heads // kv_heads, size)
    score = (grouped @ keys_nhLd.transpose(-1, -2)).float()
    if softcap is not None:
        score = softcap * (score / softcap).tanh()
    score = score.masked_fill(~visible_nL[:, None, None], -torch.inf)
    weight = score.softmax(-1).to(values_nhLd.dtype)
    return (weight @ values_nhLd).view(rows, heads, -1)


def _prefill(
    query_1Htd: Tensor,
    keys: Tensor,
    values: Tensor,
    span: Span,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """Attention of a prompt's tokens over the slot that they were just written to, (t, H, d)."""
    end = span.start + span.length
    key, value = keys[None, span.slot, :, :end], values[None, span.slot, :, :end]
    plain = span.start == 0 and (window is None or end <= window)
    if softcap is not None:
        lengths = torch.arange(span.start + 1, end + 1, device=keys.device)
        visible = _visible(lengths, end, window)
        query = query_1Htd[0].transpose(0, 1) * scale
        t = span.length
        return one_query(query, key.expand(t, -1, -1, -1), value.expand(t, -1, -1, -1), visible, softcap)
    mask = None
    if not plain:
        lengths = torch.arange(span.start + 1, end + 1, device=keys.device)
        mask = _visible(lengths, end, window)
    out = scaled_dot_product_attention(
        query_1Htd, key, value, attn_mask=mask, is_causal=plain, scale=scale, enable_gqa=True
    )
    return out[0].transpose(0, 1)


def _visible(length_n: Tensor, context: int, window: int | None) -> Tensor:
    """Which positions a query at ``length - 1`` sees, (n, context) bool."""
    position_L = torch.arange(context, device=length_n.device)
    visible = position_L < length_n[:, None]
    if window is not None:
        visible &= position_L >= length_n[:, None] - window
    return visible


def _refuse_unknown(module: torch.nn.Module, others: dict[str, Any]) -> None:
    for name in ("position_bias", "s_aux"):
        if others.get(name) is not None:
            raise LimaError(
                f"{type(module).__name__} uses {name!r}, which the engine does not know. "
                "Serve the model with another engine and give its address as URL#model."
            )


AttentionInterface.register(NAME, slot_attention)
