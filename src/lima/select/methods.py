"""Ways to choose from a pool. Each sees places and figures alone, never where an example came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lima.curate.choose.embeddings import Vectors
from lima.curate.choose.spread import Places, best_and_apart, farthest_first, most_refused
from lima.select.settings import Method

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Marks:
    """The quality of a pool, of which a choice asks for as much as it needs."""

    all: Callable[[], Numbers]
    """The marks of every example; higher is better, NaN is unknown."""
    is_best: Callable[[int], bool] | None = None
    """Whether an example has the highest mark there is; None where no mark is known to be the highest."""


@dataclass(frozen=True)
class Figures:
    """What is known of each example of a pool; a figure that no chosen method needs is None."""

    lengths: npt.NDArray[np.int64]
    quality: Marks | None
    vectors: Vectors
    likeness: Numbers | None = None
    """Cosine to the nearest target."""
    difficulty: Numbers | None = None
    """IFD; -1 where the prompt is no help."""
    states: Vectors | None = None
    """The model's states of each example, unit rows."""
    target_states: Vectors | None = None
    """The model's states of each target, unit rows."""
    most_alike: float = 0.9


def choose(
    method: Method, figures: Figures, number: int, *, quotas: Sequence[tuple[Places, int]], seed: int
) -> list[int]:
    """``number`` places, in the order of choice.

    Args:
        method: the way.
        figures: of the whole pool.
        number: how many; fewer where the pool is smaller.
        quotas: places of a part of the pool, and how many come from it. A place that stands in several parts counts for
            the first. The rest comes from what is in no part.
        seed: draws ``random``, and breaks ties.
    """
    order = np.random.default_rng([seed, 9]).permutation(len(figures.lengths))
    left = np.ones(len(order), dtype=bool)
    chosen: list[int] = []
    for places, wanted in quotas:
        part = order[left[order] & np.isin(order, places)]
        chosen += _from(method, figures, part, wanted, chosen)
        left[places] = False
    rest = order[left[order]]
    return chosen + _from(method, figures, rest, number - len(chosen), chosen)


def _from(method: Method, figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    """At most ``number`` places of this part of the pool, whose order breaks ties."""
    if number <= 0 or not len(pool):
        return []
    found = WAYS[method](figures, pool, number, chosen)
    missing = number - len(found)  # whatever says the same as something chosen comes last
    return found + [int(place) for place in pool[~np.isin(pool, found)][:missing]]


def _random(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    return list(map(int, pool[:number]))


def _longest(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    return _best(figures.lengths.astype(np.float64), pool, number)


def _quality(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    assert figures.quality is not None
    found = _first_best(figures.quality, pool, number)
    return found if len(found) == number else _best(figures.quality.all(), pool, number)


def _first_best(quality: Marks, pool: Places, number: int) -> list[int]:
    """The first places with the highest mark, which are the best ones: most of a pool need not be marked for them."""
    found: list[int] = []
    if quality.is_best is None:
        return found
    for asked, place in enumerate(pool.tolist()):
        if len(found) == number or asked - len(found) > most_refused(len(pool)):
            break
        if quality.is_best(place):
            found.append(place)
    return found


def _ifd(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    assert figures.difficulty is not None
    return _best(figures.difficulty, pool, number)


def _likeness(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    assert figures.likeness is not None
    return _best(figures.likeness, pool, number)


def _diverse(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    return farthest_first(figures.vectors, pool, number, chosen=chosen)


def _quality_diverse(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    assert figures.quality is not None
    if figures.quality.is_best is not None:
        found = farthest_first(
            figures.vectors,
            pool,
            number,
            chosen=chosen,
            most_alike=figures.most_alike,
            accept=figures.quality.is_best,
        )
        if len(found) == number:  # all of the highest mark and apart from each other
            return found
    return best_and_apart(
        figures.vectors, figures.quality.all(), pool, number, chosen=chosen, most_alike=figures.most_alike
    )


def _rds(figures: Figures, pool: Places, number: int, chosen: list[int]) -> list[int]:
    """Round robin: each target in turn takes the most similar example that none has taken (arXiv 2503.01807)."""
    assert figures.states is not None
    assert figures.target_states is not None
    rows, wanted = figures.states[pool], min(number, len(pool))
    # Others take at most `wanted` of a target's favourites, so that no target looks further down than that.
    queues = [iter(_top(rows @ target, wanted)) for target in figures.target_states]
    found: dict[int, None] = {}
    while len(found) < wanted:
        for queue in queues:
            favourite = next((place for place in queue if place not in found), None)
            if favourite is not None and len(found) < wanted:
                found[favourite] = None
    return [int(pool[place]) for place in found]


def _top(marks: Vectors, number: int) -> list[int]:
    """Places of the highest marks, highest first; among equal ones the first."""
    best = np.argpartition(-marks, number - 1)[:number]
    best.sort()
    found: list[int] = best[np.argsort(-marks[best], kind="stable")].tolist()
    return found


def _best(marks: Numbers, pool: Places, number: int) -> list[int]:
    """The highest marks; among equal ones the first, so a random one. NaN comes last."""
    known = np.nan_to_num(marks[pool], nan=-np.inf)
    return [int(place) for place in pool[np.argsort(-known, kind="stable")[:number]]]


WAYS: dict[Method, Callable[[Figures, Places, int, list[int]], list[int]]] = {
    "random": _random,
    "longest": _longest,
    "quality": _quality,
    "diverse": _diverse,
    "quality-diverse": _quality_diverse,
    "ifd": _ifd,
    "likeness": _likeness,
    "rds": _rds,
}
