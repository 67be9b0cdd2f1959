"""What a lead should look at in each rater's answers: time, sides, ties, patterns, checks, agreement with the others.

All of it is advice: an honest rater can be quick, or right against the others. Nobody is excluded by it.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lima.annotate.compare.overview import percent
from lima.annotate.compare.presentations import ANSWERED, GOLD, REPEAT
from lima.annotate.database import Database
from lima.annotate.languages import Said
from lima.annotate.people import NOT_COUNTED
from lima.annotate.tables import presentations, raters, units
from lima.records import SCALE_VALUES, Side

FEWEST = 20
"""Below this many answers nothing is said of side, speed, ties or patterns."""
FEWEST_SHARED, FEWEST_CHECKS = 10, 4
FAST_SHARE = 1 / 3
"""A rater whose median time is under this share of all raters' median is marked as fast."""
SHORTEST_SECONDS = 3.0
"""Nobody reads a question and two answers in less."""
MOST_TIES = 0.8
MOST_ALIKE = 0.95
"""Ratings on a scale of more than two values that are one and the same; of two, such as safe, one may be nearly always right."""
LONGEST_PERIOD, PATTERN = 4, 0.72
"""Choices that equal the one 1 to 4 before with a share whose 99 % interval lies above this are a pattern. Sides are
drawn, so a rater who always prefers one system repeats them with a share of about one half."""
LEAST_ALIKE, LEAST_RIGHT = 0.5, 0.7


@dataclass(frozen=True)
class RaterFigures:
    """One rater's answers in numbers, as text with intervals where they are shares."""

    answered: int
    surplus: int
    seconds: float | None
    """Median time of an answer."""
    ties: str
    first: str
    """Share of decided comparisons that went to the answer shown first, with its interval."""
    checks: str
    """Repeated comparisons answered as the first time, of those asked."""
    gold: str
    """Known answers given, of those asked."""
    agreement: str
    """Tie-discounted accuracy against all others who compared the same, with its interval."""
    competence: str
    """Share of true labels by Dawid and Skene, where three raters or more have shared enough."""
    warnings: tuple[str, ...]


SEEN = tuple(
    presentations.c[name] for name in ("rater_id", "unit_id", "repeat", "shown", "state", "answer", "seconds")
)


def rater_figures(
    base: Database,
    known: Mapping[str, Side],
    *,
    scales: Mapping[str, Sequence[str | int]] = SCALE_VALUES,
) -> dict[int, RaterFigures]:
    """The raters who have answered, by id; ``known`` holds the answers of the gold checks, ``scales`` the values of each scale."""
    query = (
        sa.select(*SEEN, units.c.task, units.c.text_id, raters.c.state.label("rater_state"))
        .join(units, units.c.id == presentations.c.unit_id)
        .join(raters, raters.c.id == presentations.c.rater_id)
        .where(presentations.c.state.in_(ANSWERED))
        .order_by(presentations.c.id)
    )
    by_rater: dict[int, list[Any]] = defaultdict(list)
    with base.read() as connection:
        for row in connection.execute(query):
            by_rater[row.rater_id].append(row)
    medians = {rater: _median_seconds(rows) for rater, rows in by_rater.items()}
    known_medians = [found for found in medians.values() if found is not None]
    usual = statistics.median(known_medians) if known_medians else None
    compared = _Compared(_agreements(by_rater), _competence(by_rater), scales)
    return {rater: _figures(rater, rows, usual, known, compared) for rater, rows in by_rater.items()}


@dataclass(frozen=True)
class _Compared:
    """What each rater's answers look like beside those of all others."""

    alike: Mapping[int, Any]
    competent: Mapping[int, float]
    scales: Mapping[str, Sequence[str | int]]


def usual_seconds(figures: Iterable[RaterFigures]) -> float | None:
    """The median over the raters of their median time of an answer; None: nobody has answered."""
    known = [found.seconds for found in figures if found.seconds is not None]
    return statistics.median(known) if known else None


def _figures(
    rater: int,
    rows: Sequence[Any],
    usual: float | None,
    known: Mapping[str, Side],
    others: _Compared,
) -> RaterFigures:
    votes = [row for row in rows if not row.repeat]
    compared = [row for row in votes if row.task == "pairwise"]
    ties = sum(row.answer["pairwise"] == "tie" for row in compared)
    checks, gold, alike = _repeats(rows), _known(rows, known), others.alike
    warnings = [
        *_of_time(votes, usual),
        *_of_choices(compared, ties),
        *_of_ratings([row.answer for row in votes if row.task == "rate"], others.scales),
        *_of_checks(checks, gold),
        *_of_agreement(rater, alike),
    ]
    return RaterFigures(
        answered=len(votes),
        surplus=sum(row.state == "surplus" for row in votes),
        seconds=_median_seconds(votes),
        ties=f"{100 * ties / len(compared):.0f} %" if compared else "",
        first=percent(_first(compared)) if len(compared) > ties else "",
        checks=_of(*checks),
        gold=_of(*gold),
        agreement=percent(alike[rater]) if rater in alike else "",
        competence=f"{100 * others.competent[rater]:.0f} %" if rater in others.competent else "",
        warnings=tuple(warnings),
    )


def _of_time(votes: Sequence[Any], usual: float | None) -> Iterator[str]:
    seconds = _median_seconds(votes)
    if seconds is None or usual is None or len(votes) < FEWEST:
        return
    if seconds < SHORTEST_SECONDS:
        yield Said("under {seconds} s an answer", seconds=f"{SHORTEST_SECONDS:.0f}")
    elif seconds < FAST_SHARE * usual:
        yield Said("much faster than the others")
    half = len(votes) // 2
    early, late = _median_seconds(votes[:half]), _median_seconds(votes[half:])
    if early and late is not None and late < FAST_SHARE * early:
        yield Said("speeds up: {early} s, later {late} s", early=f"{early:.0f}", late=f"{late:.0f}")


def _of_choices(compared: Sequence[Any], ties: int) -> Iterator[str]:
    if len(compared) < FEWEST:
        return
    if ties >= MOST_TIES * len(compared):
        yield Said("nearly always a tie")
        return
    first = _first(compared)
    if len(compared) - ties >= FEWEST and not first.low <= 0.5 <= first.high:
        yield Said("leans to one side")
    elif _has_pattern([_on_screen(row) for row in compared]):
        yield Said("follows a pattern")


def _of_ratings(
    rated: Sequence[Mapping[str, Any]], scales: Mapping[str, Sequence[str | int]]
) -> Iterator[str]:
    if len(rated) < FEWEST:
        return
    for scale, values in scales.items():
        given = Counter(answer[scale] for answer in rated if scale in answer)
        if len(values) > 2 and given and max(given.values()) >= MOST_ALIKE * given.total():
            yield Said("nearly always the same value: {scale}", scale=scale)


def _has_pattern(choices: Sequence[str]) -> bool:
    from lima.statistics.intervals import wilson

    for period in range(1, LONGEST_PERIOD + 1):
        same = sum(one == other for one, other in zip(choices, choices[period:], strict=False))
        found = wilson(same, len(choices) - period, level=0.99)
        if (getattr(found, "low", None) or 0.0) > PATTERN:
            return True
    return False


def _of_checks(checks: tuple[int, int], gold: tuple[int, int]) -> Iterator[str]:
    if checks[1] >= FEWEST_CHECKS and checks[0] < LEAST_ALIKE * checks[1]:
        yield Said("contradicts itself")
    if gold[1] >= FEWEST_CHECKS and gold[0] < LEAST_RIGHT * gold[1]:
        yield Said("misses known answers")


def _of_agreement(rater: int, alike: Mapping[int, Any]) -> Iterator[str]:
    """Whether even the upper end of the rater's interval is below what the others reach in the middle."""
    others = [found.value for other, found in alike.items() if other != rater]
    mine = alike.get(rater)
    if mine is None or not others or mine.n < FEWEST_SHARED:
        return
    high = mine.value if mine.high is None else mine.high
    if high < statistics.median(others):
        yield Said("agrees less than the others")


def _agreements(by_rater: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
    """Of each rater with all others on the same comparisons; raters who do not count are no measure for others."""
    from lima.statistics.agreement import tie_discounted_accuracy
    from lima.statistics.estimates import Estimate
    from lima.statistics.intervals import mean_share

    votes: dict[int, dict[int, Any]] = defaultdict(dict)
    for rater, rows in by_rater.items():
        for row in rows:
            if row.task == "pairwise" and not row.repeat:
                votes[row.unit_id][rater] = row
    credits: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for unit, found in votes.items():
        for rater, row in found.items():
            others = [o.answer["pairwise"] for one, o in found.items() if one != rater and _counts(o)]
            if others:
                mine = [row.answer["pairwise"]] * len(others)
                credits[rater].append((unit, tie_discounted_accuracy(mine, others)))
    means = {
        rater: mean_share([value for _, value in found], [unit for unit, _ in found])
        for rater, found in credits.items()
    }
    return {rater: found for rater, found in means.items() if isinstance(found, Estimate)}


def _competence(by_rater: Mapping[int, Sequence[Any]]) -> dict[int, float]:
    """Of the raters who count."""
    from lima.statistics.agreement import Rated
    from lima.statistics.competence import competence_of_enough

    rated = [
        Rated(row.unit_id, row.unit_id, str(rater), row.answer["pairwise"])
        for rater, rows in by_rater.items()
        for row in rows
        if row.task == "pairwise" and not row.repeat and _counts(row)
    ]
    return {int(rater): value for rater, value in competence_of_enough(rated).items()}


def _counts(row: Any) -> bool:
    return row.rater_state not in NOT_COUNTED


def _first(compared: Sequence[Any]) -> Any:
    """Share of decided votes for the answer shown first, with a 99 % interval."""
    from lima.statistics.intervals import wilson

    decided = [_on_screen(row) for row in compared if row.answer["pairwise"] != "tie"]
    return wilson(decided.count("first"), len(decided), level=0.99)


def _on_screen(row: Any) -> str:
    label = row.answer["pairwise"]
    return "tie" if label == "tie" else "first" if label == row.shown[0] else "second"


def _repeats(rows: Sequence[Any]) -> tuple[int, int]:
    before = {row.unit_id: row.answer for row in rows if not row.repeat}
    again = [row for row in rows if row.repeat == REPEAT]
    return sum(row.answer == before.get(row.unit_id) for row in again), len(again)


def _known(rows: Sequence[Any], known: Mapping[str, Side]) -> tuple[int, int]:
    asked = [row for row in rows if row.repeat == GOLD and row.text_id in known]
    return sum(row.answer["pairwise"] == known[row.text_id] for row in asked), len(asked)


def _of(right: int, asked: int) -> str:
    return Said("{done} of {all}", done=right, all=asked) if asked else ""


def _median_seconds(rows: Sequence[Any]) -> float | None:
    """Answers that were imported may have no time."""
    known = [float(row.seconds) for row in rows if row.seconds is not None]
    return statistics.median(known) if known else None
