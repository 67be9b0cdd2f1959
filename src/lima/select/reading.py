"""What a base model makes of a pool: its states (RDS+, arXiv 2503.01807) and how much a prompt helps it (IFD, arXiv 2308.12032).

Both read every example once or twice, in batches of similar length, here or in tasks of Ray, and keep what is finished in a file,
so that a stopped run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
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
from lima.runs import Map

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GROUP = 4
"""Batches that are read, kept and noted together: a task of Ray, and the most that a kill costs."""

Row = tuple[list[int], int]
"""Token ids of an example, and how many of the last belong to its last answer."""
Batch = list[Row]


@dataclass
class Reader:
    """A base model that reads examples; `tokens` counts what it read. Weights are loaded where they are first needed."""

    place: str
    max_length: int
    batch_tokens: int
    run: Map = map
    """Carries tasks out: here, or elsewhere."""
    tokens: int = field(default=0)

    def ids(self, example: Example) -> Row:
        """An example in tokens, cut to `max_length`."""
        asked = self._prompt(example)
        told = self._words.encode(
            example.messages[-1].content, add_special_tokens=False, split_special_tokens=True
        )
        asked = asked[: self.max_length // 2]
        return [*asked, *told[: self.max_length - len(asked)]], min(len(told), self.max_length - len(asked))

    def _prompt(self, example: Example) -> list[int]:
        if chat.eot_id(self._words) is not None:
            return chat.encode_prompt(self._words, example.prompt)
        return chat.encode_plain(self._words, "\n".join(turn.content for turn in example.prompt) + "\n")

    @cached_property
    def _words(self) -> PreTrainedTokenizerBase:
        return model.load_tokenizer(self.place)


def load_reader(place: str, *, max_length: int, batch_tokens: int, run: Map = map) -> Reader:
    """A reader whose texts fit the model's context. ``run`` carries its tasks out, in their order."""
    longest = model.context_of(place)
    return Reader(place, min(max_length, longest or max_length), batch_tokens, run)


@lru_cache(maxsize=1)
def _network(place: str) -> PreTrainedModel:
    """The weights, once a process, in the way in which they compute fastest here."""
    return model.load(Path(place) if Path(place).exists() else place)[0]


def states(
    reader: Reader, examples: Callable[[], Iterator[Example]], count: int, store: Path | None = None
) -> Vectors:
    """Unit rows (count, width): means of the last hidden states, position t weighted by t (RDS+).

    ``store`` names a file without ending that keeps finished rows between runs.
    """
    encoded = [reader.ids(example) for example in examples()]
    rows = _read(reader, _states, encoded, model.width_of(reader.place), store)
    return unit_rows(np.asarray(rows))


def following_difficulty(
    reader: Reader, examples: Callable[[], Iterator[Example]], count: int, store: Path | None = None
) -> npt.NDArray[np.float64]:
    """IFD: an answer's loss after its prompt over its loss alone, shape (count,).

    High: the prompt hardly helps, so there is something to learn. From 1 on the prompt misleads; such examples get -1.
    """
    encoded = [reader.ids(example) for example in examples()]
    rows = _read(reader, _difficulties, encoded, 1, store)
    return np.asarray(rows[:, 0], dtype=np.float64)


@torch.no_grad()
def _states(place: str, batches: Sequence[Batch]) -> npt.NDArray[np.float32]:
    network, found = _network(place), []
    for batch in batches:
        ids, mask = _padded([ids for ids, _ in batch], network.device)
        hidden = network.base_model(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, D)
        weights = mask * torch.arange(1, ids.shape[1] + 1, device=mask.device)  # (B, T)
        mean = (hidden.float() * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        found.append(mean.cpu().numpy())
    return np.concatenate(found)


@torch.no_grad()
def _difficulties(place: str, batches: Sequence[Batch]) -> npt.NDArray[np.float32]:
    network, found = _network(place), []
    for ids, told in (row for batch in batches for row in batch):
        after, without = _loss(network, ids, told), _loss(network, _alone(ids, told), told)
        found.append([after / without if 0 < after < without else -1.0])
    return np.asarray(found, dtype=np.float32)


def _alone(ids: Sequence[int], told: int) -> list[int]:
    """The answer without its prompt, behind the token that begins a text."""
    return [ids[0], *ids[len(ids) - told :]]


def _loss(network: PreTrainedModel, ids: Sequence[int], last: int) -> float:
    """Mean negative log-likelihood of the last tokens, in nats."""
    if last == 0:
        return 0.0
    given = torch.tensor([ids], device=network.device)
    logits = network(input_ids=given, logits_to_keep=last + 1).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, given[0, -last:]))


Task = Callable[[str, Sequence[Batch]], npt.NDArray[np.float32]]


def _read(reader: Reader, task: Task, encoded: Sequence[Row], width: int, store: Path | None) -> Any:
    """Rows (examples, width) of a task, in batches of similar length; finished ones are noted, and not read again."""
    lengths = [len(ids) for ids, _ in encoded]
    order = sorted(range(len(encoded)), key=lengths.__getitem__)
    batches = list(_cut(order, lengths, reader.batch_tokens))
    rows = _kept(store, (len(encoded), width))
    note = store.with_suffix(".json") if store else None
    begin = int(read_json(note)["batches"]) if note and note.exists() else 0
    groups = [batches[start : start + GROUP] for start in range(begin, len(batches), GROUP)]
    told = [[[encoded[place] for place in batch] for batch in group] for group in groups]
    with console.progress("reading the pool with the model", len(encoded), "examples") as bar:
        bar.resume(sum(map(len, batches[:begin])))
        for group, found in zip(groups, reader.run(partial(task, reader.place), told), strict=True):
            places = [place for batch in group for place in batch]
            rows[places] = found
            begin += len(group)
            reader.tokens += sum(_tokens(task, encoded[place]) for place in places)
            bar.advance(len(places))
            if note:
                rows.flush()
                write_json(note, {"batches": begin})
    return rows


def _tokens(task: Task, row: Row) -> int:
    """What the model reads of an example: the whole, and for IFD the answer alone too."""
    ids, told = row
    return len(ids) + (len(_alone(ids, told)) if task is _difficulties else 0)


def _cut(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Batches of at most this many padded tokens, in order of length, so the last sequence of a batch is its longest."""
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
