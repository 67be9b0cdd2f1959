"""People and a judge as one planned estimate: people vote on a sample, the judge on all (`lima.statistics.joint`).

Each judge by itself: judges of different settings are never mixed, but in the row that says so, the panel's, which is the
mean of all judges on the texts that all of them rated. Only votes on texts that were drawn count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lima.report.numbers.panel import PANEL, panel_means
from lima.report.numbers.ratings import Rating
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import POOLED_KINDS, Vote, group_order, pair_of
from lima.statistics.estimates import Estimate, Result
from lima.statistics.joint import Joint, joint_mean

Scores = Mapping[str, list[float]]


@dataclass(frozen=True)
class Together:
    """One figure by people and one judge."""

    measure: str
    """``win - loss``, ``win + tie/2``, ``helpfulness``, ``excellent``, or of a scale of the study's own ``mean of <scale>`` or
    ``<best value> (<scale>)``."""
    form: Literal["points", "plain", "percent"]
    """How the figure is written: in points, on its scale, or as a share."""
    system: str
    baseline: str
    """Empty for ratings of single answers."""
    judge: str
    """Or ``panel``: all judges."""
    both: Result
    """``n`` counts votes of people, ``clusters`` their prompts."""
    alone: Result
    """The same votes without the judge."""
    tuning: float
    """How much the judge counts: 0 not at all; 1 as in the plain difference estimator. A weight inside ``both``, with no interval
    of its own: that of ``both`` holds its error."""
    worth: int | None
    """Votes of people alone that would give as narrow an interval, from the widths of ``both`` and ``alone``."""
    verdicts: int
    """Texts with a usable verdict of the judge."""
    texts: int
    """Texts of this kind in the study."""
    drawn: int
    """Of these, those that were drawn for people."""
    voted: int
    """Of these, those that people voted on."""


@dataclass(frozen=True)
class _Text:
    """A text of the sample: its id and prompt."""

    id: str
    prompt: str


def together(
    study: StudyData, systems: Sequence[str], votes: Sequence[Vote], ratings: Sequence[Rating], level: float
) -> list[Together]:
    """All joint estimates that the plan allows; none without a planned sample."""
    sample = study.plan.sample if study.plan else None
    if sample is None or not study.drawn:
        return []
    found = _pairs(study, systems, votes, level) if sample.comparisons else []
    if sample.items:
        for scale in dict.fromkeys(["helpfulness", "quality", *study.own_scales]):
            found += _ratings(study, ratings, scale, level)
    return found


def _pairs(study: StudyData, systems: Sequence[str], votes: Sequence[Vote], level: float) -> list[Together]:
    rank = {system: position for position, system in enumerate(systems)}
    texts: dict[tuple[str, str], list[_Text]] = defaultdict(list)
    for name in sorted(study.comparisons):
        key = study.keys[name]
        texts[pair_of(key, rank)].append(_Text(name, key.prompt_id))
    people: dict[str, list[float]] = defaultdict(list)
    judges: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        if vote.credit is not None:
            table = people if vote.group in POOLED_KINDS else judges[vote.group]
            table[vote.comparison].append(2 * vote.credit - 1)
    found = []
    for pair in sorted(texts, key=lambda pair: [systems.index(name) for name in pair]):
        for judge, scores in _judges(judges, {text.id for text in texts[pair]}):
            gap = _joint(study, texts[pair], people, scores, limits=(-1, 1), level=level)
            row = _row(study, ("win - loss", *pair, judge), texts[pair], people, gap)
            found += [row, _as_win_rate(row)] if row.verdicts else []
    return found


def _ratings(study: StudyData, ratings: Sequence[Rating], scale: str, level: float) -> list[Together]:
    """Means of a scale of numbers, or shares of the best of its words, by system."""
    texts: dict[str, list[_Text]] = defaultdict(list)
    for name in sorted(study.items):
        key = study.keys[name]
        assert key.content is not None, key
        texts[key.content.system].append(_Text(name, key.prompt_id))
    people: dict[str, list[float]] = defaultdict(list)
    judges: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for rating in ratings:
        if rating.scale == scale and rating.value is not None:
            value = rating.level if rating.numeric else rating.part(rating.values[-1])
            table = people if rating.group in POOLED_KINDS else judges[rating.group]
            table[rating.item].append(value)
    values = study.scales[scale]
    lowest, best = values[0], values[-1]
    own = scale in study.own_scales
    limits: tuple[float, float]
    if isinstance(lowest, int) and isinstance(best, int):
        limits, measure = (lowest, best), f"mean of {scale}" if own else scale
    else:
        limits, measure = (0, 1), f"{best} ({scale})" if own else str(best)
    found = []
    for system in [name for name in study.systems if name in texts]:
        for judge, scores in _judges(judges, {text.id for text in texts[system]}):
            joint = _joint(study, texts[system], people, scores, limits=limits, level=level)
            row = _row(study, (measure, system, "", judge), texts[system], people, joint)
            found.append(replace(row, form="plain" if isinstance(best, int) else "percent"))
    return [row for row in found if row.verdicts and row.voted]


def _judges(groups: Mapping[str, Scores], texts: set[str]) -> list[tuple[str, Scores]]:
    """Each judge with its scores of these texts, and where there are several their panel."""
    names = sorted((group for group in groups if group.startswith("judge:")), key=group_order)
    found = {name: {text: groups[name][text] for text in texts & groups[name].keys()} for name in names}
    found = {name: scores for name, scores in found.items() if scores}
    if len(found) > 1:
        found[PANEL] = {text: [mean] for text, mean in panel_means(found).items()}
    return list(found.items())


def _joint(
    study: StudyData,
    texts: Sequence[_Text],
    people: Scores,
    judge: Scores,
    *,
    limits: tuple[float, float],
    level: float,
) -> Joint:
    voted = {text.id: people[text.id] for text in texts if _counts(study, text, people)}
    return joint_mean(
        [_mean(voted.get(text.id)) for text in texts],
        [_mean(judge.get(text.id)) for text in texts],
        [study.drawn[text.id].probability for text in texts],
        [text.prompt for text in texts],
        votes=sum(map(len, voted.values())),
        limits=limits,
        level=level,
    )


def _counts(study: StudyData, text: _Text, people: Scores) -> bool:
    return study.drawn[text.id].drawn and bool(people.get(text.id))


def _row(
    study: StudyData, name: tuple[str, str, str, str], texts: Sequence[_Text], people: Scores, joint: Joint
) -> Together:
    measure, system, baseline, judge = name
    return Together(
        measure=measure,
        form="points",
        system=system,
        baseline=baseline,
        judge=judge,
        both=joint.both,
        alone=joint.alone,
        tuning=joint.tuning,
        worth=joint.worth,
        verdicts=joint.verdicts,
        texts=len(texts),
        drawn=sum(study.drawn[text.id].drawn for text in texts),
        voted=sum(_counts(study, text, people) for text in texts),
    )


def _as_win_rate(row: Together) -> Together:
    """Win - loss as win + tie/2."""
    both, alone = (x.rescaled(0.5, 0.5) if isinstance(x, Estimate) else x for x in (row.both, row.alone))
    return replace(row, measure="win + tie/2", form="percent", both=both, alone=alone)


def _mean(values: Sequence[float] | None) -> float | None:
    return sum(values) / len(values) if values else None
