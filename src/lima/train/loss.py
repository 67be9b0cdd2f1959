"""Hidden states of supervised tokens -> summed cross-entropy, without ever holding all logits.

The head is applied to chunks of supervised tokens only, and its gradient is computed with the loss, so that
one chunk of logits (at most `CHUNK_ELEMENTS` numbers) lives at a time, whatever the vocabulary and batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

from lima.chat import Tokens
from lima.train.attention import inside_documents
from lima.train.batches import MicroBatch, collate, micro_batches
from lima.train.precision import autocast
from lima.train.settings import Precision

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHUNK_ELEMENTS = 2**24
"""Logits of one chunk: 64 MiB in float32."""


def summed_loss(model: PreTrainedModel, batch: MicroBatch) -> torch.Tensor:
    """Sum over the supervised tokens of their negative log-likelihood in nats; differentiable.

    The model must be inside `lima.train.attention.inside_documents`.
    """
    hidden = model.get_decoder()(
        input_ids=batch.ids, position_ids=batch.position_ids, use_cache=False, documents=batch.documents
    ).last_hidden_state
    return chunked_cross_entropy(hidden[0, batch.predictors], model.get_output_embeddings(), batch.targets)


@torch.no_grad()
def mean_loss(
    model: PreTrainedModel, sequences: Sequence[Tokens], *, budget: int, precision: Precision
) -> float:
    """Negative log-likelihood a supervised token, in nats, over all sequences; dropout must be off."""
    assert not model.training, "a loss in training mode is not a measurement"
    total, count = 0.0, 0
    with inside_documents(model), autocast(model, precision):
        for group in micro_batches(sequences, budget):
            total += float(summed_loss(model, collate(group, model.device)))
            count += sum(sequence.supervised for sequence in group)
    return total / count


def chunked_cross_entropy(
    hidden: torch.Tensor,  # (S, width)
    head: torch.nn.Module,
    targets: torch.Tensor,  # (S,)
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Summed cross-entropy of ``head(hidden)`` against ``targets``, a chunk of rows at a time."""
    if type(head) is torch.nn.Linear:
        rows = max(1, chunk_elements // head.out_features)
        with_gradient = torch.is_grad_enabled()
        arguments = (hidden, head.weight, head.bias, targets, rows, with_gradient)
        loss: torch.Tensor = _HeadLoss.apply(*arguments)  # type: ignore[no-untyped-call]
        return loss
    return _recomputing_loss(hidden, head, targets, chunk_elements)


def _recomputing_loss(
    hidden: torch.Tensor, head: torch.nn.Module, targets: torch.Tensor, chunk_elements: int
) -> torch.Tensor:
    """The same for a wrapped head (an adapter, a quantised layer): its logits are computed twice."""

    def chunk_loss(rows: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        logits = head(rows)
        return cross_entropy(logits.to(_wide(logits.dtype)), wanted, reduction="sum")

    with torch.no_grad():
        size = max(1, chunk_elements // head(hidden[:1]).shape[-1])
    losses = [
        checkpoint(chunk_loss, rows, wanted, use_reentrant=False)
        for rows, wanted in zip(hidden.split(size), targets.split(size), strict=True)
    ]
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
            total += _chunk(logits, used_hidden[part], used_weight, targets[part], part=part, grads=grads)
        ctx.save_for_backward(*grads)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = grad_outputs
        scaled = (None if grad is None else grad * scale.to(grad.dtype) for grad in ctx.saved_tensors)
        return *scaled, None, None, None


def _chunk(
    logits: torch.Tensor,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    part: slice,
    grads: list[torch.Tensor | None],
) -> torch.Tensor:
    """Loss of one chunk; adds its gradients to ``grads`` (of hidden states, weight and bias)."""
    wide = logits.to(_wide(logits.dtype))
    log_sum = wide.logsumexp(1, keepdim=True)
    loss = log_sum.sum() - wide.gather(1, targets[:, None]).sum()
    # d loss / d logits = softmax - one-hot
    slope = wide.sub_(log_sum).exp_()
    slope[torch.arange(len(targets), device=targets.device), targets] -= 1
    narrow = slope.to(logits.dtype)
    hidden_grad, weight_grad, bias_grad = grads
    if hidden_grad is not None:
        hidden_grad[part] = (narrow @ weight).to(hidden_grad.dtype)
    if weight_grad is not None:
        weight_grad += narrow.T @ hidden
    if bias_grad is not None:
        bias_grad += slope.sum(0).to(bias_grad.dtype)
    return loss


def _compute_dtype(hidden: torch.Tensor) -> torch.dtype:
    """The type that autocast would give a linear layer here."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
