"""Attention that stays inside each document of a padding-free row, for any model class of transformers.

`inside_documents` makes a model use it, through transformers' registry of attention functions; the model
class and the saved model stay as they are. On CUDA in half precision it is torch's variable-length kernel,
on a CPU blocks of plain products, elsewhere one scaled-dot-product attention a document.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from lima.console import warn
from lima.errors import LimaError
from lima.model import sent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "lima_documents"

BLOCK_ROWS = 64
"""Query rows that a CPU works on at a time: their scores stay in its caches, and little is computed of what is not seen. 32
rows are up to a fifth slower, 128 up to a third in float32."""

BLOCK_ELEMENTS = {torch.bfloat16: 2**15, torch.float32: 2**17}
"""Elements of the queries from which blocks are faster than torch's kernel on a CPU: 57 tokens of 9 heads of 64, or 228."""


@dataclass(frozen=True)
class Documents:
    """Where the documents of a row begin and end."""

    lengths: tuple[int, ...]
    boundaries: torch.Tensor  # (documents + 1,) int32: 0, end of the first, end of the second ...

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Documents:
        """From the lengths in tokens."""
        ends = torch.tensor([0, *lengths]).cumsum(0)
        return cls(tuple(lengths), sent(ends.int(), device))


@contextmanager
def inside_documents(model: PreTrainedModel) -> Iterator[None]:
    """Let ``model`` use document attention within the block; its forward then needs ``documents=``."""
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # its shapes depend on the lengths of the documents
def document_attention(
    module: torch.nn.Module,
    query: torch.Tensor,  # (1, heads, N, head size)
    key: torch.Tensor,  # (1, key heads, N, head size)
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    documents: Documents | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of each document to itself; the signature is transformers'. Returns (1, N, heads, size).

    Raises:
        LimaError: the layer does not hand on ``documents``, as some architectures drop what they do not know.
    """
    if documents is None:
        raise LimaError(
            f"{type(module).__name__} does not pass on what training needs. Choose an architecture of docs/models.md."
        )
    _refuse(attention_mask, options)
    query, key, value = in_product_type(query, key, value)
    windowed = sliding_window is not None and max(documents.lengths) > sliding_window
    if query.is_cuda and not dropout and _suits_kernel(query, value):
        seen = (sliding_window - 1, 0) if sliding_window is not None and windowed else (-1, 0)
        return _variable_length(query, key, value, documents, scale=scaling, window=seen), None
    window = sliding_window if windowed else None
    outputs = [
        _one_length(*tensors, scale=scaling, dropout=dropout, window=window)
        for tensors in _each_document(query, key, value, documents.lengths)
    ]
    length = query.shape[2]
    # (batch, heads, T, size) -> (1, N, heads, size), documents in their order
    flat = [o.transpose(1, 2).reshape(-1, o.shape[1], o.shape[3]) for o in outputs]
    return torch.cat(flat).view(1, length, query.shape[1], value.shape[3]), None


def in_product_type(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors in the type that autocast has for products, where it is on.

    Queries and keys leave the rotary embedding in float32 under autocast, whose tables are of that type, and only values are
    halves: what picks a kernel by its inputs' type would take the one for float32.
    """
    kind = tensors[0].device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)
    return tensors


def slow_path(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why attention on this device goes document by document, and what to do about it; None: it does not, or may."""
    if device.type != "cuda":
        return None  # a CPU loses nothing by it
    if torch.cuda.get_device_capability(device) < AMPERE:
        return "attention goes document by document on this card, which is slow: its kernel for many documents wants an Ampere card or a later one."
    if dtype == torch.float32:
        return "attention goes document by document in float32, which is slow on CUDA: --precision bfloat16."
    if not _has_variable_length_kernel():
        return (
            f"torch {torch.__version__} has no varlen_attn with windows and grouped heads, so attention goes document by "
            "document, which is slow on CUDA: pip install --upgrade torch."
        )
    return None


def _each_document(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: tuple[int, ...]
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Views of one document each; documents of one common length go as a single batch."""
    if len(set(lengths)) == 1:
        yield tuple(
            x[0].unflatten(1, (len(lengths), lengths[0])).transpose(0, 1) for x in (query, key, value)
        )
        return
    pieces = (x.split(lengths, dim=2) for x in (query, key, value))
    yield from zip(*pieces, strict=True)


AMPERE = (8, 0)
"""The first cards on which flash attention, torch's kernel for many documents, runs."""


def _suits_kernel(query: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether the kernel for many documents takes heads of these sizes, in this type and on this card."""
    is_half = query.dtype in (torch.bfloat16, torch.float16)
    runs = is_half and torch.cuda.get_device_capability(query.device) >= AMPERE
    return runs and _has_variable_length_kernel() and _takes_heads(query.shape[-1], value.shape[-1])


@cache
def _takes_heads(size: int, value_size: int) -> bool:
    if size == value_size and size % 8 == 0 and size <= 256:
        return True
    warn(
        f"attention goes document by document, which is slow on CUDA: its kernel takes no heads of {size} and {value_size}."
    )
    return False


@cache
def _has_variable_length_kernel() -> bool:
    """Whether this torch has the kernel with windows and grouped heads; older ones go document by document."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return {"window_size", "enable_gqa"} <= set(signature(varlen_attn).parameters)


def _variable_length(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    documents: Documents,
    *,
    scale: float | None,
    window: tuple[int, int],
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))  # (N, heads, size)
    ends, longest = documents.boundaries, max(documents.lengths)
    gqa = query.shape[1] != key.shape[1]
    output = varlen_attn(
        query, key, value, ends, ends, longest, longest, scale=scale, window_size=window, enable_gqa=gqa
    )
    assert isinstance(output, torch.Tensor)
    return output[None]


def _one_length(
    query: torch.Tensor,  # (B, heads, T, size)
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float | None,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Attention of B documents of one length to themselves."""
    if query.is_cpu and not dropout and query.numel() >= BLOCK_ELEMENTS.get(query.dtype, 0):
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        found: torch.Tensor = _Blocks.apply(query, key, value, scale, window)  # type: ignore[no-untyped-call]
        return found
    every = slice(0, query.shape[2])
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if window is None else _sees(every, every, window, query.device),
        is_causal=window is None,
        dropout_p=dropout,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


class _Blocks(torch.autograd.Function):
    """Causal attention on a CPU, a block of query rows at a time, as plain products.

    Torch's own kernel takes twice the time in bfloat16 and a little more in float32. Probabilities are made again in the backward pass, so
    that nothing of T x T is kept. The query heads that share a key head are rows of one product, so that keys are never
    repeated: queries are (B x key heads, query heads of each, T, size) here, keys and values the same without the second.
    """

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, scale: float, window: int | None) -> torch.Tensor:
        q = query.unflatten(1, (key.shape[1], -1)).flatten(0, 1)
        k, v = key.flatten(0, 1), value.flatten(0, 1)
        output: torch.Tensor = q.new_empty((*q.shape[:3], v.shape[2]))
        scores = _Scores(q, scale)
        for rows, seen, unseen in _blocks(q, window):
            chances = scores.softmax(q[:, :, rows].flatten(1, 2), k[:, seen], unseen)
            output[:, :, rows] = torch.bmm(chances, v[:, seen]).view(output[:, :, rows].shape)
        ctx.save_for_backward(q, k, v)
        ctx.scale, ctx.window, ctx.documents = scale, window, len(query)
        return output.view(*query.shape[:3], v.shape[2])

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v = ctx.saved_tensors
        slope = slopes[0].reshape(*q.shape[:3], v.shape[2])
        # those of keys and values are sums over blocks, in float32
        wide = torch.promote_types(q.dtype, torch.float32)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k, dtype=wide), torch.zeros_like(v, dtype=wide)
        scores, slopes_of_scores = _Scores(q, ctx.scale), _Scores(q, 1.0)
        for rows, seen, unseen in _blocks(q, ctx.window):
            queries, out = q[:, :, rows].flatten(1, 2), slope[:, :, rows].flatten(1, 2)
            chances = scores.softmax(queries, k[:, seen], unseen)
            dv[:, seen] += torch.bmm(chances.mT, out)
            ds = slopes_of_scores.products(out, v[:, seen])
            torch._softmax_backward_data(ds, chances, -1, ds.dtype, grad_input=ds)
            dq[:, :, rows] = torch.bmm(ds, k[:, seen]).view(dq[:, :, rows].shape)
            dk[:, seen] += torch.bmm(ds.mT, queries)
        found = dq.mul_(ctx.scale), dk.mul_(ctx.scale).to(k.dtype), dv.to(v.dtype)
        dq, dk, dv = (slope.unflatten(0, (ctx.documents, -1)) for slope in found)
        return dq.flatten(1, 2), dk, dv, None, None


class _Scores:
    """Memory for the scores of a block, which the next one uses again: fresh memory costs a page fault for every 4 KiB."""

    def __init__(self, queries: torch.Tensor, scale: float) -> None:
        heads, group, length, _ = queries.shape
        self.scale = scale
        self.memory = queries.new_empty(heads * group * min(BLOCK_ROWS, length) * length)

    def products(self, rows: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """``scale * rows @ keys.T`` of (heads, R, size) and (heads, K, size)."""
        shape = (*rows.shape[:2], keys.shape[1])
        made = self.memory[: math.prod(shape)].view(shape)
        return torch.baddbmm(made, rows, keys.mT, beta=0, alpha=self.scale, out=made)

    def softmax(self, queries: torch.Tensor, keys: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor:
        """Probabilities of the keys; ``unseen`` is what `_blocks` gives."""
        scores = self.products(queries, keys)
        scores.unflatten(1, (-1, len(unseen)))[..., -unseen.shape[1] :].add_(unseen)
        return torch.softmax(scores, -1, out=scores)


def _blocks(queries: torch.Tensor, window: int | None) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """The rows of each block, the keys that some of them see, and for the last of these keys -inf where a row does not."""
    length = queries.shape[2]
    for start in range(0, length, BLOCK_ROWS):
        rows = slice(start, min(length, start + BLOCK_ROWS))
        seen = slice(0 if window is None else max(0, start + 1 - window), rows.stop)
        # without a window every row sees all keys before the block
        sees = _sees(rows, rows if window is None else seen, window, queries.device)
        yield rows, seen, queries.new_zeros(()).where(sees, -torch.inf)


def _sees(rows: slice, keys: slice, window: int | None, device: torch.device) -> torch.Tensor:
    """The mask of causal attention to the last ``window`` tokens, True where a row sees a key."""
    back = torch.arange(rows.start, rows.stop, device=device)[:, None] - torch.arange(
        keys.start, keys.stop, device=device
    )
    return (back >= 0) if window is None else (back >= 0) & (back < window)


def _refuse(attention_mask: torch.Tensor | None, options: dict[str, Any]) -> None:
    assert attention_mask is None, "documents need no mask"
    for name in ("softcap", "s_aux", "position_bias"):
        if options.get(name) is not None:
            raise LimaError(f"this model's attention uses '{name}', which training does not support.")


AttentionInterface.register(NAME, document_attention)
