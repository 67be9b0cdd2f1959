"""A pool of examples on the disk -> what selection needs of each; texts are read again when they are wanted.

A million examples take some 60 bytes each here, so the pool may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from lima import console
from lima.errors import LimaError
from lima.files import loads, parse_record, placed_lines
from lima.records import Example, Reject

Part = Literal["both", "prompt", "answer"]
ROLES: Mapping[Part, tuple[str, ...]] = {
    "both": ("user", "assistant"),
    "prompt": ("user",),
    "answer": ("assistant",),
}
PROMPT = "prompt"
"""The rule that drops rows without an answer: they teach nothing."""


@dataclass(frozen=True)
class Pool:
    """A file of examples and where each begins."""

    path: Path
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    """Characters of the answers."""
    groups: tuple[frozenset[str], ...]
    """Tags, category and source of each example; equal sets are one object."""
    rejects: tuple[Reject, ...]

    def __len__(self) -> int:
        return len(self.offsets)

    def examples(self, places: Sequence[int] | None = None) -> Iterator[Example]:
        """The examples at these places, or all, in this order."""
        for line in self.lines(places):
            yield Example.model_validate(loads(line))

    def lines(self, places: Sequence[int] | None = None) -> Iterator[bytes]:
        """Their lines as they stand in the file."""
        return lines_at(
            self.path, self.offsets if places is None else (self.offsets[place] for place in places)
        )

    def texts(self, part: Part) -> Iterator[str]:
        """What is embedded of each example, as `text_of`; the lines were checked when the pool was read."""
        roles = ROLES[part]
        for line in self.lines():
            turns = loads(line)["messages"]
            yield "\n".join(turn["content"] for turn in turns if turn["role"] in roles)


def lines_at(path: Path, offsets: Iterable[int]) -> Iterator[bytes]:
    """The lines of a file that begin there, as they stand in it."""
    with path.open("rb") as stream:
        for offset in offsets:
            stream.seek(int(offset))
            yield stream.readline().rstrip(b"\r\n") + b"\n"


def read_pool(path: Path) -> Pool:
    """Read the pool once.

    Raises:
        InputError: a line is no Example.
        LimaError: no file, no example with an answer, or two with one id.
    """
    offsets, lengths, groups, rejects = [], [], [], []
    known: dict[frozenset[str], frozenset[str]] = {}
    ids: set[int] = set()
    size = path.stat().st_size / 1e6 if path.is_file() else None
    with console.progress("reading the pool", size, "MB") as bar:
        for number, (begin, line) in enumerate(placed_lines(path), start=1):
            bar.advance(len(line) / 1e6)
            if not line.strip():
                continue
            example = parse_record(line, Example, path, number)
            if example.is_prompt:
                rejects.append(Reject(id=example.id, rule=PROMPT, reason="it has no answer"))
                continue
            if (mark := hash(example.id)) in ids:
                raise LimaError(f"{path}:{number}: a second example with the id {example.id!r}.")
            ids.add(mark)
            offsets.append(begin)
            lengths.append(len(text_of(example, "answer")))
            names = names_of(example)
            groups.append(known.setdefault(names, names))
    if not offsets:
        raise LimaError(f"{path}: no example with an answer.")
    return Pool(
        path,
        np.asarray(offsets, dtype=np.int64),
        np.asarray(lengths, dtype=np.int64),
        tuple(groups),
        tuple(rejects),
    )


def text_of(example: Example, part: Part) -> str:
    """The words of an example: its user turns, its assistant turns, or both."""
    roles = ROLES[part]
    return "\n".join(turn.content for turn in example.turns if turn.role in roles)


def names_of(example: Example) -> frozenset[str]:
    """What a quota may name: tags, category, source."""
    category = [example.meta.category] if example.meta.category else []
    return frozenset([*example.meta.tags, *category, example.source])
