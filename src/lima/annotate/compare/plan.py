"""Who is to see what: the planned votes of a study, drawn once and kept in its database (LIMA, section 4.1).

A unit is one page to answer (a comparison, or a single answer to rate); a slot is one planned vote on it by a
rater of one group. `overlap` comparisons get slots in every group, so that agreement can be measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from lima.annotate import facts, tables
from lima.annotate.compare.texts import Texts, UnitTask
from lima.annotate.settings import RatingSettings
from lima.errors import LimaError
from lima.files import text_hash


@dataclass(frozen=True)
class Unit:
    """One page to answer, with the number of votes it gets from each group."""

    task: UnitTask
    text_id: str
    votes: dict[str, int]

    @property
    def shared(self) -> bool:
        """Whether several groups see it."""
        return len(self.votes) > 1


def make_plan(texts: Texts, settings: RatingSettings) -> list[Unit]:
    """The units in random order, comparisons before ratings.

    Raises:
        LimaError: nothing would be asked, or --rate-tags would spoil a planned sample.
    """
    sample = texts.plan.sample
    if sample and sample.items and settings.rate_tags:
        raise LimaError("plan.sample.items of protocol.yaml draws from all answers: leave --rate-tags out.")
    units = [*_comparisons(texts, settings), *_ratings(texts, settings)]
    if not units:
        raise LimaError("the plan is empty: --votes 0 and no overlap, or no item has one of --rate-tags.")
    return units


def slots_of(units: Sequence[Unit]) -> Iterator[tuple[int, str]]:
    """Position of the unit and group of each slot, in the order in which slots are given out.

    Every unit gets its first vote before any gets its second: a study that ends early has covered most.
    """
    rounds = max((votes for unit in units for votes in unit.votes.values()), default=0)
    for task in ("pairwise", "rate"):
        for number in range(rounds):
            for position, unit in enumerate(units):
                if unit.task == task:
                    yield from ((position, group) for group, votes in unit.votes.items() if votes > number)


def describe(units: Sequence[Unit]) -> list[list[object]]:
    """Rows for a table: units and votes by task and group."""
    pages: Counter[tuple[str, str]] = Counter()
    votes: Counter[tuple[str, str]] = Counter()
    for unit in units:
        for group, count in unit.votes.items():
            pages[unit.task, group] += 1
            votes[unit.task, group] += count
    return [[task, group, pages[task, group], votes[task, group]] for task, group in sorted(pages)]


def plan_fields(texts: Texts, settings: RatingSettings) -> dict[str, object]:
    """What the votes of a study depend on; it may not change once the study is under way."""
    asked = {"tasks", "rating_votes", "rate_items", "rate_tags", "seed"}
    planned = {"overlap", "overlap_votes", "votes", "groups"} | ({"sample"} if texts.plan.sample else set())
    fields = settings.model_dump(mode="json", include=asked)
    return fields | texts.plan.model_dump(mode="json", include=planned) | facts.of_pilot(texts.protocol)


def _comparisons(texts: Texts, settings: RatingSettings) -> list[Unit]:
    order = _shuffled(sorted(set(texts.comparisons) - texts.left_out), settings.seed, "comparisons")
    plan = texts.plan
    shared = set(_shuffled(order, settings.seed, "overlap")[: plan.overlap])
    everywhere: dict[str, int] = dict.fromkeys(plan.groups, plan.overlap_votes)
    rest: dict[str, int] = {plan.groups[0]: plan.votes} if plan.votes else {}
    units = [Unit("pairwise", text_id, everywhere if text_id in shared else rest) for text_id in order]
    return [unit for unit in units if unit.votes]


def _ratings(texts: Texts, settings: RatingSettings) -> list[Unit]:
    wanted, left_out = set(settings.rate_tags), texts.left_out
    chosen = [
        item.id
        for item in texts.items.values()
        if item.id not in left_out and (not wanted or wanted & set(item.tags))
    ]
    order = _shuffled(sorted(chosen), settings.seed, "items")[: settings.rate_items]
    return [Unit("rate", text_id, {texts.plan.groups[-1]: settings.rating_votes}) for text_id in order]


def _shuffled(ids: Sequence[str], seed: int, purpose: str) -> list[str]:
    generator = np.random.default_rng(int(text_hash(str(seed), purpose), 16))
    return [ids[i] for i in generator.permutation(len(ids))]


def store(connection: sa.Connection, units: Sequence[Unit]) -> None:
    """Put the planned votes into an empty database."""
    rows = [
        {"id": number, "task": unit.task, "text_id": unit.text_id, "shared": unit.shared}
        for number, unit in enumerate(units, start=1)
    ]
    connection.execute(sa.insert(tables.units), rows)
    slots = [
        {"unit_id": position + 1, "grp": group, "rank": rank, "lease_until": 0.0, "done": False}
        for rank, (position, group) in enumerate(slots_of(units))
    ]
    connection.execute(sa.insert(tables.slots), slots)
