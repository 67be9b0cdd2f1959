"""One row a system, as one group of raters sees it: rank, win - loss, helpfulness, length. The first screen of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lima.report.numbers.preferences import PairResult, Ranking, seen_from
from lima.report.numbers.ratings import MeanRating
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import group_order
from lima.statistics.estimates import Estimate, Result, Undefined
from lima.statistics.intervals import clustered_mean


@dataclass(frozen=True)
class SystemRow:
    """A system at a glance; what was not measured is None."""

    system: str
    rank: Estimate | None
    wins: Result | None
    """Expected wins against the reference, of the verdicts that are no tie; None for the reference itself."""
    against: str
    """The system that ``gap`` is against; empty for a reference that met several."""
    gap: Result | None
    """Wins minus losses, its interval adjusted like that of the pair."""
    helpfulness: Result | None
    length: Result
    """Mean length of an answer in characters."""
    n: int
    """Usable votes on the system."""


@dataclass(frozen=True)
class Overview:
    """All systems, as one group of raters sees them, the strongest first."""

    group: str
    reference: str
    helpfulness_by: str
    """The group that rated helpfulness: the same judge, else the first; empty where nobody did."""
    systems: Sequence[SystemRow]


def overviews(
    study: StudyData,
    systems: Sequence[str],
    pairs: Sequence[PairResult],
    rankings: Sequence[Ranking],
    helpfulness: Sequence[MeanRating],
    *,
    level: float,
) -> list[Overview]:
    """One a group of raters, those who compared the most pairs of systems first; without votes, one of ratings alone."""
    lengths = _lengths(study, level)
    by_group: dict[str, list[PairResult]] = defaultdict(list)
    for pair in pairs:
        if pair.result.n:
            by_group[pair.group].append(pair)
    order = sorted(by_group, key=lambda group: (-len(by_group[group]), group_order(group)))
    ranked = {ranking.group: ranking for ranking in rankings}
    found = []
    for group in order or sorted({row.group for row in helpfulness}, key=group_order):
        means = _means(group, helpfulness)
        reference = ranked[group].reference if group in ranked else systems[0]
        rows = [_row(name, reference, by_group[group], ranked.get(group)) for name in systems]
        rows = [_with_ratings(row, means, lengths) for row in rows if row.n or row.system in means]
        by = next(iter(means.values())).group if means else ""
        found.append(Overview(group, reference, by, sorted(rows, key=_place)))
    return found


def _row(name: str, reference: str, pairs: Sequence[PairResult], ranking: Ranking | None) -> SystemRow:
    mine = [pair for pair in pairs if name in (pair.system, pair.baseline)]
    shown = mine if name == reference else [p for p in mine if reference in (p.system, p.baseline)]
    pair = shown[0] if len(shown) == 1 else None  # a reference that met several has no single gap
    wins = {strength.system: strength.wins for strength in ranking.strengths} if ranking else {}
    against = "" if pair is None else pair.baseline if pair.system == name else pair.system
    return SystemRow(
        system=name,
        rank=ranking.ranks.get(name) if ranking else None,
        wins=wins.get(name),
        against=against,
        gap=seen_from(pair.gap, name, pair.system) if pair else None,
        helpfulness=None,
        length=Undefined("there is no answer", 0, "cluster-robust t"),
        n=sum(pair.result.n for pair in mine),
    )


def _with_ratings(
    row: SystemRow, means: Mapping[str, MeanRating], lengths: Mapping[str, Result]
) -> SystemRow:
    mean = means[row.system].mean if row.system in means else None
    return replace(row, helpfulness=mean, length=lengths.get(row.system, row.length))


def _place(row: SystemRow) -> tuple[float, float, float]:
    """Strongest first: by rank, else by gap, else by helpfulness."""
    rank = row.rank.value if row.rank else 0.0
    return rank, -_value(row.gap), -_value(row.helpfulness)


def _value(result: Result | None) -> float:
    return result.value if isinstance(result, Estimate) else 0.0


def _means(group: str, helpfulness: Sequence[MeanRating]) -> dict[str, MeanRating]:
    """Of the same raters, else of the first: a judge has another hash for each task."""
    name = group.rpartition("@")[0] or group
    groups = sorted(
        {row.group for row in helpfulness}, key=lambda g: (not g.startswith(name), group_order(g))
    )
    return {row.system: row for row in helpfulness if row.group == groups[0]}


def _lengths(study: StudyData, level: float) -> dict[str, Result]:
    """Each answer once, clustered by prompt."""
    seen: dict[str, dict[str, tuple[float, str]]] = defaultdict(dict)
    for origin, prompt, text in study.answers():
        seen[origin.system][origin.completion_id] = float(len(text)), prompt
    found = {}
    for system, answers in seen.items():
        lengths, prompts = zip(*answers.values(), strict=True)
        found[system] = clustered_mean(lengths, prompts, level=level)
    return found
