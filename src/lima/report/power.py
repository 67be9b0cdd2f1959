"""``lima power``: which differences a study can detect and what judging it will cost, from its texts alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lima import console
from lima.commands import command
from lima.errors import LimaError
from lima.evaluate.protocol import Plan
from lima.records import Comparison, Item
from lima.remote.limits import Price, read_price
from lima.report.numbers.study import StudyData, read_study
from lima.report.numbers.votes import pair_of
from lima.report.power_joint import (
    JointOutlook,
    PanelOutlook,
    RatingPower,
    pairs_together,
    panel_outlook,
    ratings_outlook,
    show_panel,
    show_ratings,
    show_together,
)
from lima.report.render.wording import plan_in_words
from lima.report.settings import PowerSettings
from lima.statistics.power import Design, Power, detectable_gap, power_of, prompts_needed
from lima.statistics.sequences import watching

CHARACTERS_A_TOKEN = 4.0
"""A rough mean for English and current tokenizers; the true number is known after the first calls."""
WORDS_OF_PROMPT = 1_600
"""Characters of the judge's instruction around the texts, roughly."""
GAPS = (0.05, 0.1, 0.15, 0.2)


@dataclass(frozen=True)
class PairPower:
    """What one pair of systems can show: prompts, and the smallest win-loss gap that they detect (None: none).

    ``power``: probability that a true gap is found, by gap, with its Monte Carlo error.
    """

    system: str
    baseline: str
    prompts: int
    samples: int
    """Pairs of answers to a prompt, rounded down."""
    gap: float | None
    power: dict[float, Power]


@dataclass(frozen=True)
class TaskCost:
    """What one task of ``lima judge`` takes; ``cost`` None: unknown."""

    task: str
    calls: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None


@dataclass(frozen=True)
class WatchedPower:
    """What watching brings at a true gap, for the first pair of systems."""

    gap: float
    found: float
    """Share of simulated studies that are decided by their end."""
    prompts: int | None
    """Median of prompts after which they are."""


@dataclass(frozen=True)
class Outlook:
    """The result of `power`."""

    pairs: Sequence[PairPower]
    needed: dict[float, int]
    """Prompts needed by gap."""
    votes: dict[str, int]
    """Votes that the plan asks of each group of people."""
    tasks: Sequence[TaskCost]
    ratings: Sequence[RatingPower]
    """By scale; none where the study has no single answers."""
    panel: PanelOutlook | None
    """Only where more than one judge is planned."""
    together: JointOutlook | None
    rated_together: Sequence[JointOutlook]
    """By scale, where the plan draws single answers for people."""
    watched: Sequence[WatchedPower]
    """Only where the plan says that the study may be watched."""


def power(settings: PowerSettings) -> Outlook:
    """Print and return what the study can see and what judging it takes.

    Raises:
        LimaError: no study, a file of prices without ``--model``, or a model that it does not name.
    """
    study = read_study(settings.study)
    price = _price(settings)
    designs = _designs(study, settings)
    plan, typical = study.plan or Plan(), next(iter(designs.values()), None)
    tasks, panel = _tasks(study, settings, price), panel_outlook(study, settings)
    verdict_price = (tasks[0].cost or 0.0) / max(1, len(study.comparisons))
    ratings, rated_together = ratings_outlook(study, settings, panel, settings.alpha or plan.alpha)
    found = Outlook(
        pairs=[_pair_power(pair, design, settings) for pair, design in designs.items()],
        needed=_needed(typical, settings) if typical else {},
        votes=plan.human_votes(len(study.comparisons)),
        tasks=tasks,
        ratings=ratings,
        panel=panel,
        together=pairs_together(study, settings, typical, panel=panel, verdict_price=verdict_price)
        if typical
        else None,
        rated_together=rated_together,
        watched=_watched(typical) if typical and plan.watched else [],
    )
    _show(found, settings, typical)
    if found.watched and typical:
        _show_watched(found.watched, typical.prompts)
    show_ratings(found.ratings, settings.power)
    if found.panel:
        show_panel(found.panel)
    for outlook in (*([found.together] if found.together else []), *found.rated_together):
        show_together(outlook, settings)
    _show_plan(found, plan, settings, shared=min(plan.overlap, len(study.comparisons)))
    return found


def _price(settings: PowerSettings) -> Price | None:
    if settings.prices is None:
        return None
    if not settings.model:
        raise LimaError("--prices needs --model: the name of the judge in that file.")
    price = read_price(settings.prices, settings.model)
    if price is None:
        raise LimaError(f"{settings.prices}: no price of {settings.model!r}.")
    return price


def _designs(study: StudyData, settings: PowerSettings) -> dict[tuple[str, str], Design]:
    """The planned comparison of each pair of systems: several samples of a prompt are one cluster."""
    rank = {system: position for position, system in enumerate(study.systems)}
    prompts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for comparison in sorted(study.comparisons):
        key = study.keys[comparison]
        prompts[pair_of(key, rank)][key.prompt_id] += 1
    level = settings.alpha or (study.plan or Plan()).alpha
    return {
        pair: Design(
            prompts=len(counts),
            ties=settings.ties,
            flips=settings.flips if settings.order == "both" else 0.0,
            samples=counts.total() // len(counts),
            correlation=settings.correlation,
            alpha=level,
            family=len(prompts),
            seed=settings.seed,
        )
        for pair, counts in sorted(prompts.items())
    }


def _pair_power(pair: tuple[str, str], design: Design, settings: PowerSettings) -> PairPower:
    gap = detectable_gap(design, power=settings.power)
    chances = {gap: power_of(gap, design) for gap in _gaps(design)}
    return PairPower(*pair, design.prompts, design.samples, gap, chances)


def _needed(design: Design, settings: PowerSettings) -> dict[float, int]:
    return {gap: prompts_needed(gap, design, power=settings.power) for gap in _gaps(design)}


def _gaps(design: Design) -> list[float]:
    """The gaps that can occur beside the share of ties."""
    return [gap for gap in GAPS if gap <= design.largest_gap]


def _tasks(study: StudyData, settings: PowerSettings, price: Price | None) -> list[TaskCost]:
    orders, times = (2 if settings.order == "both" else 1), settings.repeats * settings.judges
    comparisons, items = list(study.comparisons.values()), list(study.items.values())
    scales = ["helpfulness", "quality", "safety", *study.own_scales]
    rated = f"{', '.join(scales[:-1])} or {scales[-1]}, each"
    return [
        _task("pairwise", comparisons, orders * times, settings, price),
        _task(rated, items, times, settings, price),
    ]


def _task(
    name: str,
    texts: Sequence[Comparison] | Sequence[Item],
    times: int,
    settings: PowerSettings,
    price: Price | None,
) -> TaskCost:
    characters = sum(_length(text) + WORDS_OF_PROMPT for text in texts) * times
    calls = len(texts) * times
    asked, replied = round(characters / CHARACTERS_A_TOKEN), calls * settings.reply_tokens
    return TaskCost(name, calls, asked, replied, price.of(asked, replied) if price else None)


def _length(text: Comparison | Item) -> int:
    answers = len(text.a) + len(text.b) if isinstance(text, Comparison) else len(text.content)
    return answers + sum(len(message.content) for message in text.messages)


def _watched(design: Design) -> list[WatchedPower]:
    ties, alpha = design.ties + design.flips, design.alpha / design.family
    gaps = [*_gaps(design), *(gap for gap in (0.3, 0.4) if gap <= design.largest_gap)]
    return [
        WatchedPower(gap, *watching(gap, ties, design.prompts, alpha=alpha, seed=design.seed)) for gap in gaps
    ]


def _show_watched(rows: Sequence[WatchedPower], prompts: int) -> None:
    console.table(
        f"Watched, at most {prompts} prompts: when a true difference is decided (500 simulated studies)",
        ["win − loss, points", "decided by the end", "median of prompts until then"],
        [[f"{100 * r.gap:g}", f"{100 * r.found:.0f} %", r.prompts or "–"] for r in rows],
    )


def _show(found: Outlook, settings: PowerSettings, design: Design | None) -> None:
    if design is not None:
        _show_power(found, settings, design)
    by = f" by {settings.judges} judges" if settings.judges > 1 else ""
    console.table(
        f"Calls of lima judge{by}, tokens by {CHARACTERS_A_TOKEN:g} characters each",
        ["task", "calls", "tokens sent", "tokens received", "cost"],
        [
            [
                t.task,
                t.calls,
                t.prompt_tokens,
                t.reply_tokens,
                "unknown" if t.cost is None else f"{t.cost:.2f}",
            ]
            for t in found.tasks
        ],
    )


def _show_power(found: Outlook, settings: PowerSettings, design: Design) -> None:
    share = f"{100 * settings.power:g} %"
    test = f"the sign-flip test at level {design.alpha:.3g}"
    test += f", Holm over {design.family} baselines" if design.family > 1 else ""
    console.note(
        f"{design.rounds:,} simulated studies a figure: {test}; {100 * design.ties:g} % ties, "
        f"{100 * design.flips:g} % pairs whose orders disagree"
    )
    console.table(
        f"Found with {share} probability",
        ["pair", "prompts", "samples", "smallest win − loss, points"],
        [
            [
                f"{p.system} v {p.baseline}",
                p.prompts,
                p.samples,
                "none" if p.gap is None else f"{100 * p.gap:.1f}",
            ]
            for p in found.pairs
        ],
    )
    error = max((chance.error for pair in found.pairs for chance in pair.power.values()), default=0.0)
    console.table(
        f"Probability, in %, that a true difference is found (error of the simulation: at most {100 * error:.1f})",
        ["pair", *(f"{100 * gap:g} points" for gap in _gaps(design))],
        [
            [f"{p.system} v {p.baseline}", *(f"{100 * chance.value:.0f}" for chance in p.power.values())]
            for p in found.pairs
        ],
    )
    console.table(
        "Prompts that smaller differences need, about",
        ["win − loss, points", "prompts"],
        [[f"{100 * gap:g}", needed] for gap, needed in found.needed.items()],
    )


def _show_plan(found: Outlook, plan: Plan, settings: PowerSettings, *, shared: int) -> None:
    console.table(
        f"Work of people: {shared} comparisons shared by all groups, {settings.seconds_a_vote:g} s a vote",
        ["group", "votes", "hours"],
        [
            [group, votes, f"{votes * settings.seconds_a_vote / 3600:.1f}"]
            for group, votes in found.votes.items()
        ],
    )
    console.note(f"{plan_in_words(plan)} (protocol.yaml)")
    judge = ("judge", settings.study, "--task", "pairwise", "--order", settings.order, "--judge", "URL#MODEL")
    console.done([], command(*judge))
