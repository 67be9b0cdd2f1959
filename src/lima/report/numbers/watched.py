"""A study that may be watched: its sequences, and the findings that hold whenever one stops.

Where the plan declares it, the sequence's interval and p value stand in the place of those that assume one look, so that
sentence, figure and colour say what may be said of a study that stopped when it was decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lima.evaluate.watch import in_order, watched_pairs, why_not_watched
from lima.records import Preference
from lima.report.numbers.preferences import PairResult
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import POOLED_KINDS, group_of, group_order, raters_with_both_orders
from lima.statistics.estimates import Result, Significance, Undefined
from lima.statistics.preferences import agreeing
from lima.statistics.sequences import METHOD

P_METHOD = "betting e-process, valid at any stopping time"


@dataclass(frozen=True)
class WatchedRow:
    """One pair of systems as one group of raters was watched."""

    group: str
    system: str
    baseline: str
    gap: Result
    """Win - loss, its level shared among all pairs (Bonferroni)."""
    test: Significance | Undefined
    decided_at: int | None
    """Prompts after which it was decided; None: not decided."""
    planned: int
    """Prompts on which the two systems can be compared."""
    saved: int
    """Prompts that were not asked, where it is decided."""
    price: float | None
    """How many times as wide the interval of ``gap`` is as one that nobody watched: a ratio of widths at its n and level."""


def watched_rows(study: StudyData, systems: Sequence[str]) -> list[WatchedRow]:
    """A row a group of raters and pair; none where the plan does not declare it."""
    plan = study.plan
    if plan is None or not plan.watched:
        return []
    groups: dict[str, list[Preference]] = defaultdict(list)
    for row in study.preferences:
        groups[group_of(row.rater)].append(row)
    both = raters_with_both_orders(study)
    keys = {name: study.keys[name] for name in study.comparisons}
    found = []
    for group in sorted(groups, key=group_order):
        raters = {row.rater for row in groups[group]}
        reason = why_not_watched(plan, [study.raters[name] for name in raters if name in study.raters])
        reason = reason or (
            "" if raters <= study.raters.keys() else "not all of its raters are in raters.jsonl"
        )
        people = group in POOLED_KINDS
        labels = [] if reason else in_order(groups[group], both=bool(raters & both), by_time=people)
        pairs = watched_pairs(labels, keys, systems, alpha=plan.alpha)
        for pair in pairs:
            seen = pair.watched
            gap = Undefined(reason, len(groups[group]), METHOD) if reason else seen.gap
            p = Significance(seen.p, 0.0, gap.n, P_METHOD, adjusted=min(1.0, seen.p * len(pairs)))
            test = Undefined(reason, gap.n, P_METHOD) if reason else p
            saved = pair.planned - gap.n if seen.decided_at else 0
            found.append(
                WatchedRow(
                    group=group,
                    system=pair.system,
                    baseline=pair.baseline,
                    gap=agreeing(gap, test, plan.alpha),
                    test=test,
                    decided_at=seen.decided_at,
                    planned=pair.planned,
                    saved=saved,
                    price=seen.price,
                )
            )
    return found


def as_watched(pairs: Sequence[PairResult], rows: Sequence[WatchedRow]) -> list[PairResult]:
    """The pairs with the interval and the p value of their sequences, where they have one."""
    places = {(row.group, row.system, row.baseline): row for row in rows}
    found = []
    for pair in pairs:
        row = places.get((pair.group, pair.system, pair.baseline))
        if row is None or isinstance(row.gap, Undefined):
            found.append(pair)
            continue
        found.append(replace(pair, gap=row.gap, result=replace(pair.result, sign_flip=row.test)))
    return found
