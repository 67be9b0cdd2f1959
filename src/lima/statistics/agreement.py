"""How far raters agree: the paper's tie-discounted accuracy, its chance level, and a matrix of rater groups.

LIMA, section 4: crowd, authors and GPT-4 over the same 50 comparisons. The chance-corrected coefficients
are in `lima.statistics.reliability`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement, product

import numpy as np

from lima.records import Label
from lima.statistics.bootstrap import STANDARD, Resampling, bootstrap, ratio
from lima.statistics.estimates import Estimate, Result, Undefined
from lima.statistics.intervals import wilson

LABELS: tuple[Label, ...] = ("a", "b", "tie")
WINS: dict[Label, float] = {"a": 1.0, "b": 0.0, "tie": 0.5}


def tie_discounted_accuracy(first: Sequence[Label], second: Sequence[Label]) -> float:
    """Agreement of two raters over the same comparisons, in [0, 1] (LIMA, section 4).

    Equal labels score 1, a tie against a side 1/2, opposite sides 0.

    Raises:
        ValueError: no comparison, or sequences of different length.

    >>> tie_discounted_accuracy(["a", "b", "tie", "a"], ["a", "a", "a", "tie"])
    0.5
    """
    if not first:
        raise ValueError("tie_discounted_accuracy needs at least one comparison")
    return sum(_credit(x, y) for x, y in zip(first, second, strict=True)) / len(first)


@dataclass(frozen=True)
class Rated:
    """One rater's verdict on one item; ``cluster`` is the item's prompt."""

    item: Hashable
    cluster: Hashable
    rater: str
    label: Label
    steady: bool = True
    """Whether it is more than two orders that disagreed, which count as a tie."""
    credit: float | None = None
    """The part of the win that one of the two answers gets, the same one in all verdicts on an item. None: as the label says
    of answer a."""

    @property
    def win(self) -> float:
        """The credit, given or of the label."""
        return WINS[self.label] if self.credit is None else self.credit


@dataclass(frozen=True)
class Agreement:
    """Agreement of two groups of raters over the items that both have rated."""

    first: str
    second: str
    items: int
    pairs: int
    """Pairs of verdicts, one from each group (of two different raters)."""
    accuracy: Result
    """Tie-discounted accuracy; every item weighs the same, however many raters it had. Of graded verdicts, 1 minus the
    distance of their credits, which is the same for labels."""
    strict: Result
    """Share of equal labels, weighed in the same way."""
    steady: Result
    """Tie-discounted accuracy over the verdicts that are not made of two orders that disagreed."""
    chance: float | None
    """Tie-discounted accuracy expected from the two groups' label shares alone; None without pairs."""


def agreement_matrix(
    groups: Mapping[str, Sequence[Rated]], *, resampling: Resampling = STANDARD
) -> list[Agreement]:
    """Agreement of every two groups, and within each group between its different raters."""
    pairs = combinations_with_replacement(groups, 2)
    return [group_agreement(groups, x, y, resampling=resampling) for x, y in pairs]


def group_agreement(
    groups: Mapping[str, Sequence[Rated]],
    first: str,
    second: str,
    *,
    resampling: Resampling = STANDARD,
) -> Agreement:
    """Agreement of two groups, or within one when ``first == second``, with a bootstrap by prompt."""
    table = _pairs_by_item(groups[first], groups[second], same=first == second)
    pairs = [pair for found in table.values() for pair in found]
    left, right = ([row for row in groups[name] if row.steady] for name in (first, second))
    steady = _pairs_by_item(left, right, same=first == second)
    return Agreement(
        first=first,
        second=second,
        items=len(table),
        pairs=len(pairs),
        accuracy=_mean_credit(table, strict=False, resampling=resampling),
        strict=_mean_credit(table, strict=True, resampling=resampling),
        steady=_mean_credit(steady, strict=False, resampling=resampling),
        chance=_chance(pairs, symmetric=first == second) if pairs else None,
    )


Pair = tuple[Rated, Rated]
PairTable = dict[tuple[Hashable, Hashable], list[Pair]]
"""Pairs of verdicts by (cluster, item)."""


def _pairs_by_item(first: Sequence[Rated], second: Sequence[Rated], *, same: bool) -> PairTable:
    left, right = _by_item(first), _by_item(second)
    table: PairTable = {}
    for place in left:
        candidates = combinations(left[place], 2) if same else product(left[place], right.get(place, []))
        pairs = [(x, y) for x, y in candidates if x.rater != y.rater]
        if pairs:
            table[place] = pairs
    return table


def _by_item(rows: Iterable[Rated]) -> dict[tuple[Hashable, Hashable], list[Rated]]:
    table: dict[tuple[Hashable, Hashable], list[Rated]] = defaultdict(list)
    for row in rows:
        table[row.cluster, row.item].append(row)
    return table


def _mean_credit(table: PairTable, *, strict: bool, resampling: Resampling) -> Result:
    """Mean over items of the mean credit of their pairs.

    Where all items score 0, or all 1, resampling sees no spread; Wilson's interval over prompts stands
    in, wider than need be: no score in [0, 1] varies more than a coin with the same mean.
    """
    totals: dict[Hashable, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (cluster, _), pairs in table.items():
        credits = [float(x.label == y.label) if strict else 1 - abs(x.win - y.win) for x, y in pairs]
        totals[cluster][0] += sum(credits) / len(credits)
        totals[cluster][1] += 1
    if not totals:
        return Undefined("no item was rated by both", 0, "BCa bootstrap by cluster")
    sums = np.array(list(totals.values()))
    value = sums[:, 0].sum() / sums[:, 1].sum()
    if value in (0.0, 1.0):
        stand_in = wilson(round(value * len(sums)), len(sums), level=resampling.level)
        assert isinstance(stand_in, Estimate)
        return Estimate(
            float(value),
            stand_in.low,
            stand_in.high,
            resampling.level,
            len(table),
            len(sums),
            "Wilson, by cluster",
        )
    return bootstrap(sums, ratio, n=len(table), resampling=resampling)


def _chance(pairs: Sequence[Pair], *, symmetric: bool) -> float:
    """Accuracy of two independent raters with these shares of labels."""
    first, second = Counter(x.win for x, _ in pairs), Counter(y.win for _, y in pairs)
    if symmetric:  # which of two raters of one group comes first has no meaning
        first = second = first + second
    apart = sum(m * n * abs(x - y) for (x, m), (y, n) in product(first.items(), second.items()))
    return 1 - apart / (first.total() * second.total())


def _credit(first: Label, second: Label) -> float:
    if first == second:
        return 1.0
    return 0.5 if "tie" in (first, second) else 0.0
