"""All near-duplicate pairs of a whole collection at once, in numpy.

Up to a number of texts by an exact join on word n-grams: two similar texts share one of the first few of each other's
n-grams (`grams.prefix_size`), so only pairs that meet there are compared in full. Above it, candidates come from MinHash
(`minhash`), and n-grams are made anew for them alone, so memory is some 200 bytes a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lima.curate.choose.grams import Hashes, Integers, begins, gram_blocks, gram_sets, jaccard, prefix_size
from lima.curate.choose.minhash import Bands

EXACT_TEXTS_MAX = 400_000
"""Of 300 words each, the exact join takes 3 GB for so many."""
BLOCK_PAIRS = 2_000_000
"""Pairs that are held and compared together: what bounds the memory beside the n-grams."""
BLOCK_CANDIDATES = 20_000
"""Texts whose n-grams are made anew together."""


@dataclass(frozen=True)
class Pair:
    """Two places in the collection, the earlier first, and their Jaccard similarity."""

    first: int
    second: int
    similarity: float


def near_duplicates(
    texts: Sequence[str], threshold: float = 0.7, ngram: int = 5, exact_texts_max: int = EXACT_TEXTS_MAX
) -> list[Pair]:
    """Every pair of texts whose sets of word n-grams have at least this Jaccard similarity, in order.

    A text shorter than one n-gram is its own. Above ``exact_texts_max`` texts, 0.4 % of the pairs right at the
    threshold are missed, fewer of more similar ones; none is reported that is less similar.

    >>> near_duplicates(["a b c d e f", "x", "A b, c d e f."])
    [Pair(first=0, second=2, similarity=1.0)]
    """
    find = _exact if len(texts) <= exact_texts_max else _sketched
    return sorted(find(texts, threshold, ngram), key=lambda pair: (pair.first, pair.second))


def _exact(texts: Sequence[str], threshold: float, ngram: int) -> Iterator[Pair]:
    grams, starts = gram_sets(texts, ngram)
    for keys in _new(_meetings(*_heads(grams, starts, threshold), len(texts))):
        yield from _compared(keys, len(texts), (grams, starts), threshold)


def _sketched(texts: Sequence[str], threshold: float, ngram: int) -> Iterator[Pair]:
    bands = Bands.of(threshold)
    keys = np.concatenate([bands.keys(grams, sizes) for grams, sizes in gram_blocks(texts, ngram)])
    owners = np.arange(len(texts))
    columns = (_sorted(column, owners) for column in keys.T)
    meetings = (pairs for values, places in columns for pairs in _meetings(values, places, len(texts)))
    for found in _new(meetings):
        yield from _recompared(found, texts, ngram, threshold)


def _recompared(keys: Integers, texts: Sequence[str], ngram: int, threshold: float) -> Iterator[Pair]:
    """Candidates compared by n-grams that are made for them, some thousand texts at a time."""
    step = BLOCK_CANDIDATES // 2
    for begin in range(0, len(keys), step):
        pairs = keys[begin : begin + step]
        places, local = np.unique(
            np.concatenate([pairs // len(texts), pairs % len(texts)]), return_inverse=True
        )
        sets = gram_sets([texts[place] for place in places], ngram)
        for pair in _compared(
            local[: len(pairs)] * len(places) + local[len(pairs) :], len(places), sets, threshold
        ):
            yield Pair(int(places[pair.first]), int(places[pair.second]), pair.similarity)


def _compared(keys: Integers, n: int, sets: tuple[Hashes, Integers], threshold: float) -> Iterator[Pair]:
    """Those of the pairs ``first * n + second`` that are similar."""
    grams, starts = sets
    sizes = np.diff(starts)
    first, second = keys // n, keys % n
    smaller, bigger = np.minimum(sizes[first], sizes[second]), np.maximum(sizes[first], sizes[second])
    possible = smaller >= threshold * bigger - 1e-9
    for a, b in zip(first[possible].tolist(), second[possible].tolist(), strict=True):
        similarity = jaccard(grams[starts[a] : starts[a + 1]], grams[starts[b] : starts[b + 1]])
        if similarity >= threshold - 1e-12:
            yield Pair(a, b, similarity)


def _heads(grams: Hashes, starts: Integers, threshold: float) -> tuple[Hashes, Integers]:
    """The first n-grams of every text, sorted, and whose they are."""
    sizes = np.diff(starts)
    prefix = prefix_size(sizes, threshold)
    owners = np.repeat(np.arange(len(sizes)), prefix)
    inside = np.arange(int(prefix.sum())) - np.repeat(begins(prefix)[:-1], prefix)
    return _sorted(grams[np.repeat(starts[:-1], prefix) + inside], owners)


def _sorted(values: Hashes, owners: Integers) -> tuple[Hashes, Integers]:
    order = np.lexsort((owners, values))
    return values[order], owners[order]


def _meetings(values: Hashes, owners: Integers, n: int) -> Iterator[Integers]:
    """Keys ``first * n + second`` of the texts that have a value in common, a bounded number at a time."""
    edges = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]]))
    several = np.diff(edges) > 1
    waiting: list[Integers] = []
    held = 0
    for begin, end in zip(edges[:-1][several].tolist(), edges[1:][several].tolist(), strict=True):
        members = owners[begin:end]
        for place in range(len(members) - 1):
            waiting.append(members[place] * n + members[place + 1 :])
            held += len(members) - place - 1
            if held >= BLOCK_PAIRS:
                yield np.concatenate(waiting)
                waiting, held = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _new(blocks: Iterable[Integers]) -> Iterator[Integers]:
    """Each key once."""
    seen = np.zeros(0, dtype=np.int64)
    for block in blocks:
        keys = np.setdiff1d(block, seen)
        seen = np.union1d(seen, keys)
        yield keys
