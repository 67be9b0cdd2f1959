"""Attention over a slot cache: many sequences of different lengths in one flat batch.

A step holds one span of new tokens for each slot: one token for a row that decodes, a prompt for a row that
starts. Transformers' attention interface hands us queries, keys and values of the flat batch; this module
writes keys and values into the slots and attends span by span. Stock model classes stay as they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from lima.errors import LimaError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "lima_slots"
ROUND = 32
"""The live context is rounded up to a multiple of this, so that few shapes occur."""
FEWEST_COMPILED = 4
"""Fewer rows than this are not worth a compiled version of their own."""


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
class Limits:
    """What some architectures add: a sliding window, a soft cap on the scores."""

    window: int | None = None
    softcap: float | None = None


OneQuery = Callable[[Tensor, Tensor, Tensor, Tensor, Limits], Tensor]


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
    one_query: OneQuery
    """How rows with one new token attend: `by_sdpa` or `by_sums`."""

    @classmethod
    def of(
        cls,
        cache: SlotCache,
        spans: tuple[Span, ...],
        device: torch.device,
        one_query: OneQuery,
    ) -> Plan:
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
            one_query=one_query,
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
    limits = Limits(sliding_window, softcap)
    out_THd = query_1HTd.new_empty(query_1HTd.shape[2], query_1HTd.shape[1], values.shape[-1])
    if any(span.length == 1 for span in plan.spans):
        rows = slice(len(plan.spans))
        query_nHd = query_1HTd[0, :, plan.last_n].transpose(0, 1) * scale
        live = keys[rows, :, : plan.context], values[rows, :, : plan.context]
        out_THd[plan.last_n] = plan.one_query(query_nHd, *live, plan.length_n, limits)
    for span in plan.spans:
        if span.length > 1:
            here = slice(span.offset, span.offset + span.length)
            out_THd[here] = _prefill(query_1HTd[:, :, here], keys, values, span, scale, limits)
    return out_THd[None], None


def choose(device: torch.device, dtype: torch.dtype, *, compiled: bool) -> OneQuery:
    """The fastest way for rows with one new token (benchmarks/generate.py).

    On a CPU in bfloat16 torch's masked kernel takes 1.6 times as long as matrix products, and those 3.5
    times as long as compiled sums; in float32 all are alike.
    """
    if compiled:
        return by_sums
    return by_products if device.type == "cpu" and dtype != torch.float32 else by_sdpa


MANY_ANSWERS = 128
"""Fewer answers end sooner than the compiler's half a minute pays."""


def worth_compiling(
    wish: Literal["auto", "on", "off"], model: PreTrainedModel, answers: int | None = None
) -> bool:
    """Whether to compile for this model and this number of answers (None: as many as come)."""
    if wish != "auto":
        return wish == "on"
    here = model.device.type == "cpu" and model.dtype == torch.bfloat16
    many = answers is None or answers >= MANY_ANSWERS
    return here and many and shutil.which(os.environ.get("CXX", "g++")) is not None


def by_sdpa(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, length_n: Tensor, limits: Limits
) -> Tensor:
    """Attention of one (scaled) query a row over its slot, (n, H, d), by torch's own kernel."""
    if limits.softcap is not None:
        return by_products(query_nHd, keys_nhLd, values_nhLd, length_n, limits)
    visible_n11L = _visible(length_n, keys_nhLd.shape[2], limits.window)[:, None, None]
    # The query heads that share a key head are passed as its queries: no key is repeated.
    query_nhgd = query_nHd.unflatten(1, (keys_nhLd.shape[1], -1))
    out_nhgd: Tensor = scaled_dot_product_attention(
        query_nhgd, keys_nhLd, values_nhLd, attn_mask=visible_n11L, scale=1.0
    )
    return out_nhgd.flatten(1, 2)


def by_products(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, length_n: Tensor, limits: Limits
) -> Tensor:
    """The same by matrix products, which leaves the scores open to a soft cap (Gemma 2)."""
    query_nhgd = query_nHd.unflatten(1, (keys_nhLd.shape[1], -1))
    score = (query_nhgd @ keys_nhLd.transpose(-1, -2)).float()
    if limits.softcap is not None:
        score = limits.softcap * (score / limits.softcap).tanh()
    visible = _visible(length_n, keys_nhLd.shape[2], limits.window)
    weight = score.masked_fill(~visible[:, None, None], -torch.inf).softmax(-1)
    out_nhgd: Tensor = weight.to(values_nhLd.dtype) @ values_nhLd
    return out_nhgd.flatten(1, 2)


def by_sums(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, length_n: Tensor, limits: Limits
) -> Tensor:
    """The same by multiplying and summing, compiled."""
    if limits != Limits() or len(query_nHd) < FEWEST_COMPILED:
        return by_sdpa(query_nHd, keys_nhLd, values_nhLd, length_n, limits)
    return _compiled_sums()(query_nHd, keys_nhLd, values_nhLd, length_n)


@cache
def _compiled_sums() -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    return torch.compile(_sums, dynamic=True)


def _sums(query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, length_n: Tensor) -> Tensor:
    query_nhg1d = query_nHd.unflatten(1, (keys_nhLd.shape[1], -1))[:, :, :, None].float()
    score_nhgL = (query_nhg1d * keys_nhLd[:, :, None].float()).sum(-1)
    visible_nL = torch.arange(keys_nhLd.shape[2], device=keys_nhLd.device) < length_n[:, None]
    weight_nhgL = score_nhgL.masked_fill(~visible_nL[:, None, None], -torch.inf).softmax(-1)
    out_nhgd: Tensor = (weight_nhgL[..., None] * values_nhLd[:, :, None].float()).sum(-2)
    return out_nhgd.flatten(1, 2).to(values_nhLd.dtype)


def _prefill(
    query_1Htd: Tensor, keys: Tensor, values: Tensor, span: Span, scale: float, limits: Limits
) -> Tensor:
    """Attention of a prompt's tokens over the slot that they were just written to, (t, H, d)."""
    end = span.start + span.length
    key_1hed, value_1hed = keys[None, span.slot, :, :end], values[None, span.slot, :, :end]
    length_t = torch.arange(span.start + 1, end + 1, device=keys.device)
    if limits.softcap is not None:
        # Each token as a row of its own: slow, but prompts of such models are rare here.
        query_tHd = query_1Htd[0].transpose(0, 1) * scale
        key_thed, value_thed = (x.expand(span.length, -1, -1, -1) for x in (key_1hed, value_1hed))
        return by_products(query_tHd, key_thed, value_thed, length_t, limits)
    plain = span.start == 0 and (limits.window is None or end <= limits.window)
    out_1Htd: Tensor = scaled_dot_product_attention(
        query_1Htd,
        key_1hed,
        value_1hed,
        attn_mask=None if plain else _visible(length_t, end, limits.window),
        is_causal=plain,
        scale=scale,
        enable_gqa=query_1Htd.shape[1] != key_1hed.shape[1],
    )
    return out_1Htd[0].transpose(0, 1)


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
