"""Attention over a slot cache: many sequences of different lengths in one flat batch.

A step holds one span of new tokens for each slot: one token for a row that decodes, a prompt for a row that
starts. Transformers' attention interface hands us queries, keys and values of the flat batch; this module
writes keys and values into the slots and attends span by span. Stock model classes stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from lima.errors import LimaError
from lima.extras import has_compiler
from lima.generate.engine.slots import ROUND, SlotCache
from lima.model import sent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "lima_slots"
FEWEST_COMPILED = 4
"""Fewer rows than this are not worth a compiled version of their own."""


@dataclass(frozen=True)
class Scoring:
    """How a layer scores keys: its scale, and what some architectures add."""

    scale: float
    window: int | None = None
    """Positions that a token sees, itself included."""
    softcap: float | None = None
    """Bound that the scores approach (Gemma 2)."""


OneQuery = Callable[[Tensor, Tensor, Tensor, Tensor, Scoring], Tensor]


@dataclass(frozen=True)
class Span:
    """New tokens ``start .. start + length`` of the sequence in one slot; they stand at ``offset`` in the batch."""

    slot: int
    start: int
    length: int
    offset: int

    @property
    def end(self) -> int:
        """Positions of the sequence once this step is in the cache."""
        return self.start + self.length


@dataclass(frozen=True)
class BatchLayout:
    """One forward pass: a span for each of the slots 0 .. n - 1, in order, and where everything goes.

    Made once a step and read by every layer, so that no layer repeats what is the same for all of them.
    """

    cache: SlotCache
    spans: tuple[Span, ...]
    prompts: tuple[Span, ...]
    """The spans of more than one token."""
    slot_T: Tensor
    position_T: Tensor
    last_n: Tensor
    """Place of each span's last token in the flat batch."""
    length_n: Tensor
    """Number of positions of each sequence once this step is in the cache."""
    context: int
    """Positions that any row can see, rounded up."""
    one_query: OneQuery
    """How rows with one new token attend: `fastest` or `by_sums`."""
    biases: dict[int | None, Tensor] = field(default_factory=dict)
    """`bias` of each window."""
    turns: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)
    """`turn` of each kind of layer, by the identity of its cosines, which are kept beside it."""

    @classmethod
    def of(
        cls, cache: SlotCache, spans: tuple[Span, ...], device: torch.device, one_query: OneQuery
    ) -> BatchLayout:
        """Lay out one forward pass; makes room in the cache."""
        longest = max(span.end for span in spans)
        cache.reserve(longest)
        slots = [span.slot for span in spans for _ in range(span.length)]
        positions = [span.start + i for span in spans for i in range(span.length)]
        return cls(
            cache=cache,
            spans=spans,
            prompts=tuple(span for span in spans if span.length > 1),
            slot_T=sent(torch.tensor(slots), device),
            position_T=sent(torch.tensor(positions), device),
            last_n=sent(torch.tensor([span.offset + span.length - 1 for span in spans]), device),
            length_n=sent(torch.tensor([span.end for span in spans]), device),
            context=min(longest + -longest % ROUND, cache.capacity),
            one_query=one_query,
        )

    def bias(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """Added to the scores of rows with one query, (n, 1, 1, context): 0 where the row sees, else -inf."""
        if window not in self.biases:
            visible = _visible(self.length_n, self.context, window)
            bias = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
            self.biases[window] = bias.masked_fill_(~visible, -torch.inf)[:, None, None]
        return self.biases[window]

    def turn(self, cos_1Td: Tensor, sin_1Td: Tensor) -> tuple[Tensor, Tensor]:
        """Rotary factors, (T, 1, d): of a head, and of the head with its halves exchanged."""
        if id(cos_1Td) not in self.turns:
            first, second = sin_1Td[0, :, None].chunk(2, -1)
            self.turns[id(cos_1Td)] = cos_1Td, cos_1Td[0, :, None], torch.cat((-first, second), -1)
        _, cos_T1d, sin_T1d = self.turns[id(cos_1Td)]
        return cos_T1d, sin_T1d


def slot_attention(
    module: torch.nn.Module,
    query_1HTd: Tensor,
    key_1hTd: Tensor,
    value_1hTd: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: BatchLayout | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function of transformers' interface; ``layout`` comes through the model's keyword arguments."""
    _refuse_unknown(module, others)
    if layout is None:
        raise LimaError(f"{type(module).__name__} does not pass on what the engine needs; serve it by vLLM.")
    scale = scaling if scaling is not None else query_1HTd.shape[-1] ** -0.5
    new_ThD = (key_1hTd[0].transpose(0, 1), value_1hTd[0].transpose(0, 1))
    size = max(x.shape[-1] for x in new_ThD)  # keys of some architectures are wider than values
    new_TGd = torch.cat([x if x.shape[-1] == size else pad(x, (0, size - x.shape[-1])) for x in new_ThD], 1)
    scoring = Scoring(scale, sliding_window, softcap)
    index: Any = module.layer_idx
    out_THd = attend(query_1HTd[0].transpose(0, 1), new_TGd, index, layout, scoring)
    return out_THd[None, ..., : value_1hTd.shape[-1]], None


def attend(query_THd: Tensor, new_TGd: Tensor, index: int, layout: BatchLayout, scoring: Scoring) -> Tensor:
    """Write new keys and values (the second half of the G heads) into the cache of layer ``index``, and attend; (T, H, d)."""
    store = layout.cache.store(index, new_TGd)
    store[layout.slot_T, :, layout.position_T] = new_TGd
    keys, values = store.chunk(2, 1)
    keys = keys[..., : query_THd.shape[-1]]
    if len(layout.prompts) == len(layout.spans):
        out_THd = query_THd.new_empty(*query_THd.shape[:2], values.shape[-1])
    else:
        # Rows that take in a prompt are computed along and written over below: the cache stays one slice.
        query_nHd = query_THd[layout.last_n] if layout.prompts else query_THd
        live = slice(len(layout.spans)), slice(None), slice(layout.context)
        bias = layout.bias(scoring.window, query_nHd.dtype)
        out_THd = layout.one_query(query_nHd, keys[live], values[live], bias, scoring)
        if layout.prompts:
            rows_nHd = out_THd
            out_THd = rows_nHd.new_empty(len(query_THd), *rows_nHd.shape[1:])
            out_THd[layout.last_n] = rows_nHd
    for span in layout.prompts:
        here = slice(span.offset, span.offset + span.length)
        query_1Htd = query_THd[here].transpose(0, 1)[None]
        out_THd[here] = _prompt_attention(query_1Htd, keys, values, span, scoring)
    return out_THd


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
    return here and many and has_compiler()


def fastest(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, bias_n11L: Tensor, scoring: Scoring
) -> Tensor:
    """Attention of one query a row over its slot, (n, H, d), without a compiler.

    On a CPU in half precision torch's kernel takes 1.6 times as long as matrix products where each query head has a
    key head of its own; where they share them, and in float32, it is the faster one by up to a half.
    """
    alone = query_nHd.shape[1] == keys_nhLd.shape[1]
    slow = alone and query_nHd.device.type == "cpu" and query_nHd.dtype != torch.float32
    attend = by_products if slow or scoring.softcap is not None else by_sdpa
    return attend(query_nHd, keys_nhLd, values_nhLd, bias_n11L, scoring)


def by_sdpa(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, bias_n11L: Tensor, scoring: Scoring
) -> Tensor:
    """The same by torch's own kernel."""
    # The query heads that share a key head are passed as its queries: no key is repeated.
    query_nhgd = query_nHd.unflatten(1, (keys_nhLd.shape[1], -1))
    out_nhgd: Tensor = scaled_dot_product_attention(
        query_nhgd, keys_nhLd, values_nhLd, attn_mask=bias_n11L, scale=scoring.scale
    )
    return out_nhgd.flatten(1, 2)


def by_products(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, bias_n11L: Tensor, scoring: Scoring
) -> Tensor:
    """The same by matrix products, which leave the scores open to a soft cap."""
    query_nhgd = query_nHd.unflatten(1, (keys_nhLd.shape[1], -1)) * scoring.scale
    score = (query_nhgd @ keys_nhLd.transpose(-1, -2)).float()
    if scoring.softcap is not None:
        score = scoring.softcap * (score / scoring.softcap).tanh()
    weight = (score + bias_n11L).softmax(-1)
    out_nhgd: Tensor = weight.to(values_nhLd.dtype) @ values_nhLd
    return out_nhgd.flatten(1, 2)


def by_sums(
    query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, bias_n11L: Tensor, scoring: Scoring
) -> Tensor:
    """The same by multiplying and summing, compiled."""
    if scoring.softcap is not None or len(query_nHd) < FEWEST_COMPILED:
        return fastest(query_nHd, keys_nhLd, values_nhLd, bias_n11L, scoring)
    return _compiled_sums()(query_nHd * scoring.scale, keys_nhLd, values_nhLd, bias_n11L)


@cache
def _compiled_sums() -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    return torch.compile(_sums, dynamic=True)


def _sums(query_nHd: Tensor, keys_nhLd: Tensor, values_nhLd: Tensor, bias_n11L: Tensor) -> Tensor:
    query_nhg1d = query_nHd.unflatten(1, (keys_nhLd.shape[1], -1))[:, :, :, None].float()
    score_nhgL = (query_nhg1d * keys_nhLd[:, :, None].float()).sum(-1)
    weight_nhgL = (score_nhgL + bias_n11L).softmax(-1)
    out_nhgd: Tensor = (weight_nhgL[..., None] * values_nhLd[:, :, None].float()).sum(-2)
    return out_nhgd.flatten(1, 2).to(values_nhLd.dtype)


def _prompt_attention(
    query_1Htd: Tensor, keys: Tensor, values: Tensor, span: Span, scoring: Scoring
) -> Tensor:
    """Attention of a prompt's tokens over the slot that they were just written to, (t, H, d)."""
    end = span.end
    key_1hed, value_1hed = keys[None, span.slot, :, :end], values[None, span.slot, :, :end]
    length_t = torch.arange(span.start + 1, end + 1, device=keys.device)
    visible_te = _visible(length_t, end, scoring.window)
    if scoring.softcap is not None:
        # Each token as a row of its own: slow, but prompts of such models are rare here.
        key_thed, value_thed = (x.expand(span.length, -1, -1, -1) for x in (key_1hed, value_1hed))
        bias_te = torch.zeros(visible_te.shape, device=keys.device).masked_fill_(~visible_te, -torch.inf)
        query_tHd = query_1Htd[0].transpose(0, 1)
        return by_products(query_tHd, key_thed, value_thed, bias_te[:, None, None], scoring)
    plain = span.start == 0 and (scoring.window is None or end <= scoring.window)
    out_1Htd: Tensor = scaled_dot_product_attention(
        query_1Htd,
        key_1hed,
        value_1hed,
        attn_mask=None if plain else visible_te,
        is_causal=plain,
        scale=scoring.scale,
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
