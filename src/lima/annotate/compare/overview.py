"""The lead's figures: progress, agreement so far, disagreements. Nothing here knows a system's name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lima.annotate.compare.texts import Texts
from lima.annotate.database import Database
from lima.annotate.languages import Said
from lima.annotate.people import NOT_COUNTED
from lima.annotate.tables import presentations, raters, slots, units
from lima.records import Comparison

if TYPE_CHECKING:  # it brings scipy, which a rater's pages do not need
    from lima.statistics.agreement import Rated

BOOTSTRAP_ROUNDS, BOOTSTRAP_CELLS = 2_000, 2_000_000
"""Fewer rounds on many comparisons, where the interval is narrow: rounds times comparisons, but 200 rounds at least."""


@dataclass(frozen=True)
class GroupProgress:
    """Planned votes of one group on one task."""

    task: str
    group: str
    done: int
    leased: int
    planned: int


@dataclass(frozen=True)
class AgreementRow:
    """Tie-discounted accuracy between two groups, as text."""

    groups: str
    items: int
    pairs: int
    accuracy: str
    chance: str


def group_progress(base: Database, now: float) -> list[GroupProgress]:
    """Done, open and planned votes by task and group."""
    leased = ~slots.c.done & slots.c.showing_id.is_not(None) & (slots.c.lease_until >= now)
    query = (
        sa.select(
            units.c.task,
            slots.c.grp,
            sa.func.sum(sa.case((slots.c.done, 1), else_=0)).label("done"),
            sa.func.sum(sa.case((leased, 1), else_=0)).label("leased"),
            sa.func.count().label("planned"),
        )
        .join(units, units.c.id == slots.c.unit_id)
        .group_by(units.c.task, slots.c.grp)
        .order_by(units.c.task, slots.c.grp)
    )
    with base.read() as connection:
        return [GroupProgress(*row) for row in connection.execute(query)]


def agreement(base: Database, texts: Texts) -> list[AgreementRow]:
    """Agreement within and between groups on the comparisons that several raters answered."""
    from lima.statistics.agreement import Rated

    groups: dict[str, list[Rated]] = defaultdict(list)
    prompts: dict[str, str] = {}
    with base.read() as connection:
        for row in connection.execute(counted_votes()):
            if row.text_id not in prompts:
                prompts[row.text_id] = texts.prompt_of(row.text_id)
            rated = Rated(row.text_id, prompts[row.text_id], row.name, row.answer["pairwise"])
            groups[row.grp].append(rated)
    return agreement_rows(groups)


def agreement_rows(groups: Mapping[str, Sequence[Rated]]) -> list[AgreementRow]:
    """Votes by group -> agreement within and between the groups, as text."""
    from lima.statistics.agreement import agreement_matrix
    from lima.statistics.bootstrap import Resampling

    votes = sum(map(len, groups.values()))
    rounds = max(200, min(BOOTSTRAP_ROUNDS, BOOTSTRAP_CELLS // max(1, votes)))
    matrix = agreement_matrix(groups, resampling=Resampling(rounds=rounds))
    return [
        AgreementRow(
            f"{found.first} – {found.second}",
            found.items,
            found.pairs,
            percent(found.accuracy) if found.items else Said("nothing in common yet"),
            "" if found.chance is None else f"{100 * found.chance:.0f} %",
        )
        for found in matrix
    ]


@dataclass(frozen=True)
class Disagreement:
    """A comparison on which raters chose opposite sides."""

    comparison: Comparison
    votes: tuple[tuple[str, str], ...]
    """Rater and label, in the frame of comparisons.jsonl."""


def disagreements(base: Database, texts: Texts) -> list[Disagreement]:
    """Comparisons with votes for both sides, those with most votes first: what a lead should read."""
    votes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with base.read() as connection:
        for row in connection.execute(counted_votes()):
            votes[row.text_id].append((row.name, row.answer["pairwise"]))
    opposed = {
        text_id: found for text_id, found in votes.items() if {"a", "b"} <= {label for _, label in found}
    }
    order = sorted(opposed, key=lambda text_id: (-len(opposed[text_id]), text_id))
    return [Disagreement(texts.comparisons[text_id], tuple(sorted(opposed[text_id]))) for text_id in order]


def counted_votes() -> sa.Select[Any]:
    """The comparisons that are exported, in the order in which they were opened."""
    return (
        sa.select(presentations.c.answer, raters.c.name, raters.c.grp, units.c.text_id)
        .join(slots, slots.c.showing_id == presentations.c.id)
        .join(units, units.c.id == presentations.c.unit_id)
        .join(raters, raters.c.id == presentations.c.rater_id)
        .where(slots.c.done, units.c.task == "pairwise", raters.c.state.not_in(NOT_COUNTED))
        .order_by(presentations.c.id)
    )


def percent(result: Any) -> str:
    """A share as text, with its interval: ``82 % [74, 89]``; where there is none, why."""
    from lima.statistics.estimates import Undefined

    if isinstance(result, Undefined):
        return str(result)
    value = f"{100 * result.value:.0f} %"
    return value if result.low is None else f"{value} [{100 * result.low:.0f}, {100 * result.high:.0f}]"
