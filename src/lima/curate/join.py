"""All near-duplicate pairs of a whole collection at once: an exact join on word n-grams, in numpy.

Two texts of Jaccard similarity >= t share one of the first |A| - ceil(t |A|) + 1 of each other's n-grams in any fixed
order (prefix filtering), so only pairs that meet there are compared in full. N-grams are 64-bit hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from lima.curate.duplicates import WORD

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

BLOCK_TEXTS = 20_000
"""Texts whose n-grams are hashed together."""
BLOCK_PAIRS = 2_000_000
"""Pairs that are held and compared together: what bounds the memory beside the n-grams."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MIXERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Of the generator splitmix64 (Steele, Lea and Flood, 2014)."""


@dataclass(frozen=True)
class Pair:
    """Two places in the collection, the earlier first, and their Jaccard similarity."""

    first: int
    second: int
    similarity: float


def near_duplicates(texts: Sequence[str], jaccard: float = 0.7, ngram: int = 5) -> list[Pair]:
    """Every pair of texts whose sets of word n-grams have at least this Jaccard similarity, in order.

    A text shorter than one n-gram is its own. About 16 bytes of memory an n-gram.

    >>> near_duplicates(["a b c d e f", "x", "A b, c d e f."])
    [Pair(first=0, second=2, similarity=1.0)]
    """
    grams, starts = _grams(texts, ngram)
    sizes = np.diff(starts)
    found: list[Pair] = []
    seen = np.zeros(0, dtype=np.int64)
    for candidates in _candidates(grams, starts, jaccard):
        keys = np.setdiff1d(candidates, seen, assume_unique=True)
        seen = np.union1d(seen, keys)
        first, second = keys // len(texts), keys % len(texts)
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            if min(sizes[a], sizes[b]) < jaccard * max(sizes[a], sizes[b]) - 1e-9:
                continue
            shared = _shared(grams[starts[a] : starts[a + 1]], grams[starts[b] : starts[b + 1]])
            similarity = shared / (sizes[a] + sizes[b] - shared)
            if similarity >= jaccard - 1e-12:
                found.append(Pair(a, b, float(similarity)))
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def _grams(texts: Sequence[str], ngram: int) -> tuple[Hashes, Integers]:
    """Sorted hashes of every text's n-grams, each once, one text after the other; and where each text begins."""
    vocabulary: dict[str, int] = {}
    blocks, counts = [], []
    for start in range(0, len(texts), BLOCK_TEXTS):
        words = [WORD.findall(text.casefold()) for text in texts[start : start + BLOCK_TEXTS]]
        for word in chain.from_iterable(words):
            vocabulary.setdefault(word, len(vocabulary))
        lengths = np.array([len(row) for row in words], dtype=np.int64)
        ids = np.fromiter(
            map(vocabulary.__getitem__, chain.from_iterable(words)), np.uint64, int(lengths.sum())
        )
        hashes, owners = _hash(ids, lengths, ngram)
        order = np.lexsort((hashes, owners))
        hashes, owners = hashes[order], owners[order]
        new = np.ones(len(hashes), dtype=bool)
        new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
        blocks.append(hashes[new])
        counts.append(np.bincount(owners[new], minlength=len(words)))
    sizes = np.concatenate(counts) if counts else np.zeros(0, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return (np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.uint64)), starts


def _hash(ids: Hashes, lengths: Integers, ngram: int) -> tuple[Hashes, Integers]:
    """The hash of every n-gram and the text that it is of; texts with fewer words have one, of all their words."""
    begins = np.cumsum(lengths) - lengths
    spans = np.minimum(lengths, ngram)
    numbers = np.maximum(lengths - ngram + 1, 1)
    owners = np.repeat(np.arange(len(lengths)), numbers)
    places = np.arange(int(numbers.sum())) - np.repeat(np.cumsum(numbers) - numbers, numbers) + begins[owners]
    hashes = spans[owners].astype(np.uint64)
    mixed = _mix(ids + np.uint64(1))
    for step in range(ngram):
        inside = step < spans[owners]
        word = mixed[np.minimum(places + step, max(0, len(ids) - 1))] if len(ids) else hashes
        hashes = np.where(inside, _mix(hashes * MULTIPLIER + word), hashes)
    return hashes, owners


def _mix(values: Any) -> Hashes:
    """Spread 64-bit values evenly (the output function of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * MIXERS[0]
    values = (values ^ (values >> np.uint64(27))) * MIXERS[1]
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _candidates(grams: Hashes, starts: Integers, jaccard: float) -> Any:
    """Keys ``first * n + second`` of the pairs that share an n-gram of their prefixes, in blocks without repeats."""
    sizes, n = np.diff(starts), len(starts) - 1
    prefix = sizes - np.ceil(jaccard * sizes - 1e-9).astype(np.int64) + 1
    prefix = np.minimum(prefix, sizes)
    owners = np.repeat(np.arange(n), prefix)
    inside = np.arange(int(prefix.sum())) - np.repeat(np.cumsum(prefix) - prefix, prefix)
    heads = grams[np.repeat(starts[:-1], prefix) + inside]
    order = np.lexsort((owners, heads))
    heads, owners = heads[order], owners[order]
    groups = np.flatnonzero(np.concatenate([[True], heads[1:] != heads[:-1], [True]]))
    waiting: list[Integers] = []
    held = 0
    for begin, end in zip(groups[:-1][np.diff(groups) > 1], groups[1:][np.diff(groups) > 1], strict=True):
        members = owners[begin:end]
        for place in range(len(members) - 1):
            waiting.append(members[place] * n + members[place + 1 :])
            held += len(members) - place - 1
            if held >= BLOCK_PAIRS:
                yield np.unique(np.concatenate(waiting))
                waiting, held = [], 0
    if waiting:
        yield np.unique(np.concatenate(waiting))


def _shared(first: Hashes, second: Hashes) -> int:
    """How many values two sorted arrays without repeats have in common."""
    if len(first) > len(second):
        first, second = second, first
    places = np.searchsorted(second, first)
    places[places == len(second)] = 0
    return int((second[places] == first).sum())
