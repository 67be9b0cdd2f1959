"""All numbers of a report in one record, from which both the page and ``report.json`` are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from lima.errors import LimaError
from lima.evaluate.lineage import Lineage
from lima.evaluate.protocol import Plan
from lima.report.numbers import preferences, raters, ratings
from lima.report.numbers import rater_pairs as between
from lima.report.numbers.against import Difference, StudySide, differences
from lima.report.numbers.cautions import cautions
from lima.report.numbers.criteria import CriterionResult, StrengthResult, criterion_results, strength_results
from lima.report.numbers.joint import Together, together
from lima.report.numbers.overview import Overview, overviews
from lima.report.numbers.panel import Calibration, Panel, calibrations, panel
from lima.report.numbers.study import InputFile, StudyData
from lima.report.numbers.votes import collect_votes
from lima.report.numbers.watched import WatchedRow, as_watched, watched_rows
from lima.report.settings import ReportSettings
from lima.statistics.agreement import Agreement
from lima.statistics.bootstrap import Resampling


@dataclass(frozen=True)
class Numbers:
    """Every figure of a report. Shares are in [0, 1]."""

    study: str
    systems: Sequence[str]
    level: float
    rounds: int
    seed: int
    comparisons: int
    items: int
    prompts: int
    """Distinct prompts behind all texts."""
    verdicts: int
    """Rows of preferences and grades that count."""
    warnings: Sequence[str]
    plan: Plan | None
    """What was to be tested; None: nothing was written down, so everything is exploratory."""
    overview: Sequence[Overview]
    """A row a system, once a group of raters; the first is the one for the first screen."""
    findings: Sequence[preferences.PairFinding]
    watched: Sequence[WatchedRow]
    """Sequences; only where the plan says that the study may be watched."""
    together: Sequence[Together]
    """People and a judge as one estimate; only where the plan draws a sample for people."""
    posteriors: Sequence[preferences.PairPosterior]
    """Only where the settings ask for them."""
    rankings: Sequence[preferences.Ranking]
    agreement: Sequence[Agreement]
    reliability: Sequence[raters.Reliability]
    rater_pairs: Sequence[between.RaterPair]
    """Only where there are few raters."""
    majority: between.Majority | None
    self_preferences: Sequence[between.SelfPreference]
    alt_tests: Sequence[raters.JudgeTest]
    calibration: Sequence[Calibration]
    """Judges beside people."""
    panel: Panel | None
    """Only where two judges or more rated comparisons."""
    lineages: Mapping[str, Lineage]
    """The training of the systems, where it is known."""
    helpfulness: Sequence[ratings.MeanRating]
    helpfulness_gaps: Sequence[ratings.MeanGap]
    quality: Sequence[ratings.ShareRating]
    safety: Sequence[ratings.ShareRating]
    scales: Sequence[ratings.ScaleRatings]
    """Only where the protocol has scales of its own."""
    out_of_distribution: Sequence[ratings.OutOfDistribution]
    worst_of_k: Sequence[ratings.WorstOfK]
    criteria: Sequence[CriterionResult]
    """Only where the protocol has criteria of its own."""
    strength: Sequence[StrengthResult]
    """Only where it asks how much better an answer is."""
    preferences_by_tag: Sequence[preferences.TagResult]
    ratings_by_tag: Sequence[ratings.TagRating]
    bias: Sequence[raters.GroupBias]
    against: str | None
    """The other study and its system under test."""
    differences: Sequence[Difference]
    coverage: Sequence[raters.Coverage]
    costs: Sequence[raters.JudgeCost]
    raters: Sequence[raters.RaterCard]
    replaced_rows: int
    inputs: Sequence[InputFile]

    @property
    def pairs(self) -> list[preferences.PairResult]:
        """All pair results, in the order of the findings."""
        return [result for finding in self.findings for result in finding.results]


def analyse(study: StudyData, settings: ReportSettings, other: StudyData | None = None) -> Numbers:
    """Compute every number of the report of ``study``; ``other`` is the study it is compared with."""
    level = settings.level
    resampling = Resampling(level, settings.rounds, settings.seed)
    systems = ordered_systems(study, settings.system)
    here = side_of(study, systems)
    votes, rows = here.votes, here.ratings
    there = side_of(other, ordered_systems(other, None)) if other else None
    coverage = raters.coverages(study, votes)
    bias = raters.biases(study, level)
    watched = watched_rows(study, systems)
    pairs = as_watched(preferences.pair_results(votes, level, study.plan), watched)
    rankings = preferences.rankings(votes, systems, level)
    helpfulness = ratings.mean_ratings(rows, level)
    return Numbers(
        study=study.folder.resolve().name,
        systems=systems,
        level=level,
        rounds=settings.rounds,
        seed=settings.seed,
        comparisons=len(study.comparisons),
        items=len(study.items),
        prompts=len({key.prompt_id for key in study.keys.values()}),
        verdicts=len(study.preferences) + len(study.grades),
        warnings=[
            *study.changes,
            *warnings(_unfinished(coverage, watched), settings.coverage),
            *cautions(study, pairs, bias, coverage),
        ],
        plan=study.plan,
        overview=overviews(study, systems, pairs, rankings, helpfulness, level=level),
        findings=preferences.findings(pairs, systems),
        watched=watched,
        together=together(study, systems, votes, rows, level),
        posteriors=preferences.posteriors(pairs, level) if settings.posterior else [],
        rankings=rankings,
        agreement=raters.agreements(votes, resampling),
        reliability=raters.reliabilities(votes, study, level),
        rater_pairs=between.rater_pairs(votes, resampling),
        majority=between.majority(votes),
        self_preferences=between.self_preferences(study, votes, level),
        alt_tests=raters.alt_tests(votes, study.grades, level, scales=study.scales),
        calibration=calibrations(votes, level),
        criteria=criterion_results(study, systems, level),
        strength=strength_results(study, systems, level),
        panel=panel(votes, level),
        lineages=study.lineages,
        helpfulness=helpfulness,
        helpfulness_gaps=ratings.mean_gaps(rows, level, study.plan, systems[0] if systems else ""),
        quality=ratings.share_ratings(rows, "quality", level),
        safety=ratings.share_ratings(rows, "safety", level),
        scales=ratings.scale_ratings(study, rows, level),
        out_of_distribution=ratings.out_of_distribution(rows, level),
        worst_of_k=ratings.worst_of_k(rows, level),
        preferences_by_tag=preferences.tag_results(votes, level),
        ratings_by_tag=ratings.tag_ratings(rows, level),
        bias=bias,
        against=f"{there.name}: {there.system}" if there else None,
        differences=differences(here, there, level) if there else [],
        coverage=coverage,
        costs=raters.judge_costs(study.folder),
        raters=raters.rater_cards(study, votes, level),
        replaced_rows=study.replaced,
        inputs=study.sources,
    )


def _unfinished(coverage: Sequence[raters.Coverage], watched: Sequence[WatchedRow]) -> list[raters.Coverage]:
    """Those whose missing verdicts need a warning: not raters who stopped as all pairs were decided."""
    groups = {row.group for row in watched}
    done = {g for g in groups if all(row.decided_at for row in watched if row.group == g)}
    return [entry for entry in coverage if entry.task != "preference" or entry.group not in done]


def side_of(study: StudyData, systems: Sequence[str]) -> StudySide:
    """The votes and ratings of a study, with ``systems`` in their order."""
    return StudySide(
        name=study.folder.resolve().name,
        system=systems[0],
        votes=collect_votes(study, systems),
        ratings=ratings.collect_ratings(study, systems),
    )


def ordered_systems(study: StudyData, first: str | None) -> list[str]:
    """The systems of a study, ``first`` moved to the front.

    Raises:
        LimaError: no such system.
    """
    systems = study.systems
    if first is None:
        return systems
    if first not in systems:
        raise LimaError(f"--system {first}: not in {study.folder}. There are: {', '.join(systems)}.")
    return [first, *(system for system in systems if system != first)]


def warnings(coverage: Sequence[raters.Coverage], threshold: float) -> list[str]:
    """Warnings that belong above all numbers: no verdict at all, or too many missing."""
    if not any(entry.statuses.get("ok") for entry in coverage):
        return ["No usable verdict yet: the tables below fill as people and judges answer."]
    found = []
    for entry in coverage:
        if entry.share < threshold:
            found.append(
                f"{entry.group}, {entry.task}: usable verdicts on {entry.covered} of {entry.texts} texts, "
                f"{entry.statuses.get('ok', 0)} of {entry.rows} rows usable. "
                f"Below the threshold of {100 * threshold:g} %: what is missing may not be missing by chance."
            )
    return found


def as_json(value: Any) -> Any:
    """Plain JSON of nested records; an `Undefined` keeps its reason, so that no number is silently absent."""
    if isinstance(value, Plan | Lineage):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(entry) for entry in value]
    return value
