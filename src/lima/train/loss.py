"""Hidden states of supervised tokens -> summed cross-entropy, without ever holding all logits.

The head is applied to chunks of supervised tokens only, and its gradient is computed with the loss, so that one chunk
of logits lives at a time, whatever the vocabulary and batch. At a vocabulary of 262,000 the head's gradient is the
biggest tensor of a small model, so it is added up in place: nothing of its size is made for a chunk, and within
`accumulating` nothing for a micro-batch either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy, embedding
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from lima.model import sent
from lima.train.batches import MicroBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHUNK_ELEMENTS = 2**23
"""Logits of one chunk where the vocabulary is small: 32 MiB in float32. On a CPU twice or half of it was 5 to 15 %
slower at 16,000 words, 2**20 30 %."""

PRODUCT_ROWS = 256
"""Rows that a chunk has in any case, since fewer leave the matrix products waiting for the head's weights and gradient:
at 262,000 x 640 on one core 56 % of the peak rate with 64 rows, 80 % with 256, no more with 512."""

PRODUCT_ROWS_IN_HALVES = 512
"""The same in 16 bits, in as many bytes. Where the processor multiplies tiles (AMX), 256 rows take 1.3 times as long, 1,024 no less."""

PRODUCT_ROWS_ON_DEVICE = 1024
"""The same on CUDA, by arithmetic, not measured: a chunk reads and writes 12 bytes a weight of the head and multiplies 6 FLOPs a
weight and row. A card with 200 FLOPs to a byte of its memory (H100) waits for the bytes below 400 rows."""

CACHED_ELEMENTS = 2**19
"""Logits that a CPU looks at a time: 2 MiB in float32, which stay in its second-level cache between the passes."""

TILE_ELEMENTS = 2**20
"""Elements of the head's gradient that are made at a time where a product cannot add to it (bfloat16 on a CPU)."""


class Measured(NamedTuple):
    """A loss with what came out beside it."""

    loss: torch.Tensor
    """Weighted sum of negative log-likelihoods, in nats; differentiable."""
    terms: torch.Tensor
    """(2, S): negative log-likelihood of each supervised token, unweighted, and 1 where it has the highest logit."""


def summed_loss(model: PreTrainedModel, batch: MicroBatch, noise: float = 0.0) -> torch.Tensor:
    """Weighted sum over the supervised tokens of their negative log-likelihood in nats; differentiable.

    The model must be inside `lima.train.attention.inside_documents`. ``noise`` is the alpha of `_add_noise`.
    """
    return measured_loss(model, batch, noise).loss


def measured_loss(
    model: PreTrainedModel, batch: MicroBatch, noise: float = 0.0, step_head: StepHead | None = None
) -> Measured:
    """`summed_loss` with the figures of each token; ``step_head`` comes from `accumulating`."""
    with nullcontext() if step_head is None else _RowsInPlace():
        embeddings = model.get_input_embeddings()(batch.ids)
    if _autocasts(embeddings):  # also where the weights are bfloat16
        embeddings = embeddings.float()
    if noise and model.training:
        embeddings = _add_noise(embeddings, batch, noise)
    hidden = model.get_decoder()(
        inputs_embeds=embeddings, position_ids=batch.position_ids, use_cache=False, documents=batch.documents
    ).last_hidden_state[0, batch.predictors]
    if step_head is not None:
        return _fused_loss(hidden, step_head.head, batch.targets, batch.weights, step_head=step_head)
    return _loss(hidden, model.get_output_embeddings(), batch.targets, batch.weights)


def chunked_cross_entropy(
    hidden: torch.Tensor,  # (S, width)
    head: torch.nn.Module,
    targets: torch.Tensor,  # (S,)
    *,
    weights: torch.Tensor | None = None,  # (S,)
    chunk_elements: int | None = None,
) -> torch.Tensor:
    """Summed cross-entropy of ``head(hidden)`` against ``targets``, a chunk of rows at a time.

    ``weights`` multiply the terms of the sum; None means 1 for all. ``chunk_elements`` is the number of logits in a
    chunk; None chooses it by the vocabulary.
    """
    return _loss(hidden, head, targets, weights, chunk_elements).loss


def chunk_rows(
    rows: int, vocabulary: int, chunk_elements: int | None = None, *, size: int = 4, on_cuda: bool = False
) -> int:
    """Rows of a chunk: by bytes (``size`` of a logit) and by what the products need, in chunks of nearly one size."""
    needed = PRODUCT_ROWS if size >= 4 else PRODUCT_ROWS_IN_HALVES
    most = max(PRODUCT_ROWS_ON_DEVICE if on_cuda else needed, CHUNK_ELEMENTS // vocabulary)
    if chunk_elements is not None:
        most = max(1, chunk_elements // vocabulary)
    return math.ceil(rows / math.ceil(rows / most)) if rows else 1


def _chunk_rows(hidden: torch.Tensor, rows: int, vocabulary: int, chunk_elements: int | None) -> int:
    size = _compute_dtype(hidden).itemsize
    return chunk_rows(rows, vocabulary, chunk_elements, size=size, on_cuda=hidden.is_cuda)


@dataclass
class StepHead:
    """The head within one optimiser step: its weight is cast once, its gradient is added up in ``weight.grad``.

    Autograd would add a tensor of the head's size for every micro-batch, and a second for tied embeddings.
    """

    head: torch.nn.Linear
    scale: float
    """What every loss is multiplied by, so that ``backward`` is called on it as it is."""
    _cast: torch.Tensor | None = None

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The head's weight in the type of the products."""
        if self._cast is None or self._cast.dtype != dtype:
            self._cast = self.head.weight.detach().to(dtype)
        return self._cast


@contextmanager
def accumulating(model: PreTrainedModel, scale: float) -> Iterator[StepHead | None]:
    """One optimiser step on one device: gradients of head and embeddings go where they are kept, without copies.

    None for a head that is wrapped (an adapter's) or frozen: there autograd adds up as usual, and nothing is scaled.
    """
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if type(head) is not torch.nn.Linear or not head.weight.requires_grad:
        yield None
        return
    trained = [p for p in (head.weight, head.bias, embeddings.weight) if p is not None and p.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    yield StepHead(head, scale)


class _RowsInPlace(TorchFunctionMode):
    """Within it the look-up of embeddings adds its gradient to ``weight.grad``, whatever the module does around it.

    Autograd would make a tensor as big as the vocabulary for the few rows of a micro-batch.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.embedding and args[1].requires_grad:
            padding = args[2] if len(args) > 2 else (kwargs or {}).get("padding_idx")
            return _Rows.apply(args[1], args[0], padding)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


class _Rows(torch.autograd.Function):
    """Rows of a weight; the row of the padding token has no gradient, as in torch's own."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, ids: torch.Tensor, padding: int | None) -> torch.Tensor:
        ctx.save_for_backward(weight, ids)
        ctx.padding = padding
        return embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[None, None, None]:
        weight, ids = ctx.saved_tensors
        slope = slopes[0] if ctx.padding is None else slopes[0] * (ids != ctx.padding)[..., None]
        # not index_add_, whose sums come in another order each time on CUDA
        weight.grad.index_put_((ids,), slope.to(weight.grad.dtype), accumulate=True)
        return None, None, None


def _add_noise(embeddings: torch.Tensor, batch: MicroBatch, alpha: float) -> torch.Tensor:
    """NEFTune (arXiv 2310.05914): uniform noise in +-alpha / sqrt(length of the document x width)."""
    lengths = torch.tensor(batch.documents.lengths)  # on the host: a card would be asked for the sum of them
    bound = alpha / (lengths.repeat_interleave(lengths) * embeddings.shape[-1]).sqrt()
    bound = sent(bound.to(embeddings.dtype), embeddings.device)
    return embeddings + torch.empty_like(embeddings).uniform_(-1, 1) * bound[None, :, None]


def _loss(
    hidden: torch.Tensor,
    head: torch.nn.Module,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    chunk_elements: int | None = None,
) -> Measured:
    if type(head) is torch.nn.Linear:
        return _fused_loss(hidden, head, targets, weights, chunk_elements)
    trained = _trained_rows(head)
    if trained is not None:
        return _fused_loss(hidden, trained[0], targets, weights, chunk_elements, trained=trained[1:])
    return _recomputing_loss(hidden, head, targets, weights, chunk_elements)


def _trained_rows(head: torch.nn.Module) -> tuple[torch.nn.Linear, list[int], torch.Tensor] | None:
    """A frozen head of which peft trains some rows (`lima.train.adapters`): the head, the rows' numbers, and their values.

    Peft's own way writes the rows into a copy of the whole weight for every product, and its gradient is of that size, too.
    """
    adapter: Any = getattr(head, "token_adapter", None)
    base = adapter.get_base_layer() if adapter is not None else None
    if type(base) is not torch.nn.Linear or base.weight.requires_grad or len(adapter.active_adapters) != 1:
        return None
    name = adapter.active_adapters[0]
    return base, adapter.token_indices[name], adapter.trainable_tokens_delta[name]


def _recomputing_loss(
    hidden: torch.Tensor,
    head: torch.nn.Module,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    chunk_elements: int | None,
) -> Measured:
    """The same for a wrapped head (an adapter, a quantised layer): its logits are computed twice."""

    def chunk_loss(rows: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        logits = head(rows)
        terms = cross_entropy(logits.to(_wide(logits.dtype)), wanted, reduction="none")
        return torch.stack([terms, logits.detach().argmax(1) == wanted])

    with torch.no_grad():
        vocabulary = head(hidden[:1]).shape[-1]
        size = _chunk_rows(hidden, len(targets), vocabulary, chunk_elements)
    chunks = zip(hidden.split(size), targets.split(size), strict=True)
    terms = torch.cat([checkpoint(chunk_loss, *chunk, use_reentrant=False) for chunk in chunks], 1)
    return Measured(_weighed(terms, weights), terms.detach())


def _fused_loss(
    hidden: torch.Tensor,
    head: torch.nn.Linear,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    chunk_elements: int | None = None,
    *,
    step_head: StepHead | None = None,
    trained: tuple[list[int], torch.Tensor] | None = None,
) -> Measured:
    rows = _chunk_rows(hidden, len(targets), head.out_features, chunk_elements)
    # Function.forward runs without gradients, and needs_input_grad tells of the leaves alone
    numbers, values = trained or (None, None)
    context = _Context(rows, torch.is_grad_enabled(), step_head, numbers)
    found = _HeadLoss.apply(hidden, head.weight, head.bias, values, targets, weights, context)  # type: ignore[no-untyped-call]
    return Measured(*found)


def _weighed(terms: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    return (terms[0] if weights is None else terms[0] * weights).sum()


class _Context(NamedTuple):
    """What the loss needs besides tensors."""

    rows: int
    with_gradient: bool
    step_head: StepHead | None
    numbers: list[int] | None
    """Of the rows that are trained where the rest of the weight is frozen."""


class _HeadLoss(torch.autograd.Function):
    """Linear head and summed cross-entropy; gradients are made in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        values: torch.Tensor | None,
        targets: torch.Tensor,
        weights: torch.Tensor | None,
        context: _Context,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, with_gradient, step_head, numbers = context
        dtype = _compute_dtype(hidden)
        used = step_head.weight(dtype) if step_head else weight.to(dtype, copy=values is not None)
        if values is not None:
            used[numbers] = values.to(dtype)
        needs = [with_gradient and need for need in ctx.needs_input_grad[:4]]
        grads = _Gradients(
            torch.empty_like(hidden) if needs[0] else None,
            _target(weight, step_head, len(targets)) if needs[1] else None,
            _target(bias, step_head, len(targets)) if bias is not None and needs[2] else None,
            torch.zeros_like(values) if values is not None and needs[3] else None,
            numbers,
            scale=step_head.scale if step_head else 1.0,
            is_empty=step_head is None,
        )
        terms = hidden.new_empty((2, len(targets)), dtype=_wide(dtype))
        buffer = hidden.new_empty((min(rows, len(targets)), len(weight)), dtype=dtype)
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            inputs = hidden[part].to(dtype)
            logits = _logits(inputs, used, bias, buffer[: len(inputs)])
            terms[:, part] = (slope_ if any(needs) else losses)(logits, targets[part])
            if any(needs):
                grads.add(part, logits, inputs, used, None if weights is None else weights[part, None])
        ctx.in_place = step_head is not None
        kept = [grads.hidden, *((None, None) if ctx.in_place else (grads.weight, grads.bias)), grads.values]
        ctx.save_for_backward(*(x for x in kept if x is not None))
        ctx.kept = [x is not None for x in kept]
        ctx.mark_non_differentiable(terms)
        return _weighed(terms, weights) * grads.scale, terms

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slope, saved = slopes[0], iter(ctx.saved_tensors)
        found = [next(saved) if kept else None for kept in ctx.kept]
        if ctx.in_place:
            # the head's gradient is where it belongs already, and cannot be multiplied any more
            assert slope.device.type != "cpu" or float(slope) == 1, "call backward on the loss as it is"
            return found[0], *repeat(None, 6)
        if slope.device.type != "cpu" or float(slope) != 1:
            # in place: a product would be another tensor of the head's size
            for x in found:
                _ = x if x is None else x.mul_(slope.to(x.dtype))
        return *found, *repeat(None, 3)


@dataclass
class _Gradients:
    """Gradients of hidden states, weight and bias, as far as they are wanted, to which chunks are added."""

    hidden: torch.Tensor | None  # (S, width)
    weight: torch.Tensor | None  # (vocabulary, width)
    bias: torch.Tensor | None  # (vocabulary,)
    values: torch.Tensor | None  # (trained rows, width)
    numbers: list[int] | None
    scale: float
    is_empty: bool
    """Whether weight and bias hold no numbers yet; the first chunk is written over what is there."""

    def add(
        self,
        part: slice,
        slope: torch.Tensor,  # (R, vocabulary)
        inputs: torch.Tensor,  # (R, width)
        weight: torch.Tensor,  # (vocabulary, width)
        weights: torch.Tensor | None,  # (R, 1)
    ) -> None:
        """Weights of rows and the scale are put on what is narrow, never on the logits."""
        if self.hidden is not None:
            torch.mul(
                slope @ weight, self.scale if weights is None else weights * self.scale, out=self.hidden[part]
            )
        if self.weight is not None:
            weighted = (inputs if weights is None else inputs * weights).to(slope.dtype)
            _add_product(self.weight, slope, weighted, beta=int(not self.is_empty), scale=self.scale)
        if self.values is not None:
            weighted = (inputs if weights is None else inputs * weights).to(slope.dtype)
            self.values.add_(slope[:, self.numbers].t() @ weighted, alpha=self.scale)
        if self.bias is not None:
            summed = slope.sum(0) if weights is None else (slope * weights).sum(0)
            if self.is_empty:
                self.bias.zero_()
            self.bias.add_(summed, alpha=self.scale)
        self.is_empty = False


def _target(parameter: torch.Tensor, step_head: StepHead | None, rows: int) -> torch.Tensor:
    """Where a parameter's gradient is added up; without a step's head, memory that the first chunk fills."""
    if step_head is None:
        return torch.empty_like(parameter) if rows else torch.zeros_like(parameter)
    assert parameter.grad is not None, "accumulating made it"
    return parameter.grad


def _logits(
    inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor
) -> torch.Tensor:
    # into one buffer: fresh memory for every chunk costs a page fault for every 4 KiB of it
    if bias is None:
        return torch.mm(inputs, weight.t(), out=out)
    return torch.addmm(bias.to(inputs.dtype), inputs, weight.t(), out=out)


def _add_product(
    total: torch.Tensor, slope: torch.Tensor, inputs: torch.Tensor, *, beta: int, scale: float
) -> None:
    """``total = beta * total + scale * slope.T @ inputs``, without a temporary of the total's size."""
    if total.dtype == slope.dtype:
        torch.addmm(total, slope.t(), inputs, beta=beta, alpha=scale, out=total)
        return
    adds = "dtype_out" in torch.ops.aten.addmm.overloads()  # torch 2.8
    if adds and total.dtype == torch.float32 and not total.is_cpu:
        # tensor cores take halves and add in float32
        torch.ops.aten.addmm.dtype_out(
            total, slope.t(), inputs, out_dtype=total.dtype, beta=beta, alpha=scale, out=total
        )
        return
    size = max(1, TILE_ELEMENTS // total.shape[1])
    for start in range(0, len(total), size):
        part = slice(start, start + size)
        product = slope[:, part].t() @ inputs
        if beta:
            total[part].add_(product, alpha=scale)
        else:
            torch.mul(product, scale, out=total[part])


# Logits -> losses and slope, softmax - one-hot: two operators of torch, so that each device has its own way and a tensor
# without content (`lima.train.memory`) none.


@torch.library.custom_op("lima::slope_", mutates_args=("logits",))
def slope_(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Overwrite (R, vocabulary) logits with their slope; return (2, R): losses in nats, and 1 where the target is first."""
    if logits.is_cuda and find_spec("triton") is not None:
        made: torch.Tensor = _compiled()(logits, targets)
        return made
    found = torch.empty(2, len(targets), dtype=_wide(logits.dtype), device=logits.device)
    rows = _rows(logits)
    scratch = logits.new_empty((min(rows, len(targets)), logits.shape[1]), dtype=found.dtype)
    for start in range(0, len(targets), rows):
        part = slice(start, start + rows)
        _rows_to_slope(logits[part], targets[part, None], found[:, part], scratch)
    return found


@torch.library.custom_op("lima::losses", mutates_args=())
def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """What `slope_` returns, of logits that stay as they are."""
    found = torch.empty(2, len(targets), dtype=_wide(logits.dtype), device=logits.device)
    rows = _rows(logits)
    for start in range(0, len(targets), rows):
        part = slice(start, start + rows)
        wide = logits[part].to(found.dtype)
        wanted = wide.gather(1, targets[part, None]).squeeze(1)
        found[0, part] = wide.logsumexp(1) - wanted
        found[1, part] = wanted >= wide.amax(1)
    return found


@slope_.register_fake
@losses.register_fake
def _shapes(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return logits.new_empty((2, len(targets)), dtype=_wide(logits.dtype))


def _rows_to_slope(
    logits: torch.Tensor,  # (R, vocabulary), overwritten by the slope
    targets: torch.Tensor,  # (R, 1)
    found: torch.Tensor,  # (2, R), filled
    scratch: torch.Tensor,  # (>= R, vocabulary)
) -> None:
    """A few rows; every pass over them but the first and the last finds them in the cache."""
    in_place = logits.dtype == scratch.dtype and logits.is_cpu
    wide = logits if in_place else scratch[: len(targets)].copy_(logits)
    wanted, top = wide.gather(1, targets), wide.amax(1, keepdim=True)
    # torch's own kernel makes two passes of what would be five; on a CPU it reads a row before it writes it
    probabilities = torch.softmax(wide, 1, out=wide) if wide.is_cpu else torch.softmax(wide, 1)
    # the likeliest word has exp(top - top) / norm, which gives the norm to the last digit
    norm_log = probabilities.amax(1, keepdim=True).log_().neg_()
    torch.sub(norm_log + top, wanted, out=found[0, :, None])
    found[1, :, None] = wanted >= top
    probabilities.scatter_add_(1, targets, torch.full_like(top, -1))
    if not in_place:
        logits.copy_(probabilities)


def _plain(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The same in a form that torch.compile turns into two passes over the logits."""
    wide = logits.to(_wide(logits.dtype))
    wanted, top = wide.gather(1, targets[:, None]), wide.amax(1, keepdim=True)
    powers = (wide - top).exp()
    norm = powers.sum(1, keepdim=True)
    is_target = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    logits.copy_(powers / norm - is_target.to(wide.dtype))
    return torch.cat([norm.log() + top - wanted, (wanted >= top).to(wide.dtype)], 1).t().contiguous()


@cache
def _compiled() -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return torch.compile(_plain, dynamic=True)


def _rows(logits: torch.Tensor) -> int:
    return max(1, CACHED_ELEMENTS // logits.shape[1]) if logits.is_cpu else max(1, len(logits))


def _compute_dtype(hidden: torch.Tensor) -> torch.dtype:
    """The type that autocast would give a linear layer here."""
    return torch.get_autocast_dtype(hidden.device.type) if _autocasts(hidden) else hidden.dtype


def _autocasts(tensor: torch.Tensor) -> bool:
    kind = tensor.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
