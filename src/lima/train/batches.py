"""Conversations -> token sequences -> the batches of an epoch -> padding-free micro-batches (LIMA, section 3).

A micro-batch holds its documents laid end to end in one row, without padding; position ids start again at
every document and attention stays inside it (`lima.train.attention`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from lima.chat import LossOn, Tokens, encode_example
from lima.errors import LimaError
from lima.model import sent
from lima.records import Example, Reject
from lima.train.attention import Documents

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingSet:
    """Tokenised examples, and what happened on the way."""

    sequences: list[Tokens]
    rejects: list[Reject]

    @property
    def trimmed(self) -> int:
        """Number of sequences that lost their end."""
        return sum(sequence.trimmed for sequence in self.sequences)

    @property
    def tokens(self) -> int:
        """All tokens of an epoch."""
        return sum(len(sequence.ids) for sequence in self.sequences)

    @property
    def supervised(self) -> int:
        """Tokens of an epoch that carry loss."""
        return sum(sequence.supervised for sequence in self.sequences)


@dataclass(frozen=True)
class MicroBatch:
    """Documents laid end to end: N tokens, of which S have a weight in the loss.

    The hidden state at ``predictors[i]`` predicts ``targets[i]``. A document's first token has no predictor.
    """

    ids: torch.Tensor  # (1, N)
    position_ids: torch.Tensor  # (1, N)
    predictors: torch.Tensor  # (S,)
    targets: torch.Tensor  # (S,)
    weights: torch.Tensor | None  # (S,); None: 1 for all
    documents: Documents


def tokenize(
    examples: Iterable[Example],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    keep_eot: bool = False,
    loss_on: LossOn = "assistant",
    prompt_weight: float = 0.0,
    advance: Callable[[], object] = lambda: None,
) -> TrainingSet:
    """Token sequences of the examples that teach something: no turn is blank and a token is supervised. Others are rejected by name.

    ``prompt_weight`` is the weight of the tokens without label; ``advance`` is called after each example; the
    rest is as in `lima.chat.encode_example`.

    Raises:
        LimaError: the chat template fails on an example, which the text names.
    """
    result = TrainingSet([], [])
    for example in examples:
        try:
            sequence = encode_example(
                tokenizer, example.messages, max_length=max_length, keep_eot=keep_eot, loss_on=loss_on
            )
        except LimaError as error:
            raise LimaError(f"{example.id}: {error}") from None
        if example.blank_turn:
            result.rejects.append(Reject(id=example.id, rule="empty", reason=example.blank_turn))
        elif not sequence.supervised:
            reason = f"no assistant token to learn among the first {max_length} tokens"
            result.rejects.append(Reject(id=example.id, rule="no_supervised_token", reason=reason))
        else:
            result.sequences.append(replace(sequence, id=example.id, prompt_weight=prompt_weight))
        advance()
    return result


def epoch_batches(count: int, batch_size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch as positions in the data: a new order each epoch, a smaller last batch."""
    order = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    return list(_split(order, batch_size))


def micro_batches(batch: Sequence[Tokens], budget: int) -> Iterator[list[Tokens]]:
    """Split a batch, in its order, into groups of at most ``budget`` tokens (a longer document stands alone)."""
    group: list[Tokens] = []
    for sequence in batch:
        if group and sum(len(s.ids) for s in group) + len(sequence.ids) > budget:
            yield group
            group = []
        group.append(sequence)
    if group:
        yield group


def collate(group: Sequence[Tokens], device: torch.device) -> MicroBatch:
    """Lay documents end to end as tensors on ``device``."""
    lengths = [len(sequence.ids) for sequence in group]
    ids = torch.tensor([token for sequence in group for token in sequence.ids])
    weights = torch.tensor([weight for sequence in group for weight in sequence.weights])
    targets = weights.nonzero().squeeze(1)
    return MicroBatch(
        ids=sent(ids[None], device),
        position_ids=sent(torch.cat([torch.arange(length) for length in lengths])[None], device),
        predictors=sent(targets - 1, device),
        targets=sent(ids[targets], device),
        weights=sent(weights[targets], device) if any(s.prompt_weight for s in group) else None,
        documents=Documents.of(lengths, device),
    )


def _split(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
