"""A text as the set of its word n-grams: sorted hashes, the same in every process and in any order of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
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
    return gram_sets([text], ngram)[0]


def gram_sets(texts: Sequence[str], ngram: int) -> tuple[Hashes, Integers]:
    """The n-grams of many texts, one text after the other, and where each text begins; one more place at the end."""
    blocks, counts = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
    for hashes, sizes in gram_blocks(texts, ngram):
        blocks.append(hashes)
        counts.append(sizes)
    return np.concatenate(blocks), begins(np.concatenate(counts))


def gram_blocks(texts: Sequence[str], ngram: int) -> Iterator[tuple[Hashes, Integers]]:
    """As `gram_sets`, `BLOCK_TEXTS` at a time: the n-grams, and how many each text has."""
    for start in range(0, len(texts), BLOCK_TEXTS):
        rows = [words_of(text) for text in texts[start : start + BLOCK_TEXTS]]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        every_word = map(_word_hashes.__getitem__, chain.from_iterable(rows))
        ids = np.fromiter(every_word, np.uint64, int(lengths.sum()))
        keys = np.sort(_keys(ids, lengths, ngram))  # one sort: the text's place stands before the hash
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        yield keys & HASH, np.bincount((keys >> HASH_BITS).astype(np.int64), minlength=len(rows))


def begins(sizes: Integers) -> Integers:
    """Where each of parts of these sizes begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


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
    """So many of the first n-grams of a set of this size, of which two similar sets share at least one.

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
