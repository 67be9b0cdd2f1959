"""A study's own criteria, and how strong preferences are: what raters were asked beside the verdict (``protocol.yaml``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lima.report.numbers.preferences import PairResult, pair_results
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import collect_votes, group_of, group_order, pair_of
from lima.statistics.estimates import Result
from lima.statistics.intervals import share


@dataclass(frozen=True)
class CriterionResult:
    """A pair's result by one criterion; its tests are exploratory."""

    criterion: str
    pair: PairResult


@dataclass(frozen=True)
class StrengthResult:
    """How often a group of raters calls the answer that it prefers clearly better, not slightly."""

    group: str
    system: str
    """The preferred one."""
    over: str
    clear: Result
    """``n`` counts verdicts for the system that say how strong they are."""


def criterion_results(study: StudyData, systems: Sequence[str], level: float) -> list[CriterionResult]:
    """By criterion, pair and group of raters."""
    names = sorted({name for row in study.preferences for name in row.criteria})
    found = []
    for name in names:
        rows = [
            row.model_copy(update={"label": row.criteria.get(name), "credit": None})
            for row in study.preferences
            if row.criteria
        ]
        votes = collect_votes(replace(study, preferences=rows), systems)
        found += [CriterionResult(name, pair) for pair in pair_results(votes, level)]
    return found


def strength_results(study: StudyData, systems: Sequence[str], level: float) -> list[StrengthResult]:
    """By group of raters, preferred system and the other one."""
    rank = {system: position for position, system in enumerate(systems)}
    clear: dict[tuple[str, str, str], list[tuple[bool, str]]] = defaultdict(list)
    for row in study.preferences:
        if row.strength is not None and row.label in ("a", "b"):
            key = study.keys[row.comparison_id]
            pair = pair_of(key, rank)
            chosen = key.a if row.label == "a" else key.b
            assert chosen is not None, key
            other = pair[1] if chosen.system == pair[0] else pair[0]
            clear[group_of(row.rater), chosen.system, other].append((row.strength == "clear", key.prompt_id))
    return [
        StrengthResult(
            *place, share([hit for hit, _ in clear[place]], [p for _, p in clear[place]], level=level)
        )
        for place in sorted(clear, key=lambda place: (group_order(place[0]), place[1:]))
    ]
