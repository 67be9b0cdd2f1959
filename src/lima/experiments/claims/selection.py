"""What `lima select` takes of a pool of good and bad examples (LIMA, section 5; arXiv 2402.04833, 2308.12032, 2503.01807).

The command sees only the examples and their readers' votes, never how they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lima.files import read_jsonl, write_jsonl
from lima.records import Example
from lima.select.select import select
from lima.select.settings import Method, SelectSettings
from lima.world.wordings import Style

VOTES: Mapping[Style, tuple[int, int]] = {
    "good": (4, 5),
    "terse": (3, 5),
    "foreign": (3, 5),
    "rambling": (2, 4),
    "refusal": (1, 3),
    "wrong": (1, 2),
}
"""Fewest and most stars that readers give to an answer of a style: they like some bad ones as well as good ones."""


@dataclass(frozen=True)
class Way:
    """A method of `lima select` and what it takes for quality."""

    by: Method
    quality: str = "rules"


WAYS: Mapping[str, Way] = {
    "random": Way("random"),
    "longest": Way("longest"),
    "quality (rules)": Way("quality"),
    "quality (votes)": Way("quality", "score"),
    "diverse": Way("diverse"),
    "quality (votes), diverse": Way("quality-diverse", "score"),
    "likeness": Way("likeness"),
    "ifd": Way("ifd"),
    "rds": Way("rds"),
}


def votes(style: Style, rng: np.random.Generator) -> int:
    """Stars of one answer."""
    low, high = VOTES[style]
    return int(rng.integers(low, high + 1))


def with_copies(pool: Sequence[Example], copies: int, rng: np.random.Generator) -> list[Example]:
    """The pool and ``copies`` of its rows under other ids, as an export has them that was joined twice."""
    places = rng.choice(len(pool), copies, replace=False).tolist()
    again = [pool[place].model_copy(update={"id": f"{pool[place].id}/again"}) for place in places]
    return sorted([*pool, *again], key=lambda row: row.id)


def chosen(
    pool: Sequence[Example],
    how: str,
    count: int,
    *,
    seed: int,
    liked: Sequence[Example],
    base: Path,
    folder: Path,
) -> tuple[list[Example], int]:
    """``count`` examples of the pool, and the tokens that a model read to choose them.

    Args:
        pool: what there is to choose from.
        how: a name in `WAYS`.
        count: how many; at most the pool.
        seed: draws where the way leaves a choice.
        liked: some examples as they should be, written by hand: the target of ``likeness`` and ``rds``.
        base: the folder of the model that ``ifd`` and ``rds`` ask.
        folder: takes the command's files.
    """
    way = WAYS[how]
    write_jsonl(folder / "pool.jsonl", pool)
    write_jsonl(folder / "liked.jsonl", liked)
    settings = SelectSettings(
        pool=folder / "pool.jsonl",
        out=folder / "chosen.jsonl",
        number=count,
        by=(way.by,),
        quality=way.quality,
        target=folder / "liked.jsonl" if way.by in ("likeness", "rds") else None,
        model=str(base) if way.by in ("ifd", "rds") else None,
        seed=seed,
    )
    first, *_ = select(settings)
    return list(read_jsonl(settings.out, Example)), first.tokens
