"""What a rater follows besides quality: the side an answer is shown on, its length, lists (PROTOCOL: what later work adds).

Input is raw verdicts, one a showing, before the two orders are combined.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from lima.records import Label, Shown
from lima.statistics.estimates import Result, Undefined
from lima.statistics.intervals import share


@dataclass(frozen=True)
class Showing:
    """One raw verdict: how the comparison was shown, what was said, how long the answers are."""

    item: Hashable
    cluster: Hashable
    shown: Shown | None
    """None: not known, so that it says nothing about sides."""
    label: Label
    repeat: int = 0
    length_a: int = 0
    length_b: int = 0
    list_a: bool = False
    """Whether the answer holds a list."""
    list_b: bool = False

    @property
    def first_won(self) -> bool:
        """Whether the side shown first was preferred."""
        assert self.shown is not None, self
        return self.label == self.shown[0]


@dataclass(frozen=True)
class Bias:
    """Shares that are 1/2 (side) or 0 (flip) for a rater who reads the answers alone."""

    side: Result
    """Decided verdicts (no tie) of a known order that went to the answer shown first."""
    flip: Result
    """Items judged in both orders whose winner changed with the order."""
    inconsistent: Result
    """The same items with any change, ties included."""
    longer: Result
    """Decided verdicts between answers of different length that went to the longer one."""
    listed: Result
    """Decided verdicts between an answer with a list and one without that went to the list."""
    follows_first: int
    """Flipped items in which both orders preferred the answer shown first."""
    follows_second: int


def bias(showings: Sequence[Showing], *, level: float = 0.95) -> Bias:
    """Side, flip and length figures of one rater or group, clustered by prompt."""
    decided = [s for s in showings if s.label != "tie"]
    ordered = [s for s in decided if s.shown is not None]
    unequal = [s for s in decided if s.length_a != s.length_b]
    mixed = [s for s in decided if s.list_a != s.list_b]
    both = _both_orders(showings)
    clusters = [ab.cluster for ab, _ in both]
    flipped = [_flipped(ab, ba) for ab, ba in both]
    return Bias(
        side=_side(showings, ordered, level),
        flip=share(flipped, clusters, level=level),
        inconsistent=share([ab.label != ba.label for ab, ba in both], clusters, level=level),
        longer=share([_longer_won(s) for s in unequal], [s.cluster for s in unequal], level=level),
        listed=share([_list_won(s) for s in mixed], [s.cluster for s in mixed], level=level),
        follows_first=sum(f and ab.first_won for f, (ab, _) in zip(flipped, both, strict=True)),
        follows_second=sum(f and not ab.first_won for f, (ab, _) in zip(flipped, both, strict=True)),
    )


def _side(showings: Sequence[Showing], ordered: Sequence[Showing], level: float) -> Result:
    if showings and all(showing.shown is None for showing in showings):
        return Undefined("the order in which the answers were shown is not known", 0, "share")
    return share([s.first_won for s in ordered], [s.cluster for s in ordered], level=level)


def _both_orders(showings: Sequence[Showing]) -> list[tuple[Showing, Showing]]:
    found: dict[tuple[Hashable, int], dict[Shown, Showing]] = defaultdict(dict)
    for showing in showings:
        if showing.shown is not None:
            found[showing.item, showing.repeat][showing.shown] = showing
    return [(orders["ab"], orders["ba"]) for orders in found.values() if len(orders) == 2]


def _flipped(ab: Showing, ba: Showing) -> bool:
    return "tie" not in (ab.label, ba.label) and ab.label != ba.label


def _list_won(showing: Showing) -> bool:
    return showing.list_a if showing.label == "a" else showing.list_b


def _longer_won(showing: Showing) -> bool:
    return (showing.length_a > showing.length_b) == (showing.label == "a")
