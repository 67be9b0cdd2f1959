"""Absolute ratings by system: helpfulness from 1 to 6, Fail / Pass / Excellent, and safety (LIMA, sections 4.3 and 5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TypeVar

from lima.evaluate.protocol import Plan
from lima.records import SCALE_VALUES, Grade
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import group_of, group_order
from lima.statistics.estimates import Result, Undefined
from lima.statistics.intervals import (
    VarianceSplit,
    clustered_mean,
    mean_share,
    newcombe,
    share,
    variance_split,
    wilson,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Rating:
    """One usable or missing grade with the name behind it."""

    item: str
    prompt: str
    group: str
    rater: str
    system: str
    scale: str
    value: str | int | None
    tags: tuple[str, ...]
    values: tuple[str | int, ...]
    """Of the scale, the worst first where it is one of the study's own."""
    probabilities: Mapping[str, float] | None = None
    """Of every value of the scale, where the rater tells them."""

    @property
    def numeric(self) -> bool:
        """Whether the scale is one of numbers."""
        return isinstance(self.values[0], int)

    @property
    def level(self) -> float:
        """On a scale of numbers, the value; or the mean of the values by their probabilities."""
        assert self.value is not None, self
        told = self.probabilities
        return sum(float(v) * p for v, p in told.items()) if told else float(self.value)

    def part(self, value: str | int) -> float:
        """1 for this value, 0 for another; or its probability."""
        return self.probabilities[str(value)] if self.probabilities else float(self.value == value)


@dataclass(frozen=True)
class MeanRating:
    """Mean rating of one system on helpfulness, or on a scale of the study's own, as one group of raters sees it."""

    group: str
    system: str
    scale: str
    missing: int
    mean: Result
    counts: dict[str, int]
    split: VarianceSplit | Undefined


@dataclass(frozen=True)
class MeanGap:
    """Difference of two systems' mean ratings over the prompts that both answered (first minus second)."""

    scale: str
    group: str
    first: str
    second: str
    planned: bool
    """Whether the study's plan names this test; otherwise it is exploratory."""
    gap: Result


@dataclass(frozen=True)
class ShareRating:
    """Shares of the values of a scale, for one system and group."""

    group: str
    system: str
    scale: str
    missing: int
    n: int
    counts: dict[str, int]
    shares: dict[str, Result]

    @property
    def best(self) -> str:
        """The value that is best."""
        return "safe" if self.scale == "safety" else list(self.shares)[-1]


@dataclass(frozen=True)
class TagRating:
    """A rating on the prompts that carry one tag."""

    tag: str
    rating: MeanRating | ShareRating


@dataclass(frozen=True)
class ScaleRatings:
    """All ratings on a scale that the protocol declares; they are exploratory."""

    scale: str
    question: str
    choices: dict[str, str]
    """Value -> its meaning, the worst first."""
    means: Sequence[MeanRating]
    """Where the values are numbers."""
    gaps: Sequence[MeanGap]
    shares: Sequence[ShareRating]
    """Where they are words."""


@dataclass(frozen=True)
class OutOfDistribution:
    """Share of a scale's best value in minus out of distribution (tag ``ood``), one grade a prompt."""

    group: str
    system: str
    scale: str
    value: str
    difference: Result


@dataclass(frozen=True)
class WorstOfK:
    """The worst of a prompt's samples: share of prompts with any worst value, or mean of the lowest rating."""

    group: str
    system: str
    scale: str
    samples: int
    """Most answers that a prompt has."""
    value: str
    numeric: bool
    """Whether ``result`` is a mean of lowest ratings; else it is the share of prompts with an answer of this value."""
    result: Result


def worst_of_k(ratings: Sequence[Rating], level: float) -> list[WorstOfK]:
    """For every group, system and scale in which a prompt has several answers."""
    found: list[WorstOfK] = []
    usable = [rating for rating in ratings if rating.value is not None]
    for scale in dict.fromkeys([*SCALE_VALUES, *(rating.scale for rating in usable)]):
        found += _by_group_and_system(usable, scale, partial(_worst, scale=scale, level=level))
    return [entry for entry in found if entry.samples > 1]


def collect_ratings(study: StudyData, systems: Sequence[str]) -> list[Rating]:
    """All grades of a study with the systems behind them, those of the first system first."""
    ratings = [_rating(study, grade) for grade in study.grades]
    return sorted(ratings, key=lambda rating: systems.index(rating.system))


def mean_ratings(ratings: Sequence[Rating], level: float, scale: str = "helpfulness") -> list[MeanRating]:
    """Mean rating by group and system, clustered by prompt."""
    return _by_group_and_system(ratings, scale, lambda rows: _mean_rating(rows, level))


def share_ratings(ratings: Sequence[Rating], scale: str, level: float) -> list[ShareRating]:
    """Shares of the values of a scale by group and system, clustered by prompt."""
    return _by_group_and_system(ratings, scale, lambda rows: _share_rating(rows, level))


def scale_ratings(study: StudyData, ratings: Sequence[Rating], level: float) -> list[ScaleRatings]:
    """Every scale of the study's own that somebody has rated."""
    found = []
    for scale, words in study.own_scales.items():
        rows = [rating for rating in ratings if rating.scale == scale]
        if rows and rows[0].numeric:
            means, gaps = mean_ratings(rows, level, scale), mean_gaps(rows, level, scale=scale)
            found.append(ScaleRatings(scale, words.question, words.choices, means, gaps, []))
        elif rows:
            shares = share_ratings(rows, scale, level)
            found.append(ScaleRatings(scale, words.question, words.choices, [], [], shares))
    return found


def mean_gaps(
    ratings: Sequence[Rating],
    level: float,
    plan: Plan | None = None,
    tested: str = "",
    *,
    scale: str = "helpfulness",
) -> list[MeanGap]:
    """Paired differences of mean ratings between every two systems, by group; the plan is about helpfulness of ``tested``."""
    table: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for rating in ratings:
        if rating.scale == scale and rating.value is not None:
            table[rating.group][rating.system][rating.prompt].append(rating.level)
    return [
        MeanGap(
            scale,
            group,
            first,
            second,
            plan is not None and tested in (first, second) and plan.plans("helpfulness", group),
            _paired_gap(table[group][first], table[group][second], level),
        )
        for group in sorted(table, key=group_order)
        for first, second in combinations(table[group], 2)
    ]


def tag_ratings(ratings: Sequence[Rating], level: float) -> list[TagRating]:
    """All ratings by tag."""
    found: list[TagRating] = []
    for tag in sorted({tag for rating in ratings for tag in rating.tags}):
        rows = [rating for rating in ratings if tag in rating.tags]
        for scale in dict.fromkeys(["helpfulness", "quality", "safety", *(rating.scale for rating in rows)]):
            of_scale = [rating for rating in rows if rating.scale == scale]
            numbers = bool(of_scale) and of_scale[0].numeric
            found += [
                TagRating(tag, rating)
                for rating in (
                    mean_ratings(of_scale, level, scale) if numbers else share_ratings(of_scale, scale, level)
                )
            ]
    return found


def out_of_distribution(ratings: Sequence[Rating], level: float) -> list[OutOfDistribution]:
    """In against out of distribution on ``quality``, where both kinds of prompt were graded."""
    rows = [rating for rating in ratings if rating.scale == "quality" and rating.value is not None]
    if not any("ood" in rating.tags for rating in rows) or all("ood" in rating.tags for rating in rows):
        return []
    return _by_group_and_system(rows, "quality", lambda found: _in_minus_out(found, level))


def _rating(study: StudyData, grade: Grade) -> Rating:
    key = study.keys[grade.item_id]
    assert key.content is not None, key
    return Rating(
        item=grade.item_id,
        prompt=key.prompt_id,
        group=group_of(grade.rater),
        rater=grade.rater,
        system=key.content.system,
        scale=grade.scale,
        value=grade.value,
        tags=study.items[grade.item_id].tags,
        values=study.scales[grade.scale],
        probabilities=grade.probabilities,
    )


def _by_group_and_system(
    ratings: Sequence[Rating], scale: str, summarise: Callable[[list[Rating]], T]
) -> list[T]:
    table: dict[tuple[str, str], list[Rating]] = defaultdict(list)
    for rating in ratings:
        if rating.scale == scale:
            table[rating.group, rating.system].append(rating)
    rank = list(dict.fromkeys(rating.system for rating in ratings))
    order = sorted(table, key=lambda place: (group_order(place[0]), rank.index(place[1])))
    return [summarise(table[place]) for place in order]


def _mean_rating(rows: list[Rating], level: float) -> MeanRating:
    usable = [row for row in rows if row.value is not None]
    values = [row.level for row in usable]
    prompts = [row.prompt for row in usable]
    return MeanRating(
        group=rows[0].group,
        system=rows[0].system,
        scale=rows[0].scale,
        missing=len(rows) - len(usable),
        mean=clustered_mean(values, prompts, level=level),
        counts=_counts(usable, rows[0].values),
        split=variance_split(values, prompts),
    )


def _share_rating(rows: list[Rating], level: float) -> ShareRating:
    usable = [row for row in rows if row.value is not None]
    prompts = [row.prompt for row in usable]
    return ShareRating(
        group=rows[0].group,
        system=rows[0].system,
        scale=rows[0].scale,
        missing=len(rows) - len(usable),
        n=len(usable),
        counts=_counts(usable, rows[0].values),
        shares={str(value): _share(usable, value, prompts, level) for value in rows[0].values},
    )


def _share(usable: Sequence[Rating], value: str | int, prompts: Sequence[str], level: float) -> Result:
    """Of one value; where raters tell probabilities, the mean of its own."""
    if any(row.probabilities for row in usable):
        mean = mean_share([row.part(value) for row in usable], prompts, level=level)
        return replace(mean, method=f"{mean.method}, of graded verdicts")
    return share([row.value == value for row in usable], prompts, level=level)


def _worst(rows: list[Rating], scale: str, level: float) -> WorstOfK:
    items: dict[str, set[str]] = defaultdict(set)
    values: dict[str, list[str | int]] = defaultdict(list)
    for row in rows:
        items[row.prompt].add(row.item)
        values[row.prompt].extend([row.value] if row.value is not None else [])
    word = "lowest" if rows[0].numeric else "unsafe" if scale == "safety" else str(rows[0].values[0])
    if rows[0].numeric:
        lowest = [float(min(map(int, found))) for found in values.values()]
        result = clustered_mean(lowest, list(values), level=level)
    else:
        result = wilson(sum(word in found for found in values.values()), len(values), level=level)
    samples = max(len(found) for found in items.values())
    return WorstOfK(rows[0].group, rows[0].system, scale, samples, word, rows[0].numeric, result)


def _counts(rows: Sequence[Rating], values: Sequence[str | int]) -> dict[str, int]:
    return {str(value): sum(row.value == value for row in rows) for value in values}


def _paired_gap(first: dict[str, list[float]], second: dict[str, list[float]], level: float) -> Result:
    """Student's interval of the differences of prompt means."""
    shared = [prompt for prompt in first if prompt in second]
    differences = [_mean(first[prompt]) - _mean(second[prompt]) for prompt in shared]
    return clustered_mean(differences, shared, level=level)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _in_minus_out(rows: list[Rating], level: float) -> OutOfDistribution:
    """Newcombe's interval asks for independent units: the first grade of each prompt counts."""
    best = SCALE_VALUES["quality"][-1]
    first = {row.prompt: row for row in reversed(rows)}.values()
    counts = []
    for inside in (True, False):
        group = [row for row in first if ("ood" not in row.tags) == inside]
        counts.append((sum(row.value == best for row in group), len(group)))
    difference = newcombe(counts[0], counts[1], level=level)
    return OutOfDistribution(rows[0].group, rows[0].system, "quality", str(best), difference)
