"""Two studies with shared prompts, item by item: is the system under test better here than the one there?

Both systems met the same baseline, or were rated on the same scale, by the same raters. Prompts that both studies
hold are paired, so that what is hard about a prompt cancels out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lima.report.numbers.ratings import Rating
from lima.report.numbers.votes import Vote, group_order
from lima.statistics.estimates import Result
from lima.statistics.intervals import clustered_mean

Scores = Mapping[tuple[str, str], Mapping[str, float]]
"""Mean score by (group, measure) and prompt."""


@dataclass(frozen=True)
class StudySide:
    """The votes and ratings of one study, and its system under test."""

    name: str
    system: str
    votes: Sequence[Vote]
    ratings: Sequence[Rating]


@dataclass(frozen=True)
class Difference:
    """One measure of one group of raters, here minus there, over the shared prompts."""

    group: str
    measure: str
    """``win + tie/2 against <baseline>`` (a share) or ``helpfulness``."""
    here: float
    there: float
    difference: Result
    better: int
    """Shared prompts on which the system here did better."""
    equal: int
    worse: int


def differences(here: StudySide, there: StudySide, level: float) -> list[Difference]:
    """Every measure that both studies have, for the groups of raters that both have."""
    left, right = _scores(here), _scores(there)
    order = sorted(left, key=lambda place: (group_order(place[0]), place[1]))
    found = []
    for place in order:
        shared = sorted(set(left[place]) & set(right.get(place, {})))
        if shared:
            pairs = [(left[place][prompt], right[place][prompt]) for prompt in shared]
            found.append(_difference(place, shared, pairs, level))
    return found


def _difference(
    place: tuple[str, str], prompts: Sequence[str], pairs: Sequence[tuple[float, float]], level: float
) -> Difference:
    gaps = [x - y for x, y in pairs]
    return Difference(
        group=place[0],
        measure=place[1],
        here=sum(x for x, _ in pairs) / len(pairs),
        there=sum(y for _, y in pairs) / len(pairs),
        difference=clustered_mean(gaps, prompts, level=level),
        better=sum(gap > 0 for gap in gaps),
        equal=sum(gap == 0 for gap in gaps),
        worse=sum(gap < 0 for gap in gaps),
    )


def _scores(side: StudySide) -> Scores:
    table: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for vote in side.votes:
        if vote.credit is not None and vote.system == side.system:
            measure = f"win + tie/2 against {vote.baseline}"
            table[vote.group, measure][vote.prompt].append(vote.credit)
    for rating in side.ratings:
        if rating.scale == "helpfulness" and rating.value is not None and rating.system == side.system:
            table[rating.group, "helpfulness"][rating.prompt].append(float(rating.value))
    return {
        place: {prompt: sum(values) / len(values) for prompt, values in prompts.items()}
        for place, prompts in table.items()
    }
