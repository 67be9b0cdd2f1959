"""What a base model makes of a pool: its states (RDS+, arXiv 2503.01807) and how much a prompt helps it (IFD, arXiv 2308.12032).

Both read every example once or twice, in batches of similar length, and keep what is finished in a file, so that a stopped
run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lima import chat, console, model
from lima.curate.choose.embeddings import Vectors, unit_rows
from lima.errors import LimaError
from lima.files import read_json, write_json
from lima.records import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SAVE_EVERY = 64
"""Batches between two notes of how far the reading is."""


@dataclass
class Reader:
    """A base model that reads examples; `tokens` counts what it read."""

    network: PreTrainedModel
    words: PreTrainedTokenizerBase
    max_length: int
    batch_tokens: int
    tokens: int = field(default=0)

    def ids(self, example: Example) -> tuple[list[int], int]:
        """Token ids of an example, cut to `max_length`, and how many of the last belong to its last answer."""
        asked = self._prompt(example)
        told = self.words.encode(
            example.messages[-1].content, add_special_tokens=False, split_special_tokens=True
        )
        asked = asked[: self.max_length // 2]
        told = told[: self.max_length - len(asked)]
        return [*asked, *told], len(told)

    def _prompt(self, example: Example) -> list[int]:
        if chat.eot_id(self.words) is not None:
            return chat.encode_prompt(self.words, example.prompt)
        return chat.encode_plain(self.words, "\n".join(turn.content for turn in example.prompt) + "\n")


def load_reader(place: str, *, max_length: int, batch_tokens: int) -> Reader:
    """Load the model in the way in which it computes fastest here."""
    network, words = model.load(Path(place) if Path(place).exists() else place)
    longest = model.context_length(network)
    return Reader(network, words, min(max_length, longest or max_length), batch_tokens)


@torch.no_grad()
def states(
    reader: Reader, examples: Callable[[], Iterator[Example]], count: int, store: Path | None = None
) -> Vectors:
    """Unit rows (count, width): means of the last hidden states, position t weighted by t (RDS+).

    ``store`` names a file without ending that keeps finished rows between runs.
    """
    width = int(reader.network.config.get_text_config().hidden_size)
    rows = _kept(store, (count, width))
    for batch in _batches(reader, examples, count, store, rows, "reading the pool for its states"):
        ids, mask = _padded([ids for _, (ids, _) in batch], reader.network.device)
        hidden = reader.network.base_model(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, D)
        weights = mask * torch.arange(1, ids.shape[1] + 1, device=mask.device)  # (B, T)
        mean = (hidden.float() * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        rows[[place for place, _ in batch]] = mean.cpu().numpy()
    return unit_rows(np.asarray(rows))


@torch.no_grad()
def following_difficulty(
    reader: Reader, examples: Callable[[], Iterator[Example]], count: int, store: Path | None = None
) -> npt.NDArray[np.float64]:
    """IFD: an answer's loss after its prompt over its loss alone, shape (count,).

    High: the prompt hardly helps, so there is something to learn. From 1 on the prompt misleads; such examples get -1.
    """
    rows = _kept(store, (count, 1))
    for batch in _batches(reader, examples, count, store, rows, "reading the pool for IFD"):
        for place, (ids, told) in batch:
            alone = [ids[0], *ids[len(ids) - told :]]
            after, without = _loss(reader, ids, told), _loss(reader, alone, told)
            rows[place, 0] = after / without if 0 < after < without else -1.0
            reader.tokens += len(alone)
    return np.asarray(rows[:, 0], dtype=np.float64)


def _loss(reader: Reader, ids: Sequence[int], last: int) -> float:
    """Mean negative log-likelihood of the last tokens, in nats."""
    if last == 0:
        return 0.0
    given = torch.tensor([ids], device=reader.network.device)
    logits = reader.network(input_ids=given, logits_to_keep=last + 1).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, given[0, -last:]))


Encoded = tuple[int, tuple[list[int], int]]


def _batches(
    reader: Reader,
    examples: Callable[[], Iterator[Example]],
    count: int,
    store: Path | None,
    rows: Any,
    description: str,
) -> Iterator[list[Encoded]]:
    """Examples in batches of similar length, those that an earlier run finished left out; finished ones are noted."""
    encoded = [reader.ids(example) for example in examples()]
    order = sorted(range(count), key=lambda place: len(encoded[place][0]))
    batches = list(_cut(order, [len(ids) for ids, _ in encoded], reader.batch_tokens))
    note = store.with_suffix(".json") if store else None
    begin = int(read_json(note)["batches"]) if note and note.exists() else 0
    with console.progress(description, count, "examples") as bar:
        bar.advance(sum(map(len, batches[:begin])))
        for number, batch in enumerate(batches[begin:], start=begin + 1):
            yield [(place, encoded[place]) for place in batch]
            reader.tokens += sum(len(encoded[place][0]) for place in batch)
            bar.advance(len(batch))
            if note and (number % SAVE_EVERY == 0 or number == len(batches)):
                rows.flush()
                write_json(note, {"batches": number})


def _cut(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Batches of at most so many padded tokens; the order is by length, so the last of a batch is its longest."""
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) + 1) * lengths[place] > tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask, padded at the right, both (B, T)."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
    return ids.to(device), mask.to(device)


def _kept(store: Path | None, shape: tuple[int, int]) -> Any:
    """An array in memory, or the file that an earlier run began."""
    if store is None:
        return np.zeros(shape, dtype=np.float32)
    path = store.with_suffix(".npy")
    if path.exists():
        found = np.load(path, mmap_mode="r+")
        if found.shape != shape:
            raise LimaError(f"{path}: belongs to another pool. Remove {path.parent}.")
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
