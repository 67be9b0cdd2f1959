"""Hidden states of supervised tokens -> summed cross-entropy, without ever holding all logits.

The head is applied to chunks of supervised tokens only, and its gradient is computed with the loss, so that
one chunk of logits (at most `CHUNK_ELEMENTS` numbers) lives at a time, whatever the vocabulary and batch.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

from lima.train.batches import MicroBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHUNK_ELEMENTS = 2**23
"""Logits of one chunk: 32 MiB in float32. On a CPU twice or half of it was 5 to 15 % slower, 2**20 30 %."""

CACHED_ELEMENTS = 2**19
"""Logits that a CPU turns into their slope at a time: 2 MiB in float32, which stay in its second-level cache. A chunk
of 524 x 16,000 took 19 ms so, 74 ms in one piece, and 6 ms in a loop that torch.compile makes after 17 s."""


def summed_loss(model: PreTrainedModel, batch: MicroBatch, noise: float = 0.0) -> torch.Tensor:
    """Weighted sum over the supervised tokens of their negative log-likelihood in nats; differentiable.

    The model must be inside `lima.train.attention.inside_documents`. ``noise`` is the alpha of `_add_noise`.
    """
    embeddings = model.get_input_embeddings()(batch.ids)
    if noise and model.training:
        embeddings = _add_noise(embeddings, batch, noise)
    hidden = model.get_decoder()(
        inputs_embeds=embeddings, position_ids=batch.position_ids, use_cache=False, documents=batch.documents
    ).last_hidden_state[0, batch.predictors]
    return chunked_cross_entropy(hidden, model.get_output_embeddings(), batch.targets, weights=batch.weights)


def chunked_cross_entropy(
    hidden: torch.Tensor,  # (S, width)
    head: torch.nn.Module,
    targets: torch.Tensor,  # (S,)
    *,
    weights: torch.Tensor | None = None,  # (S,)
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Summed cross-entropy of ``head(hidden)`` against ``targets``, a chunk of rows at a time.

    ``weights`` multiply the terms of the sum; None means 1 for all.
    """
    if type(head) is torch.nn.Linear:
        rows = max(1, chunk_elements // head.out_features)
        with_gradient = torch.is_grad_enabled()
        arguments = (hidden, head.weight, head.bias, targets, weights, rows, with_gradient)
        loss: torch.Tensor = _HeadLoss.apply(*arguments)  # type: ignore[no-untyped-call]
        return loss
    return _recomputing_loss(hidden, head, targets, weights, chunk_elements)


def _add_noise(embeddings: torch.Tensor, batch: MicroBatch, alpha: float) -> torch.Tensor:
    """NEFTune (arXiv 2310.05914): uniform noise in +-alpha / sqrt(length of the document x width)."""
    lengths = torch.tensor(batch.documents.lengths, device=embeddings.device)
    bound = alpha / (lengths.repeat_interleave(lengths) * embeddings.shape[-1]).sqrt()
    return embeddings + torch.empty_like(embeddings).uniform_(-1, 1) * bound[None, :, None].to(
        embeddings.dtype
    )


def _recomputing_loss(
    hidden: torch.Tensor,
    head: torch.nn.Module,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    chunk_elements: int,
) -> torch.Tensor:
    """The same for a wrapped head (an adapter, a quantised layer): its logits are computed twice."""

    def chunk_loss(rows: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor | float) -> torch.Tensor:
        logits = head(rows)
        return (cross_entropy(logits.to(_wide(logits.dtype)), wanted, reduction="none") * weight).sum()

    with torch.no_grad():
        size = max(1, chunk_elements // head(hidden[:1]).shape[-1])
    parts = repeat(1.0) if weights is None else weights.split(size)
    chunks = zip(hidden.split(size), targets.split(size), parts, strict=False)
    losses = [checkpoint(chunk_loss, *chunk, use_reentrant=False) for chunk in chunks]
    return torch.stack(losses).sum()


class _HeadLoss(torch.autograd.Function):
    """Linear head and summed cross-entropy; gradients are made in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        weights: torch.Tensor | None,
        rows: int,
        with_gradient: bool,
    ) -> torch.Tensor:
        dtype = _compute_dtype(hidden)
        used_hidden, used_weight = hidden.to(dtype), weight.to(dtype)
        used_bias = None if bias is None else bias.to(dtype)
        needs = [with_gradient and need for need in ctx.needs_input_grad[:3]]
        grads = [
            torch.zeros_like(x) if x is not None and need else None
            for x, need in zip((hidden, weight, bias), needs, strict=True)
        ]
        total = hidden.new_zeros((), dtype=_wide(dtype))
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            logits = linear(used_hidden[part], used_weight, used_bias)
            loss, slope = _loss_and_slope(logits, targets[part], None if weights is None else weights[part])
            total += loss
            if with_gradient:
                _add_gradients(grads, part, slope, used_hidden[part], used_weight)
        ctx.save_for_backward(*grads)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = grad_outputs
        scaled = (None if grad is None else grad * scale.to(grad.dtype) for grad in ctx.saved_tensors)
        return *scaled, None, None, None, None


def _loss_and_slope(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted loss of one chunk, and its derivative by the logits, softmax - one-hot, in their place."""
    rows = max(1, CACHED_ELEMENTS // logits.shape[1]) if logits.device.type == "cpu" else len(targets)
    scratch = logits.new_empty((min(rows, len(targets)), logits.shape[1]), dtype=_wide(logits.dtype))
    total = scratch.new_zeros(())
    for start in range(0, len(targets), rows):
        part = slice(start, start + rows)
        weight = None if weights is None else weights[part, None]
        total += _to_slope(logits[part], targets[part, None], weight, scratch)
    return total, logits


def _to_slope(
    logits: torch.Tensor,  # (R, vocabulary), overwritten by the slope
    targets: torch.Tensor,  # (R, 1)
    weights: torch.Tensor | None,  # (R, 1)
    scratch: torch.Tensor,  # (>= R, vocabulary)
) -> torch.Tensor:
    """The loss of a few rows; every pass over them but the first and the last finds them in the cache."""
    wide = scratch[: len(targets)].copy_(logits)
    wanted, top = wide.gather(1, targets), wide.amax(1, keepdim=True)
    norm = wide.sub_(top).exp_().sum(1, keepdim=True)
    losses = norm.log() + top - wanted
    slope = wide.div_(norm).scatter_add_(1, targets, torch.full_like(norm, -1))
    if weights is not None:
        losses *= weights
        slope *= weights
    logits.copy_(slope)
    return losses.sum()


def _add_gradients(
    grads: list[torch.Tensor | None],
    part: slice,
    slope: torch.Tensor,
    hidden: torch.Tensor,
    weight: torch.Tensor,
) -> None:
    """Add one chunk's gradients of hidden states, weight and bias to ``grads``, where they are wanted."""
    hidden_grad, weight_grad, bias_grad = grads
    if hidden_grad is not None:
        hidden_grad[part] = (slope @ weight).to(hidden_grad.dtype)
    if weight_grad is not None:
        weight_grad += slope.T @ hidden
    if bias_grad is not None:
        bias_grad += slope.sum(0).to(bias_grad.dtype)


def _compute_dtype(hidden: torch.Tensor) -> torch.dtype:
    """The type that autocast would give a linear layer here."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
