"""Judges beside people: how far each agrees with their votes, by tag too, and what several judges are worth together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lima.report.numbers.votes import POOLED_KINDS, Vote
from lima.statistics.estimates import Result
from lima.statistics.intervals import mean_share
from lima.statistics.panel import effective_number, error_correlation

PANEL = "panel"
"""The judges of a study together: the mean of their verdicts."""


@dataclass(frozen=True)
class Calibration:
    """One judge, or the panel, beside the votes of people on the same comparisons."""

    judge: str
    tag: str
    """Empty: all comparisons."""
    agreement: Result
    """With ties: 1 for the same verdict, 1/2 where one of the two says tie, 0 for opposite sides; of graded verdicts 1 minus
    the distance of credits. ``n`` counts comparisons; several people's votes on one are averaged."""
    decided: Result
    """Without ties: the share of the same side where judge and person both chose one."""


@dataclass(frozen=True)
class Panel:
    """All judges that rated comparisons, as one."""

    judges: Sequence[str]
    effective: Result
    """The number of judges with independent errors that they are worth."""
    correlations: Sequence[Correlated]


@dataclass(frozen=True)
class Correlated:
    """Two judges and how alike their errors are: Pearson's correlation of score minus people's mean score."""

    first: str
    second: str
    correlation: Result


Scores = Mapping[str, list[float]]
"""Parts of the win that the first system gets, by comparison."""


def calibrations(votes: Sequence[Vote], level: float) -> list[Calibration]:
    """By judge and tag; none where people and a judge have no comparison in common."""
    people = _scores(vote for vote in votes if vote.group in POOLED_KINDS)
    judges = _judges(votes)
    if len(judges) > 1:
        judges = {**judges, PANEL: {name: [mean] for name, mean in panel_means(judges).items()}}
    prompts = {vote.comparison: vote.prompt for vote in votes}
    tags: dict[str, set[str]] = defaultdict(set)
    for vote in votes:
        for tag in ("", *vote.tags):
            tags[tag].add(vote.comparison)
    found = []
    for judge, scores in judges.items():
        for tag in sorted(tags):
            shared = sorted(tags[tag] & scores.keys() & people.keys())
            if shared:
                found.append(_calibration((judge, tag), shared, (scores, people), prompts, level))
    return found


def panel(votes: Sequence[Vote], level: float) -> Panel | None:
    """What the judges are worth together; None where fewer than two judges rated comparisons."""
    judges = _judges(votes)
    if len(judges) < 2:
        return None
    people = _scores(vote for vote in votes if vote.group in POOLED_KINDS)
    prompts = {vote.comparison: vote.prompt for vote in votes}
    shared = sorted(set.intersection(set(people), *(set(scores) for scores in judges.values())))
    errors = [[_mean(scores[name]) - _mean(people[name]) for scores in judges.values()] for name in shared]
    found = effective_number(errors, [prompts[name] for name in shared], level=level)
    names, clusters = list(judges), [prompts[name] for name in shared]
    columns = list(zip(*errors, strict=True)) or [()] * len(names)
    pairs = [
        Correlated(names[i], names[j], error_correlation(columns[i], columns[j], clusters, level=level))
        for i, j in combinations(range(len(names)), 2)
    ]
    return Panel(names, found, pairs)


def _judges(votes: Sequence[Vote]) -> dict[str, Scores]:
    names = sorted({vote.rater for vote in votes if vote.rater.startswith("judge:")})
    found = {name: _scores(vote for vote in votes if vote.rater == name) for name in names}
    return {name: scores for name, scores in found.items() if scores}


def _scores(votes: Iterable[Vote]) -> Scores:
    found: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        if vote.credit is not None:
            found[vote.comparison].append(vote.credit)
    return found


def panel_means(judges: Mapping[str, Scores]) -> dict[str, float]:
    """Over all judges, of the comparisons that all have rated."""
    shared = set.intersection(*(set(scores) for scores in judges.values()))
    return {name: _mean([_mean(scores[name]) for scores in judges.values()]) for name in shared}


def _calibration(
    place: tuple[str, str],
    shared: Sequence[str],
    scores: tuple[Scores, Scores],
    prompts: Mapping[str, str],
    level: float,
) -> Calibration:
    judge, people = scores
    agreement, decided, clusters = [], [], []
    for name in shared:
        said = _mean(judge[name])
        agreement.append(_mean([1 - abs(said - vote) for vote in people[name]]))
        sides = [float((said > 0.5) == (vote > 0.5)) for vote in people[name] if 0.5 not in (said, vote)]
        if sides:
            decided.append(_mean(sides))
            clusters.append(prompts[name])
    return Calibration(
        *place,
        mean_share(agreement, [prompts[name] for name in shared], level=level),
        mean_share(decided, clusters, level=level),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
