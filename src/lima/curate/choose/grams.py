"""A text as the set of its word n-grams: sorted hashes, the same in every process and in any order of texts.

And their MinHash with bands, for collections too big to compare exactly. Two sets have the same smallest value under a
random order with probability J, their Jaccard similarity (Broder, 1997). Of each text `Bands.rows` such values make a band;
texts with an equal band are candidates, which an exact comparison decides.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from lima.curate.text.words import words_of

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

BLOCK_TEXTS = 4096
"""Texts whose n-grams are hashed together."""
HASH_BITS = np.uint64(52)
"""The other twelve bits hold the place of a text in its block. Of 20 million n-grams one in a thousand million meets another."""
HASH = (np.uint64(1) << HASH_BITS) - np.uint64(1)
KNOWN_WORDS_MAX = 2_000_000
"""Hashes of words that are remembered, some 100 bytes each."""
MISSED = 0.004
"""The share of pairs right at the threshold that no band finds; of more similar ones it is less."""
SLICE_GRAMS = 1 << 16
"""n-grams that are looked at together, so that they stay in the cache."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MIXERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Of the generator splitmix64 (Steele, Lea and Flood, 2014)."""


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= KNOWN_WORDS_MAX:
            self.clear()
        self[word] = found = hash_of(word.encode())
        return found


def hash_of(data: bytes) -> int:
    """64 bits that are the same in every process."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


_word_hashes = _WordHashes()


def gram_set(text: str, ngram: int) -> Hashes:
    """The n-grams of one text; a text shorter than one n-gram is its own.

    >>> len(gram_set("a b c d a b c", 3))
    4
    """
    return next(gram_blocks([text], ngram))[0]


def gram_blocks(texts: Sequence[str], ngram: int) -> Iterator[tuple[Hashes, Integers]]:
    """As `gram_set` of many texts, `BLOCK_TEXTS` at a time: the n-grams one text after the other, and how many each has."""
    for start in range(0, len(texts), BLOCK_TEXTS):
        rows = [words_of(text) for text in texts[start : start + BLOCK_TEXTS]]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        every_word = map(_word_hashes.__getitem__, chain.from_iterable(rows))
        ids = np.fromiter(every_word, np.uint64, int(lengths.sum()))
        keys = np.sort(_keys(ids, lengths, ngram))  # one sort: the text's place stands before the hash
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        yield keys & HASH, np.bincount((keys >> HASH_BITS).astype(np.int64), minlength=len(rows))


def jaccard(first: Hashes, second: Hashes) -> float:
    """The share of two sets that they have in common."""
    if len(first) > len(second):
        first, second = second, first
    if not len(first):
        return 0.0
    places = np.searchsorted(second, first)
    places[places == len(second)] = 0
    shared = int((second[places] == first).sum())
    return shared / (len(first) + len(second) - shared)


def prefix_size(size: Any, threshold: float) -> Any:
    """How many of the first n-grams of a set of this size it takes for two similar sets to share at least one.

    Sets with Jaccard >= t share at least t*|A| elements, so they cannot miss each other among the first
    |A| - ceil(t*|A|) + 1 of each in any fixed order (prefix filtering).
    """
    return np.minimum(size - np.ceil(threshold * size - 1e-9).astype(np.int64) + 1, size)


def mix(values: Any) -> Hashes:
    """Spread 64-bit values evenly (the output function of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * MIXERS[0]
    values = (values ^ (values >> np.uint64(27))) * MIXERS[1]
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _keys(ids: Hashes, lengths: Integers, ngram: int) -> Hashes:
    """Of every n-gram its hash behind the place of its text; texts with fewer words have one n-gram, of all of them."""
    starts = np.cumsum(lengths) - lengths
    sums = np.zeros(max(0, len(ids) - ngram + 1), dtype=np.uint64)
    for step in range(ngram):  # a polynomial in the hashes of the words
        sums = sums * MULTIPLIER + ids[step : step + len(sums)]
    owners = np.repeat(np.arange(len(lengths)), lengths)[: len(sums)]
    within = np.arange(len(sums)) - starts[owners] <= lengths[owners] - ngram
    owners, sums = owners[within], sums[within]
    short = np.flatnonzero(lengths < ngram)
    if len(short):
        spans = zip(starts[short].tolist(), lengths[short].tolist(), strict=True)
        whole = [hash_of(ids[start : start + length].tobytes()) for start, length in spans]
        owners, sums = np.append(owners, short), np.append(sums, np.array(whole, dtype=np.uint64))
    return (owners.astype(np.uint64) << HASH_BITS) | (mix(sums) & HASH)


@dataclass(frozen=True)
class Bands:
    """How many bands of how many values suit a threshold."""

    number: int
    rows: int

    @classmethod
    def of(cls, threshold: float) -> Bands:
        """Short bands find dissimilar texts too, long ones need many."""
        rows = 3 if threshold >= 0.5 else 2 if threshold >= 0.2 else 1
        return cls(math.ceil(math.log(MISSED) / math.log(1 - min(threshold, 0.999) ** rows)), rows)

    def keys(self, grams: Hashes, sizes: Integers) -> Hashes:
        """The bands of texts, each hashed: one row a text.

        Args:
            grams: the n-grams of the texts, one after the other.
            sizes: how many each text has, at least one.
        """
        short = (grams >> (HASH_BITS - np.uint64(32))).astype(np.uint32)
        minima = np.empty((len(sizes), self.number * self.rows), dtype=np.uint32)
        factors = mix(np.arange(1, self.number * self.rows + 1, dtype=np.uint64)).astype(
            np.uint32
        ) | np.uint32(1)
        for first, last, start, end in _slices(sizes):
            part, places = short[start:end], np.cumsum(sizes[first:last]) - sizes[first:last]
            for column, factor in enumerate(factors):
                minima[first:last, column] = np.minimum.reduceat(part * factor, places)
        keys = np.zeros((len(sizes), self.number), dtype=np.uint64)
        bands = minima.reshape(len(sizes), self.number, self.rows)
        for row in range(self.rows):
            keys = mix(keys * MULTIPLIER + bands[:, :, row] + np.arange(1, self.number + 1, dtype=np.uint64))
        return keys


def _slices(sizes: Integers) -> Iterator[tuple[int, int, int, int]]:
    """Texts ``first`` to ``last`` with their n-grams ``start`` to ``end``, about `SLICE_GRAMS` at a time."""
    ends = np.cumsum(sizes)
    first = start = 0
    while first < len(sizes):
        last = max(first + 1, int(np.searchsorted(ends, start + SLICE_GRAMS, side="right")))
        end = int(ends[last - 1])
        yield first, last, start, end
        first, start = last, end
