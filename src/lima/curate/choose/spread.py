"""Choices that cover a pool: greedy k-center, alone and in the order of a quality (DEITA, arXiv 2312.15685).

Similarity is the cosine of unit rows. A choice goes on from what is chosen already, so that quotas and several calls do
not take the same thing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from lima import console
from lima.curate.choose.embeddings import Vectors

Places = npt.NDArray[np.int64]
Quality = npt.NDArray[np.float64]

BLOCK = 65_536
"""Rows that are compared with a choice at once."""
REFUSED_AT_LEAST, REFUSED_SHARE = 20_000, 0.1
"""After this many refused candidates, or this share of the pool if that is more, a choice stops: asking on would soon cost as much as
marking the whole pool. What lies far from everything breaks rules more often than the rest: of a million examples over 20,000 were
refused before 1,000 were found."""
SLOW = 100_000_000
"""Comparisons that take some seconds."""


def most_refused(size: int) -> int:
    """After how many refusals a choice from a pool of this size stops.

    >>> most_refused(5_000), most_refused(1_000_000)
    (20000, 100000)
    """
    return max(REFUSED_AT_LEAST, int(REFUSED_SHARE * size))


def farthest_first(
    vectors: Vectors,
    pool: Places,
    number: int,
    *,
    chosen: Sequence[int] = (),
    most_alike: float = 1.0,
    accept: Callable[[int], bool] | None = None,
) -> list[int]:
    """Greedy k-center: always the one whose nearest chosen one is the farthest (Gonzalez, 1985: within twice the best radius).

    Args:
        vectors: unit rows, shape (n, d).
        pool: places of the candidates; the first is the first choice where nothing is chosen.
        number: how many to choose.
        chosen: places that count as chosen before.
        most_alike: stop where every candidate left is at least this similar to a chosen one.
        accept: whether a place may be chosen, asked when it is its turn: the choice is that of the accepted part of the pool, of
            which only few need be known. Stops after `MOST_REFUSED`.

    Returns:
        At most ``number`` places, in the order of choice. Time O(number x n x d).
    """
    rows = vectors[pool]
    nearest = nearest_similarity(rows, vectors[np.asarray(chosen, dtype=np.int64)])
    found: list[int] = []
    refused = 0
    with _progress(number, number * len(pool)) as advance:
        while len(found) < min(number, len(pool)) and refused <= most_refused(len(pool)):
            place = int(np.argmin(nearest))  # of equal ones the first
            if nearest[place] >= most_alike:
                break
            if accept is not None and not accept(int(pool[place])):
                nearest[place] = np.inf
                refused += 1
                continue
            found.append(int(pool[place]))
            np.maximum(nearest, rows @ rows[place], out=nearest)
            nearest[place] = np.inf
            advance(1)
    return found


def best_and_apart(
    vectors: Vectors,
    quality: Quality,
    pool: Places,
    number: int,
    *,
    chosen: Sequence[int] = (),
    most_alike: float = 0.9,
) -> list[int]:
    """Best first, each one only if no chosen one is as similar as ``most_alike``: DEITA's filter.

    Candidates of equal quality are taken farthest first, so that a quality of few steps (kept or broke a rule) spreads
    too. Where too few are apart, the rest is filled up with the best of what was left out.

    Args:
        vectors: unit rows, shape (n, d).
        quality: of every row; higher is better. NaN counts as the lowest.
        pool: places of the candidates, in the order in which ties are broken.
        number: how many to choose.
        chosen: places that count as chosen before.
        most_alike: cosine from which two examples say the same.
    """
    marks = np.nan_to_num(quality[pool], nan=-np.inf)
    order = pool[np.argsort(-marks, kind="stable")]
    found: list[int] = []
    for level in _levels(order, np.nan_to_num(quality[order], nan=-np.inf)):
        if len(found) == number:
            break
        found += farthest_first(
            vectors, level, number - len(found), chosen=[*chosen, *found], most_alike=most_alike
        )
    left = [int(place) for place in order[~np.isin(order, found)]]
    return found + left[: number - len(found)]


@contextmanager
def _progress(number: int, comparisons: int) -> Iterator[Callable[[float], None]]:
    """Shown where it takes seconds: a quality of many steps chooses level by level."""
    if comparisons < SLOW:
        yield lambda _: None
        return
    with console.progress("choosing what is far apart", number, "examples") as bar:
        yield bar.advance


def nearest_similarity(rows: Vectors, chosen: Vectors) -> Vectors:
    """Of every row the cosine to its nearest chosen one, shape (n,); -2, below any cosine, where nothing is chosen."""
    found = np.full(len(rows), -2.0, dtype=np.float32)
    if len(chosen):
        for start in range(0, len(rows), BLOCK):
            found[start : start + BLOCK] = (rows[start : start + BLOCK] @ chosen.T).max(axis=1)
    return found


def _levels(order: Places, marks: Quality) -> list[Places]:
    """The places of each quality, best first. Distinct qualities would make a level each: they go in blocks of one."""
    ends = np.flatnonzero(np.diff(marks)) + 1
    return np.split(order, ends)
