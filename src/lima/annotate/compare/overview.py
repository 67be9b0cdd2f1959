"""The lead's figures: progress, raters with warnings, agreement so far. Nothing here knows a system's name."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lima.annotate.compare.presentations import ANSWERED, GOLD, REPEAT
from lima.annotate.compare.texts import Texts
from lima.annotate.database import Database
from lima.annotate.people import NOT_COUNTED
from lima.annotate.tables import presentations, raters, slots, units
from lima.records import Comparison, Side

if TYPE_CHECKING:  # it brings scipy, which a rater's pages do not need
    from lima.statistics.agreement import Rated

FEWEST_FOR_WARNING = 20
"""Below so many answers nothing is said of a rater's side or speed."""
FAST_SHARE = 1 / 3
"""A rater whose median time is under this share of all raters' median is marked as fast."""
BOOTSTRAP_ROUNDS = 2_000


@dataclass(frozen=True)
class GroupProgress:
    """Planned votes of one group on one task."""

    task: str
    group: str
    done: int
    leased: int
    planned: int


@dataclass(frozen=True)
class RaterFigures:
    """What a lead should look at in one rater's answers."""

    answered: int
    surplus: int
    seconds: float | None
    """Median time of an answer."""
    first: str
    """Share of decided comparisons that went to the answer shown first, with its interval."""
    checks: str
    """Repeated comparisons answered as the first time, of those asked."""
    gold: str
    """Known answers given, of those asked."""
    warnings: tuple[str, ...]


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


def rater_figures(base: Database, known: Mapping[str, Side]) -> dict[int, RaterFigures]:
    """The raters who have answered, by id; ``known`` holds the answers of the gold checks."""
    by_rater: dict[int, list[Any]] = defaultdict(list)
    query = sa.select(presentations, units.c.task, units.c.text_id).join(
        units, units.c.id == presentations.c.unit_id
    )
    with base.read() as connection:
        for row in connection.execute(query.where(presentations.c.state.in_(ANSWERED))):
            by_rater[row.rater_id].append(row)
    medians = [found for rows in by_rater.values() if (found := _median_seconds(rows)) is not None]
    usual = statistics.median(medians) if medians else None
    return {rater_id: _figures(rows, usual, known) for rater_id, rows in by_rater.items()}


def agreement(base: Database, texts: Texts) -> list[AgreementRow]:
    """Agreement within and between groups on the comparisons that several raters answered."""
    from lima.statistics.agreement import Rated

    groups: dict[str, list[Rated]] = defaultdict(list)
    with base.read() as connection:
        for row in connection.execute(_counted_votes()):
            prompt = texts.prompt_of(row.text_id)
            groups[row.grp].append(Rated(row.text_id, prompt, row.name, row.answer["pairwise"]))
    return agreement_rows(groups)


def agreement_rows(groups: Mapping[str, Sequence[Rated]]) -> list[AgreementRow]:
    """Votes by group -> agreement within and between the groups, as text."""
    from lima.statistics.agreement import agreement_matrix
    from lima.statistics.bootstrap import Resampling

    matrix = agreement_matrix(groups, resampling=Resampling(rounds=BOOTSTRAP_ROUNDS))
    return [
        AgreementRow(
            f"{found.first} – {found.second}",
            found.items,
            found.pairs,
            percent(found.accuracy),
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
        for row in connection.execute(_counted_votes()):
            votes[row.text_id].append((row.name, row.answer["pairwise"]))
    opposed = {
        text_id: found for text_id, found in votes.items() if {"a", "b"} <= {label for _, label in found}
    }
    order = sorted(opposed, key=lambda text_id: (-len(opposed[text_id]), text_id))
    return [Disagreement(texts.comparisons[text_id], tuple(sorted(opposed[text_id]))) for text_id in order]


def _counted_votes() -> sa.Select[Any]:
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


def _median_seconds(rows: Sequence[Any]) -> float | None:
    """Answers that were imported may have no time."""
    known = [float(row.seconds) for row in rows if row.seconds is not None]
    return statistics.median(known) if known else None


def _figures(rows: Sequence[Any], usual: float | None, known: Mapping[str, Side]) -> RaterFigures:
    votes = [row for row in rows if not row.repeat]
    seconds = _median_seconds(votes)
    first, side_warning = _side(votes)
    slow_enough = seconds is None or usual is None or seconds >= FAST_SHARE * usual
    warnings = [side_warning] if side_warning else []
    if not slow_enough and len(votes) >= FEWEST_FOR_WARNING:
        warnings.append("much faster than the others")
    surplus = sum(row.state == "surplus" for row in votes)
    checks, gold = _checks(rows), _gold(rows, known)
    return RaterFigures(len(votes), surplus, seconds, first, checks, gold, tuple(warnings))


def _side(votes: Sequence[Any]) -> tuple[str, str]:
    """Share of decided votes for the answer shown first, and a warning when its interval leaves out one half."""
    from lima.statistics.intervals import wilson

    decided = [row for row in votes if row.task == "pairwise" and row.answer["pairwise"] != "tie"]
    if not decided:
        return "", ""
    found = wilson(sum(row.answer["pairwise"] == row.shown[0] for row in decided), len(decided), level=0.99)
    low, high = getattr(found, "low", 0.0), getattr(found, "high", 1.0)
    leaning = len(decided) >= FEWEST_FOR_WARNING and not low <= 0.5 <= high
    return percent(found), "leans to one side" if leaning else ""


def _checks(rows: Sequence[Any]) -> str:
    before = {row.unit_id: row.answer for row in rows if not row.repeat}
    again = [row for row in rows if row.repeat == REPEAT]
    same = sum(row.answer == before.get(row.unit_id) for row in again)
    return f"{same} of {len(again)}" if again else ""


def _gold(rows: Sequence[Any], known: Mapping[str, Side]) -> str:
    asked = [row for row in rows if row.repeat == GOLD and row.text_id in known]
    right = sum(row.answer["pairwise"] == known[row.text_id] for row in asked)
    return f"{right} of {len(asked)}" if asked else ""
