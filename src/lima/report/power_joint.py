"""What ``lima power`` says of ratings of single answers, and of people and judges together: widths that votes and verdicts buy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lima import console
from lima.report.numbers.panel import panel
from lima.report.numbers.ratings import Rating, collect_ratings
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import POOLED_KINDS, collect_votes
from lima.report.settings import PowerSettings
from lima.statistics.estimates import Estimate
from lima.statistics.intervals import wilson
from lima.statistics.joint_power import JointDesign, Mix, cheapest, correlation, effective_judges, of_panel
from lima.statistics.power import Design, detectable_mean_gap, mean_half_width

VOTES = (25, 50, 100, 200, 400, 800)
ASSUMED = 0.5
"""Correlation of a judge with people, and of two judges' errors, before anything is measured."""
ENOUGH = 20
"""Texts that people and a judge both rated, from which on their correlation is measured; and ratings, their spread."""
SPREAD = 0.25
"""Standard deviation of ratings before any is known, as a part of the scale's range."""
Scored = Iterable[tuple[str, str, float]]
"""Group of raters, text and score."""


@dataclass(frozen=True)
class JointPower:
    """What people and a judge give together; half-widths in the unit of the figure, of win - loss in [0, 1]."""

    votes: int
    verdicts: int
    alone: float
    """Half-width by people alone."""
    both: float
    worth: int
    """Votes of people alone that give as much."""


@dataclass(frozen=True)
class JointOutlook:
    """What one estimate by people and judges can reach: win - loss of the first pair, or a rating of one system."""

    measure: str
    correlation: float
    """Of the judge, or of the mean of a panel, with people."""
    measured: int
    """Texts behind the correlation of one judge; 0: assumed."""
    level: float
    rows: Sequence[JointPower]
    cheapest: Mix | None
    """For the wanted half-width; None also where none was asked for."""


@dataclass(frozen=True)
class RatingPower:
    """What ratings on one scale can show: of a scale of words, the share of its best value."""

    scale: str
    numeric: bool
    prompts: int
    spread: float
    """Standard deviation of one system's means by prompt; of words, that of a share."""
    measured: int
    """Ratings behind the spread; 0: assumed."""
    half_width: float
    gap: float | None
    """Smallest difference of two systems' means that is found; None for words, whose shares the report does not test."""
    level: float


@dataclass(frozen=True)
class PanelOutlook:
    """What a panel of judges is worth before it has rated."""

    judges: int
    alike: float
    """Correlation of two judges' errors."""
    measured: int
    """Comparisons behind it; 0: assumed."""
    effective: float
    """Judges with independent errors."""


def panel_outlook(study: StudyData, settings: PowerSettings) -> PanelOutlook | None:
    """None where one judge is planned."""
    if settings.judges == 1:
        return None
    found = panel(collect_votes(study, study.systems), 0.95)
    known = [pair.correlation for pair in found.correlations] if found else []
    values = [c.value for c in known if isinstance(c, Estimate)]
    alike, n = (float(np.mean(values)), known[0].n) if values else (ASSUMED, 0)
    if settings.judge_alike is not None:
        alike, n = settings.judge_alike, 0
    return PanelOutlook(settings.judges, alike, n, effective_judges(settings.judges, alike))


def pairs_together(
    study: StudyData,
    settings: PowerSettings,
    design: Design,
    *,
    panel: PanelOutlook | None,
    verdict_price: float,
) -> JointOutlook:
    """Of win - loss of the first pair; ``verdict_price`` is that of all judges on one pair."""
    scored = (
        (vote.group, vote.comparison, vote.credit)
        for vote in collect_votes(study, study.systems)
        if vote.credit is not None
    )
    related, n = _related(scored, settings, panel)
    plan = JointDesign(1 - design.ties, related, 1 - design.alpha)
    mix = None
    if settings.half_width is not None:
        mix = cheapest(
            settings.half_width / 100,
            plan,
            units=design.prompts,
            vote_price=settings.vote_price or 1.0,
            verdict_price=verdict_price if settings.vote_price else 0.0,
        )
    return JointOutlook("win − loss, points", related, n, plan.level, _rows(plan, design.prompts), mix)


def ratings_outlook(
    study: StudyData, settings: PowerSettings, panel: PanelOutlook | None, alpha: float
) -> tuple[list[RatingPower], list[JointOutlook]]:
    """By scale that the study may be rated on; jointly only where the plan draws single answers for people."""
    systems = {key.content.system for key in study.keys.values() if key.content}
    prompts = len({key.prompt_id for key in study.keys.values() if key.content})
    if not systems:
        return [], []
    samples = max(1, len(study.items) // (len(systems) * prompts))
    alike = (1 + (samples - 1) * settings.correlation) / samples
    ratings = collect_ratings(study, study.systems)
    drawn = bool(study.plan and study.plan.sample and study.plan.sample.items)
    alone, jointly = [], []
    for scale in study.scales:
        rows = [row for row in ratings if row.scale == scale and row.value is not None]
        found = _rating_power(scale, rows, study.scales[scale], (prompts, alike, alpha), settings)
        alone.append(found)
        if drawn and scale != "safety":
            related, n = _related(((r.group, r.item, _score(r)) for r in rows), settings, panel)
            plan = JointDesign(found.spread**2 / (1 if found.measured else alike), related, 1 - alpha)
            unit = f"mean of {scale}" if found.numeric else f"{study.scales[scale][-1]} ({scale}), points"
            jointly.append(JointOutlook(unit, related, n, 1 - alpha, _rows(plan, prompts * samples), None))
    return alone, jointly


def _rating_power(
    scale: str,
    rows: Sequence[Rating],
    values: Sequence[str | int],
    design: tuple[int, float, float],
    settings: PowerSettings,
) -> RatingPower:
    prompts, alike, alpha = design
    means = _means_by_prompt(rows)
    pooled = [mean for table in means for mean in table.values()]
    lowest, best = values[0], values[-1]
    measured = len(rows) if min(map(len, means), default=0) >= ENOUGH and len(set(pooled)) > 1 else 0
    if not (isinstance(lowest, int) and isinstance(best, int)):
        share = sum(pooled) / len(pooled) if measured else 0.5
        found = wilson(round(share * prompts), prompts, level=1 - alpha)
        half = (found.interval[1] - found.interval[0]) / 2 if isinstance(found, Estimate) else 1.0
        spread = math.sqrt(share * (1 - share) * alike)
        return RatingPower(scale, False, prompts, spread, measured, half, None, 1 - alpha)
    spread = SPREAD * (best - lowest) * math.sqrt(alike)
    apart = spread * math.sqrt(2)
    if measured:
        spread = math.sqrt(float(np.mean([np.var(list(table.values()), ddof=1) for table in means])))
        apart = _spread_apart(means) or spread * math.sqrt(2)
    half = mean_half_width(spread, prompts, alpha)
    gap = detectable_mean_gap(apart, prompts, alpha=alpha, power=settings.power)
    return RatingPower(scale, True, prompts, spread, measured, half, gap, 1 - alpha)


def _means_by_prompt(rows: Sequence[Rating]) -> list[dict[str, float]]:
    """A system's mean scores by prompt, as the group of raters with most ratings gave them."""
    by_group: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in rows:
        by_group[row.group][row.system][row.prompt].append(_score(row))
    if not by_group:
        return []
    most = max(by_group.values(), key=lambda group: sum(map(len, group.values())))
    return [{name: sum(x) / len(x) for name, x in table.items()} for table in most.values()]


def _spread_apart(means: Sequence[Mapping[str, float]]) -> float | None:
    """Of the difference of the first two systems by prompt."""
    if len(means) < 2:
        return None
    shared = sorted(means[0].keys() & means[1].keys())
    gaps = [means[0][name] - means[1][name] for name in shared]
    return float(np.std(gaps, ddof=1)) if len(gaps) >= ENOUGH and len(set(gaps)) > 1 else None


def _score(row: Rating) -> float:
    return row.level if row.numeric else row.part(row.values[-1])


def _related(scored: Scored, settings: PowerSettings, panel: PanelOutlook | None) -> tuple[float, int]:
    """The correlation with people that is planned with, of a panel its mean's, and the texts behind that of one judge."""
    known, n = correlation_with_people(scored)
    if settings.judge_correlation is not None:
        known, n = settings.judge_correlation, 0
    elif n < ENOUGH:
        known, n = ASSUMED, 0
    known = min(max(known, 0.0), 0.99)
    return (of_panel(known, panel.alike, panel.judges) if panel else known), n


def correlation_with_people(scored: Scored) -> tuple[float, int]:
    """Correlation of a judge with people over the texts that both rated, and their number; of the judge with most."""
    people: dict[str, list[float]] = defaultdict(list)
    judges: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group, text, score in scored:
        (people if group in POOLED_KINDS else judges[group])[text].append(score)
    found = (0.0, 0)
    for scores in (scores for name, scores in judges.items() if name.startswith("judge:")):
        both = sorted(scores.keys() & people.keys())
        first, second = ([sum(t[k]) / len(t[k]) for k in both] for t in (scores, people))
        if len(both) > found[1] and len(set(first)) > 1 and len(set(second)) > 1:
            found = (correlation(first, second), len(both))
    return found


def _rows(plan: JointDesign, units: int) -> list[JointPower]:
    return [
        JointPower(
            votes, units, plan.half_width(votes, 0), plan.half_width(votes, units), plan.worth(votes, units)
        )
        for votes in sorted({*(k for k in VOTES if k < units), units})
    ]


def show_ratings(found: Sequence[RatingPower], power: float) -> None:
    """One row a scale."""
    if not found:
        return
    form = {True: "{:.2f}", False: "{:.1f} points"}
    console.table(
        f"Ratings of single answers, {100 * found[0].level:g} % intervals: means of numbers, shares of the best word",
        ["scale", "prompts", "spread", "half-width", f"difference found with {100 * power:g} %"],
        [
            [
                row.scale,
                row.prompts,
                f"{row.spread:.2f} ({f'of {row.measured} ratings' if row.measured else 'assumed'})",
                form[row.numeric].format(row.half_width * (1 if row.numeric else 100)),
                "not tested" if not row.numeric else "none" if row.gap is None else f"{row.gap:.2f}",
            ]
            for row in found
        ],
    )


def show_panel(found: PanelOutlook) -> None:
    """One line."""
    source = f"measured on {found.measured} comparisons" if found.measured else "assumed: --judge-alike"
    console.note(
        f"a panel of {found.judges} judges is worth {found.effective:.1f} with independent errors; correlation of two "
        f"judges' errors {found.alike:.2f} ({source})"
    )


def show_together(found: JointOutlook, settings: PowerSettings) -> None:
    """A row a number of votes, and the cheapest plan."""
    source = f"measured on {found.measured} texts" if found.measured else "assumed: --judge-correlation"
    who = "judge" if settings.judges == 1 else "panel"
    in_points = found.measure.endswith("points")
    form = "{:.1f}" if in_points else "{:.2f}"
    widths = [
        [form.format(w * (100 if in_points else 1)) for w in (row.alone, row.both)] for row in found.rows
    ]
    console.table(
        f"People and {who} together: half-width of the {100 * found.level:g} % interval of {found.measure}; "
        f"correlation of the {who} with people {found.correlation:.2f} ({source})",
        ["votes", "verdicts", "people alone", "together", "as good as votes alone"],
        [[r.votes, r.verdicts, *width, r.worth] for r, width in zip(found.rows, widths, strict=True)],
    )
    if settings.half_width is None or not found.measure.startswith("win"):
        return
    mix = found.cheapest
    if mix is None:
        console.note(f"no plan reaches ±{settings.half_width:g} points with this study's pairs")
        return
    cost = f", cost {mix.cost:.2f}" if settings.vote_price else ""
    votes = f"{mix.votes} votes of people and {mix.verdicts} verdicts of a {who}"
    console.note(
        f"cheapest plan for ±{settings.half_width:g} points: {votes}{cost} (plan.sample.comparisons in protocol.yaml)"
    )
