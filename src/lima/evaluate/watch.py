"""Win - loss while verdicts come in: what may stop a study, for the runner of a judge and for the report.

Nothing that a judge or a person sees comes from here. The key is opened to tell which answer is whose, in the process
that decides whether to ask on, and goes no further.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lima.errors import LimaError
from lima.evaluate.protocol import Plan
from lima.records import Key, Label, Preference, Rater
from lima.statistics.preferences import SCORES, Outcome, combine_orders
from lima.statistics.sequences import Watched, watched_gap


@dataclass(frozen=True)
class WatchedPair:
    """Two systems and their gap as it was watched, seen from the first."""

    system: str
    baseline: str
    watched: Watched
    planned: int
    """Prompts of the study on which the two are compared: what would be asked without stopping."""


def why_not_watched(plan: Plan | None, raters: Iterable[Rater]) -> str:
    """Why these raters may not be watched, or the empty string: the plan must have said so before each of them began."""
    if plan is None or not plan.watched:
        return "protocol.yaml does not declare it: plan.watched: true, before the first verdict"
    late = sorted(rater.id for rater in raters if rater.settings.get("plan") != plan.hash)
    if late:
        return (
            f"it was asked for after the first verdict: {', '.join(late)} began under another plan. "
            "Make a new study for a sequence"
        )
    return ""


def check_watched(plan: Plan | None, raters: Iterable[Rater]) -> None:
    """Refuse to watch a study that did not declare it in time.

    Raises:
        LimaError: with the reason.
    """
    reason = why_not_watched(plan, raters)
    if reason:
        raise LimaError(f"the study may not be watched: {reason}.")


Said = Label | float
"""A verdict on a comparison: its label, or of a graded one the part of the win that answer a gets."""


def watched_pairs(
    labels: Sequence[tuple[str, Said]], keys: Mapping[str, Key], systems: Sequence[str], *, alpha: float
) -> list[WatchedPair]:
    """The sequence of every pair of systems that comparisons name, each at its part of ``alpha``.

    Args:
        labels: comparison and verdict, in the order in which they came; of a prompt's verdicts on one pair the first
            counts, since further ones are not independent of it.
        keys: the key by comparison, of all comparisons of the study.
        systems: in their order; the first of a pair is the one whose wins count.
        alpha: of all pairs together (Bonferroni).
    """
    rank = {system: place for place, system in enumerate(systems)}
    prompts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key in keys.values():
        if key.a and key.b:
            prompts[_pair(key, rank)].add(key.prompt_id)
    scores: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for comparison, label in labels:
        key = keys[comparison]
        pair = _pair(key, rank)
        scores[pair].setdefault(key.prompt_id, _score(key, pair, label))
    level = 1 - alpha / max(1, len(prompts))
    return [
        WatchedPair(*pair, watched_gap(list(scores[pair].values()), level=level), len(prompts[pair]))
        for pair in sorted(prompts, key=lambda pair: [rank[name] for name in pair])
    ]


def in_order(rows: Iterable[Preference], *, both: bool, by_time: bool = False) -> list[tuple[str, Said]]:
    """Usable verdicts of one rater, or of people, as they count: with ``both`` the two orders of a judge as one.

    A judge's come by the comparisons' ids, hashes that are an order at random: the time of its replies would put short
    answers first. People's come ``by_time``, as texts are given out at random.
    """
    if not both:
        given = sorted(
            rows, key=lambda row: (row.at or "", row.id) if by_time else (row.comparison_id, row.id)
        )
        return [(row.comparison_id, _said([row], row.label)) for row in given if row.label is not None]
    said: dict[tuple[str, int], dict[str, Preference]] = defaultdict(dict)
    for row in rows:
        said[row.comparison_id, row.repeat][row.shown or "ab"] = row
    found = []
    for (comparison, _), orders in sorted(said.items()):
        first, second = (orders[shown].label if shown in orders else None for shown in ("ab", "ba"))
        label = combine_orders(first, second).label
        if label is not None:
            found.append((comparison, _said(list(orders.values()), label)))
    return found


def _said(rows: Sequence[Preference], label: Label) -> Said:
    graded = [row.credit for row in rows if row.credit is not None]
    return sum(graded) / len(graded) if len(graded) == len(rows) else label


def _score(key: Key, pair: tuple[str, str], said: Said) -> float:
    """In [-1, 1], seen from the first of the pair."""
    assert key.a is not None, key
    if isinstance(said, float):
        credit = 2 * said - 1
        return credit if key.a.system == pair[0] else -credit
    return float(SCORES[_outcome(key, pair, said)])


def _pair(key: Key, rank: Mapping[str, int]) -> tuple[str, str]:
    assert key.a is not None, key
    assert key.b is not None, key
    first, second = sorted((key.a.system, key.b.system), key=lambda system: rank[system])
    return first, second


def _outcome(key: Key, pair: tuple[str, str], label: Label) -> Outcome:
    assert key.a is not None, key
    if label == "tie":
        return "tie"
    return "win" if (label == "a") == (key.a.system == pair[0]) else "loss"
