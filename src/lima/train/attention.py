"""Attention that stays inside each document of a padding-free row, for any model class of transformers.

`inside_documents` makes a model use it, through transformers' registry of attention functions; the model
class and the saved model stay as they are. On CUDA in half precision it is torch's variable-length kernel,
elsewhere one scaled-dot-product attention a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from lima.errors import LimaError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "lima_documents"


@dataclass(frozen=True)
class Documents:
    """Where the documents of a row begin and end."""

    lengths: tuple[int, ...]
    boundaries: torch.Tensor  # (documents + 1,) int32: 0, end of the first, end of the second ...

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Documents:
        """From the lengths in tokens."""
        ends = torch.tensor([0, *lengths]).cumsum(0)
        return cls(tuple(lengths), ends.to(device, torch.int32))


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
    half = query.dtype in (torch.bfloat16, torch.float16)
    if query.is_cuda and half and not dropout and _has_variable_length_kernel():
        window = (sliding_window - 1, 0) if sliding_window is not None and windowed else (-1, 0)
        return _variable_length(query, key, value, documents, scale=scaling, window=window), None
    outputs = [
        scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=_band(q, sliding_window) if windowed and sliding_window is not None else None,
            is_causal=not windowed,
            dropout_p=dropout,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for q, k, v in _each_document(query, key, value, documents.lengths)
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


def _band(query: torch.Tensor, window: int) -> torch.Tensor:
    """The mask of causal attention to the last ``window`` tokens, True where a token is seen."""
    ones = torch.ones(query.shape[2], query.shape[2], dtype=torch.bool, device=query.device)
    return ones.tril() & ones.triu(1 - window)


def _refuse(attention_mask: torch.Tensor | None, options: dict[str, Any]) -> None:
    assert attention_mask is None, "documents need no mask"
    for name in ("softcap", "s_aux", "position_bias"):
        if options.get(name) is not None:
            raise LimaError(f"this model's attention uses '{name}', which training does not support.")


AttentionInterface.register(NAME, document_attention)
