"""MinHash with bands: texts that are probably similar, for collections too big to compare exactly.

Two sets have the same smallest value under a random order with probability J, their Jaccard similarity (Broder, 1997).
Of each text `rows` such values make a band; texts with an equal band are candidates, which an exact comparison decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lima.curate.choose.grams import HASH_BITS, MULTIPLIER, Hashes, Integers, mix

MISSED = 0.004
"""The share of pairs right at the threshold that no band finds; of more similar ones it is less."""
SLICE_GRAMS = 1 << 16
"""n-grams that are looked at together, so that they stay in the cache."""


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
