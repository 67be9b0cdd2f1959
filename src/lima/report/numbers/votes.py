"""Joins verdicts with the key: who preferred which system, one row a rater, comparison and repeat.

The two orders of one rater are combined here. Raters are gathered in groups: all of the crowd, all authors,
and each judge or oracle by itself, since judges with different settings are different raters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lima.records import Key, Label, Preference
from lima.report.numbers.study import StudyData
from lima.statistics.preferences import CREDITS, CombinedVerdict, Outcome, combine_orders

POOLED_KINDS = ("crowd", "author")


@dataclass(frozen=True)
class Vote:
    """What one rater says of one comparison, with the names behind it."""

    comparison: str
    prompt: str
    group: str
    rater: str
    repeat: int
    label: Label | None
    """In the frame of ``comparisons.jsonl``; None: missing."""
    consistent: bool | None
    system: str
    baseline: str
    outcome: Outcome | None
    """Seen from ``system``."""
    credit: float | None
    """The part of the win that ``system`` gets, in [0, 1]: of the verdict's own grading, else of the outcome."""
    tags: tuple[str, ...]
    longer_by: int
    """Characters of the system's answer minus those of the baseline's."""


def group_of(rater: str) -> str:
    """The group a rater is counted in.

    >>> group_of("crowd:03"), group_of("judge:m@1f")
    ('crowd', 'judge:m@1f')
    """
    kind = rater.partition(":")[0]
    return kind if kind in POOLED_KINDS else rater


def short_names(groups: Iterable[str]) -> dict[str, str]:
    """Names of groups for running text; the hash of a judge's settings is kept where two would be alike.

    >>> short_names(["crowd", "judge:m@1f", "judge:n@2a", "judge:n@3b"])
    {'crowd': 'crowd', 'judge:m@1f': 'judge m', 'judge:n@2a': 'judge n@2a', 'judge:n@3b': 'judge n@3b'}
    """
    full = {group: group.replace(":", " ", 1) for group in groups}
    counts = Counter(name.rpartition("@")[0] or name for name in full.values())
    return {
        group: name if counts[name.rpartition("@")[0] or name] > 1 else name.rpartition("@")[0] or name
        for group, name in full.items()
    }


def group_order(group: str) -> tuple[int, str]:
    """People first, then judges, then oracles."""
    kinds = ("crowd", "author", "judge", "oracle")
    kind = group.partition(":")[0]
    return (kinds.index(kind) if kind in kinds else len(kinds), group)


def collect_votes(study: StudyData, systems: Sequence[str]) -> list[Vote]:
    """All votes of a study; ``systems`` gives the order, the first of a pair is the one whose wins count."""
    rank = {system: position for position, system in enumerate(systems)}
    shown_both = raters_with_both_orders(study)
    votes = []
    for (comparison, rater, repeat), rows in _showings(study.preferences).items():
        verdict = _combine(rows, both=rater in shown_both)
        graded = [row.credit for row in rows if row.credit is not None]
        credit = sum(graded) / len(graded) if len(graded) == len(rows) else None
        votes.append(_vote(study, (comparison, rater, repeat), verdict, credit, rank))
    return sorted(votes, key=lambda vote: (vote.comparison, group_order(vote.group), vote.rater, vote.repeat))


def raters_with_both_orders(study: StudyData) -> set[str]:
    """Raters who judge both orders, by their settings or by their rows; of these a lone order is incomplete."""
    said = {rater.id for rater in study.raters.values() if rater.settings.get("order") == "both"}
    orders: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for row in study.preferences:
        if row.shown is None:
            continue
        orders[row.rater, row.comparison_id, row.repeat].add(row.shown)
    return said | {rater for (rater, _, _), shown in orders.items() if len(shown) == 2}


def pair_of(key: Key, rank: dict[str, int]) -> tuple[str, str]:
    """The two systems of a comparison, the one that stands first in the ranking first."""
    assert key.a is not None, key
    assert key.b is not None, key
    first, second = sorted((key.a.system, key.b.system), key=lambda system: rank[system])
    return first, second


def _showings(preferences: Sequence[Preference]) -> dict[tuple[str, str, int], list[Preference]]:
    table: dict[tuple[str, str, int], list[Preference]] = defaultdict(list)
    for row in preferences:
        table[row.comparison_id, row.rater, row.repeat].append(row)
    return table


def _combine(rows: Sequence[Preference], *, both: bool) -> CombinedVerdict:
    if not both:
        return CombinedVerdict(rows[0].label, None)
    labels = {row.shown: row.label for row in rows}
    return combine_orders(labels.get("ab"), labels.get("ba"))


def _vote(
    study: StudyData,
    place: tuple[str, str, int],
    verdict: CombinedVerdict,
    credit: float | None,
    rank: dict[str, int],
) -> Vote:
    """The vote in one place (comparison, rater, repeat); ``credit`` is that of answer ``a``, if it was graded."""
    comparison, rater, repeat = place
    key = study.keys[comparison]
    system, baseline = pair_of(key, rank)
    assert key.a is not None, key
    own_side = "a" if key.a.system == system else "b"
    text = study.comparisons[comparison]
    longer_by = len(text.a) - len(text.b) if own_side == "a" else len(text.b) - len(text.a)
    outcome = _outcome(verdict.label, own_side)
    if outcome and credit is not None:
        credit = credit if own_side == "a" else 1 - credit
    else:
        credit = CREDITS[outcome] if outcome else None
    return Vote(
        comparison=comparison,
        prompt=key.prompt_id,
        group=group_of(rater),
        rater=rater,
        repeat=repeat,
        label=verdict.label,
        consistent=verdict.consistent,
        system=system,
        baseline=baseline,
        outcome=outcome,
        credit=credit,
        tags=text.tags,
        longer_by=longer_by,
    )


def _outcome(label: Label | None, own_side: str) -> Outcome | None:
    if label is None or label == "tie":
        return label
    return "win" if label == own_side else "loss"
