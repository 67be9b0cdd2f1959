"""Interval methods under test: simulated studies whose win rate is known, so that coverage and width can be counted.

A study has prompts with some votes each; prompts differ (beta-binomial), so votes of one prompt are alike. Some studies have a judge's
verdicts on many prompts and people's votes on few: what people would say on all is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lima import console
from lima.errors import LimaError
from lima.experiments.bench.settings import BenchSettings
from lima.files import read_jsonl, write_jsonl
from lima.records import Record
from lima.report.render.tables import TextTable, cell
from lima.report.render.wording import percent, plain
from lima.statistics.estimates import Estimate, Result
from lima.statistics.intervals import mean_share, share, wilson
from lima.statistics.joint import joint_mean

VERSION = 1
LEVEL = 0.95


@dataclass(frozen=True)
class StudyKind:
    """How studies of one kind are drawn."""

    name: str
    prompts: int
    votes: int
    """Of people, on each prompt that they see."""
    alike: float
    """Correlation of the votes on one prompt."""
    rate: float
    """The win rate that is asked for."""
    judged: int = 0
    """Prompts that a judge sees, those of people among them; 0: there is no judge."""
    echo: float = 0.0
    """Probability that the judge says what people say of a prompt; else it says "win" in seven of ten cases, whatever is true."""


KINDS = (
    StudyKind("20 prompts, 1 vote, even", 20, 1, 0.0, 0.5),
    StudyKind("20 prompts, 1 vote, 85 %", 20, 1, 0.0, 0.85),
    StudyKind("20 prompts, 5 votes, even", 20, 5, 0.3, 0.5),
    StudyKind("20 prompts, 5 votes, 85 %", 20, 5, 0.3, 0.85),
    StudyKind("100 prompts, 5 votes, even", 100, 5, 0.3, 0.5),
    StudyKind("100 prompts, 5 votes, 85 %", 100, 5, 0.3, 0.85),
    StudyKind("40 of 300 prompts voted on, a good judge", 40, 1, 0.0, 0.6, judged=300, echo=0.8),
    StudyKind("40 of 300 prompts voted on, a poor judge", 40, 1, 0.0, 0.4, judged=300, echo=0.2),
)


class SimulatedStudy(Record):
    """A line of ``studies.jsonl``: all that an estimator may read."""

    study: str
    votes: tuple[tuple[int, int], ...]
    """Wins and votes of each prompt that people voted on."""
    judge: tuple[int, ...] = ()
    """The judge's verdict on each prompt, 1 or 0; those that people voted on come first."""


class Interval(Record):
    """A line of a submission: a 95 % interval of the win rate of one study."""

    study: str
    low: float
    high: float


def make_studies(seed: int, count: int) -> dict[str, list[SimulatedStudy]]:
    """The studies of a seed, by kind; their names give nothing away."""
    found = {}
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng([seed, VERSION, 22, number])
        found[kind.name] = [_study(f"{number + 1:02d}-{place:04d}", kind, rng) for place in range(count)]
    return found


def _study(name: str, kind: StudyKind, rng: np.random.Generator) -> SimulatedStudy:
    places = max(kind.prompts, kind.judged)
    spread = (1 - kind.alike) / kind.alike if kind.alike else None
    rates = (
        rng.beta(kind.rate * spread, (1 - kind.rate) * spread, places)
        if spread
        else np.full(places, kind.rate)
    )
    wins = rng.binomial(kind.votes, rates)
    votes = tuple((int(won), kind.votes) for won in wins[: kind.prompts])
    if not kind.judged:
        return SimulatedStudy(study=name, votes=votes)
    own = rng.random(places) < 0.7
    said = np.where(rng.random(places) < kind.echo, wins > 0, own)
    return SimulatedStudy(study=name, votes=votes, judge=tuple(int(x) for x in said))


Method = Callable[[SimulatedStudy], Result]


def _units(study: SimulatedStudy) -> tuple[list[bool], list[int]]:
    hits = [vote < won for won, votes in study.votes for vote in range(votes)]
    return hits, [place for place, (_, votes) in enumerate(study.votes) for _ in range(votes)]


def _votes_alone(study: SimulatedStudy) -> Result:
    return wilson(sum(won for won, _ in study.votes), sum(votes for _, votes in study.votes))


def _student(study: SimulatedStudy) -> Result:
    hits, places = _units(study)
    return mean_share([float(hit) for hit in hits], places)


def _together(study: SimulatedStudy) -> Result:
    if not study.judge:
        return share(*_units(study))
    voted: list[float | None] = [won / votes for won, votes in study.votes]
    people = voted + [None] * (len(study.judge) - len(voted))
    drawn = len(voted) / len(people)
    scores = [float(x) for x in study.judge]
    found = joint_mean(
        people, scores, [drawn] * len(people), range(len(people)), votes=len(voted), limits=(0, 1)
    )
    return found.both


def _judge_alone(study: SimulatedStudy) -> Result:
    if not study.judge:
        return share(*_units(study))
    return wilson(sum(study.judge), len(study.judge))


METHODS: Mapping[str, Method] = {
    "people and judge, by prompt (lima)": _together,
    "people alone, by prompt (lima)": lambda study: share(*_units(study)),
    "Student's t by prompt": _student,
    "Wilson, all votes independent": _votes_alone,
    "the judge alone, as if people": _judge_alone,
}
"""Ours, and what is often done; where there is no judge, the first and the last are the second."""


@dataclass(frozen=True)
class KindScore:
    """How one method did on one kind of study."""

    covered: Result
    width: float
    loss: float
    """Mean interval score (Gneiting and Raftery 2007, JASA 102): width, and 40 times how far the truth lies outside. Less is better."""
    without: int
    """Studies for which it gave no interval: they count as the whole of [0, 1]."""


def score(
    intervals: Mapping[str, tuple[float, float]], studies: Sequence[SimulatedStudy], truth: float
) -> KindScore:
    """Coverage, width and loss over the studies of one kind."""
    ends = [intervals.get(study.study, (0.0, 1.0)) for study in studies]
    lows, highs = np.array(ends).T
    outside = np.maximum(lows - truth, 0) + np.maximum(truth - highs, 0)
    inside = int((outside == 0).sum())
    loss = float((highs - lows + 2 / (1 - LEVEL) * outside).mean())
    without = sum(study.study not in intervals for study in studies)
    return KindScore(wilson(inside, len(studies)), float((highs - lows).mean()), loss, without)


def bench_estimators(settings: BenchSettings) -> list[TextTable]:
    """Make the studies and score all methods and submissions: the leaderboard, and a table by kind of study.

    Raises:
        LimaError: a submission is missing, or names a study that is not in this set.
    """
    folder = settings.out / f"estimators-v{VERSION}-seed{settings.seed}-x{settings.studies}"
    studies = make_studies(settings.seed, settings.studies)
    everything = [study for part in studies.values() for study in part]
    write_jsonl(folder / "studies.jsonl", everything)
    console.note(f"the set: {len(everything)} studies in {folder / 'studies.jsonl'}")
    found = {name: _intervals(method, everything) for name, method in METHODS.items()}
    for path in settings.submission:
        found[path.stem] = _submitted(path, {study.study for study in everything})
    return leaderboard(found, studies)


def _intervals(method: Method, studies: Sequence[SimulatedStudy]) -> dict[str, tuple[float, float]]:
    found = {}
    for study in studies:
        result = method(study)
        if isinstance(result, Estimate) and result.low is not None and result.high is not None:
            found[study.study] = (result.low, result.high)
    return found


def _submitted(path: Path, known: set[str]) -> dict[str, tuple[float, float]]:
    rows = list(read_jsonl(path, Interval))
    if unknown := next((row.study for row in rows if row.study not in known), None):
        raise LimaError(f"{path}: {unknown!r} is no study of this set. Were other --seed or --studies used?")
    return {row.study: (row.low, row.high) for row in rows}


def leaderboard(
    found: Mapping[str, Mapping[str, tuple[float, float]]], studies: Mapping[str, Sequence[SimulatedStudy]]
) -> list[TextTable]:
    """The least loss over all kinds first; then every method on every kind."""
    truths = {kind.name: kind.rate for kind in KINDS}
    scores = {
        name: {kind: score(intervals, part, truths[kind]) for kind, part in studies.items()}
        for name, intervals in found.items()
    }
    ranked = sorted(scores, key=lambda name: (_mean(scores[name], "loss"), name))
    totals = [(name, *_over_all(scores[name])) for name in ranked]
    rows = [
        (kind, name, cell(one.covered, percent), plain(one.width), plain(one.loss), str(one.without))
        for kind in studies
        for name in ranked
        for one in (scores[name][kind],)
    ]
    return [
        TextTable(
            f"Interval methods, set {VERSION}, {len(studies)} kinds of studies: how often a 95 % interval holds the truth, in the "
            "mean and in the worst kind, with its own 95 % interval over studies; less loss is better.",
            ("Method", "Holds, mean", "Holds, worst kind", "Width", "Loss", "No interval"),
            totals,
        ),
        TextTable(
            "By kind of study.",
            ("Studies", "Method", "Holds the truth", "Width", "Loss", "No interval"),
            rows,
        ),
    ]


def _over_all(scores: Mapping[str, KindScore]) -> tuple[str, ...]:
    covered = [one.covered for one in scores.values() if isinstance(one.covered, Estimate)]
    worst = min(covered, key=lambda one: one.value)
    return (
        percent(float(np.mean([one.value for one in covered]))),
        cell(worst, percent),
        plain(_mean(scores, "width")),
        plain(_mean(scores, "loss")),
        str(sum(one.without for one in scores.values())),
    )


def _mean(scores: Mapping[str, KindScore], figure: str) -> float:
    return float(np.mean([getattr(one, figure) for one in scores.values()]))
