"""The report's main table: win, tie and loss of the system under study against every baseline, by rater group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from lima.evaluate.protocol import Plan
from lima.report.numbers.votes import Vote, group_order, short_names
from lima.statistics.bradley_terry import Duel, Strength, bradley_terry, ranks
from lima.statistics.estimates import Estimate, Result, Significance, Undefined
from lima.statistics.intervals import share
from lima.statistics.length_control import LengthControlled, difficulties, length_controlled
from lima.statistics.preferences import (
    Posterior,
    WinTieLoss,
    agreeing,
    dirichlet_posterior,
    gap_of,
    grading,
    win_tie_loss,
)
from lima.statistics.significance import holm, holm_step

Place: TypeAlias = tuple[str, str, str]
"""Group of raters, system, baseline."""
Difficulties: TypeAlias = Mapping[Place, Mapping[Hashable, float]]
ENOUGH_OTHERS = 4
"""Other systems from which a prompt's difficulty is estimated: with fewer it is mostly noise."""


@dataclass(frozen=True)
class Ranking:
    """All systems on one scale, as one group of raters sees them; why not, where there is no such scale."""

    group: str
    reference: str
    strengths: Sequence[Strength]
    ranks: Mapping[str, Estimate]
    """By system, the reference included: 1 is the strongest."""
    undefined: str


@dataclass(frozen=True)
class PairResult:
    """One system against one baseline, as one group of raters sees it."""

    group: str
    system: str
    baseline: str
    planned: bool
    """Whether the study's plan names this test; otherwise it is exploratory."""
    alpha: float
    """Below this adjusted p one of the two is called preferred: the plan's level, or 1 - the report's."""
    missing: int
    """Votes that have no usable verdict."""
    inconsistent: Result
    """Share of votes made of two orders in which the orders disagreed."""
    said_tie: Result
    """Share of votes that say tie: all ties but those made of two orders that disagreed."""
    disagree: Result
    """Share of votes made of two orders that disagreed, which count as ties; undefined where no vote had two."""
    result: WinTieLoss
    gap: Result
    """Win minus loss, its interval adjusted over the baselines of one group of raters (at the level of the pair's
    step in Holm's procedure: Serlin 1993, J. Exp. Educ. 61) and never at odds with the exact test."""
    at_equal_length: LengthControlled
    """Win + tie/2 that a regression gives for answers of the same length."""


@dataclass(frozen=True)
class PairFinding:
    """The verdict on one baseline in a sentence, and one line a group of raters."""

    system: str
    baseline: str
    named: str
    """The system that the sentence names first: gaps below it are seen from this side."""
    sentence: str
    results: Sequence[PairResult]


@dataclass(frozen=True)
class TagResult:
    """A pair's result on the prompts that carry one tag."""

    tag: str
    pair: PairResult


def pair_results(votes: Sequence[Vote], level: float, plan: Plan | None = None) -> list[PairResult]:
    """Results by pair and group; p values are Holm-adjusted over the baselines of one group."""
    table: dict[tuple[str, str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        table[vote.group, vote.system, vote.baseline].append(vote)
    order = sorted(table, key=lambda place: (group_order(place[0]), place[1:]))
    hubs = _difficulties(table)
    rows = [_pair_result(place, table[place], hubs, level, plan) for place in order]
    return _adjusted(rows, table)


@dataclass(frozen=True)
class PairPosterior:
    """What a Bayesian would say of one pair, as one group of raters sees it."""

    group: str
    system: str
    baseline: str
    posterior: Posterior | Undefined


def posteriors(results: Sequence[PairResult], level: float) -> list[PairPosterior]:
    """Dirichlet posteriors of wins, ties and losses, where every prompt has one verdict."""
    found = []
    for row in results:
        counts, prompts = row.result.counts, row.result.clusters
        several = Undefined(
            "a prompt has several verdicts, which are not independent", row.result.n, "Dirichlet posterior"
        )
        belief = dirichlet_posterior(counts, level=level) if prompts == row.result.n else several
        found.append(PairPosterior(row.group, row.system, row.baseline, belief))
    return found


def rankings(votes: Sequence[Vote], systems: Sequence[str], level: float) -> list[Ranking]:
    """Bradley-Terry strengths by group against the first system, where a group compared three systems or more."""
    duels: dict[str, list[Duel]] = defaultdict(list)
    for vote in votes:
        if vote.outcome and vote.system != vote.baseline:
            duels[vote.group].append(Duel(vote.system, vote.baseline, vote.outcome, vote.prompt, vote.credit))
    found = []
    for group in sorted(duels, key=group_order):
        named = {name for duel in duels[group] for name in (duel.first, duel.second)}
        reference = next(system for system in systems if system in named)
        if len(named) > 2:
            result = bradley_terry(duels[group], reference, level=level)
            if isinstance(result, Undefined):
                found.append(Ranking(group, reference, [], {}, str(result)))
            else:
                places = ranks(duels[group], reference, level=level)
                found.append(Ranking(group, reference, result, places, ""))
    return found


def findings(results: Sequence[PairResult], systems: Sequence[str]) -> list[PairFinding]:
    """One finding a pair of systems, in the order of ``systems``."""
    table: dict[tuple[str, str], list[PairResult]] = defaultdict(list)
    for result in results:
        table[result.system, result.baseline].append(result)
    order = sorted(table, key=lambda pair: [systems.index(name) for name in pair])
    names = short_names({result.group for result in results})
    return [PairFinding(*pair, *_sentence(*pair, table[pair], names), table[pair]) for pair in order]


MANY_PAIRS = 12
FEW_PAIRS = 6
"""With more pairs shown at once than this, one sentence a rater sums them up."""


def leading(found: Sequence[PairFinding], system: str) -> tuple[list[PairFinding], list[PairFinding]]:
    """What is shown at once and what is opened: with many pairs, those of ``system`` come first."""
    if len(found) <= MANY_PAIRS:
        return list(found), []
    first = [row for row in found if system in (row.system, row.baseline)]
    return first, [row for row in found if system not in (row.system, row.baseline)]


def in_short(found: Sequence[PairFinding], system: str, names: Mapping[str, str]) -> list[str]:
    """Where there are many pairs: for each group of raters which systems ``system`` beats, and which beat it; then, in one
    sentence, the groups that cannot tell it from any.
    """
    results: dict[str, list[PairResult]] = defaultdict(list)
    for finding in found:
        for pair in finding.results:
            if pair.result.n and system in (pair.system, pair.baseline):
                results[pair.group].append(pair)
    said, undecided = [], defaultdict(list)
    for group, pairs in results.items():
        if any(map(direction, pairs)):
            said.append(_in_short(pairs, system, _spoken(group, names)))
        else:
            undecided[len(pairs)].append(_spoken(group, names))
    for number, raters in undecided.items():
        who = _listed(raters)
        said.append(f"{who[0].upper()}{who[1:]} cannot tell {system} from any of {number} systems.")
    return said


def _in_short(pairs: Sequence[PairResult], system: str, rater: str) -> str:
    sides: dict[int, list[str]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: -_gap_value(pair.gap)):
        sides[side(pair, system)].append(pair.baseline if pair.system == system else pair.system)
    said = f"{system} is preferred to {_listed(sides[1])} by {rater}" if sides[1] else ""
    worse = f"{_listed(sides[-1])} {'is' if len(sides[-1]) == 1 else 'are'} preferred to {system} by {rater}"
    parts = [part for part in (said, worse if sides[-1] else "") if part]
    rest = f"; {len(sides[0])} cannot be told apart from it" if sides[0] else ""
    return f"{'; '.join(parts)}{rest}."


def _gap_value(gap: Result) -> float:
    return gap.value if isinstance(gap, Estimate) else 0.0


def tag_results(votes: Sequence[Vote], level: float) -> list[TagResult]:
    """Results by tag, pair and group. Tests are left to the whole set: these groups are small."""
    table: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        for tag in vote.tags:
            table[tag].append(vote)
    return [TagResult(tag, pair) for tag in sorted(table) for pair in pair_results(table[tag], level)]


def direction(result: PairResult) -> int:
    """1: the system is preferred, -1: the baseline is, 0: the Holm-adjusted p is not below the level of the test."""
    gap, p = result.result.gap, p_value(result.result.sign_flip)
    if isinstance(gap, Undefined) or p is None or p >= result.alpha:
        return 0
    return 1 if gap.value > 0 else -1


def side(result: PairResult, named: str) -> int:
    """`direction` as the system sees it that a sentence names first: 1 where that one is preferred."""
    return direction(result) if named == result.system else -direction(result)


def seen_from(gap: Result, named: str, system: str) -> Result:
    """A gap of ``system`` as ``named``, one of the two, sees it."""
    return gap if named == system or not isinstance(gap, Estimate) else gap.mirrored


def _pair_result(
    place: Place, votes: Sequence[Vote], hubs: Difficulties, level: float, plan: Plan | None
) -> PairResult:
    usable = [vote for vote in votes if vote.outcome is not None]
    outcomes = [vote.outcome for vote in usable if vote.outcome]
    prompts = [vote.prompt for vote in usable]
    paired = [vote for vote in usable if vote.consistent is not None]
    credits = [vote.credit for vote in usable if vote.credit is not None]
    planned = plan is not None and plan.plans("pairwise", place[0])
    result = win_tie_loss(outcomes, prompts, credits=credits, level=level)
    said, split = _ties(usable, level)
    difficulty = hubs.get(place, {})
    return PairResult(
        *place,
        planned=planned,
        alpha=plan.alpha if plan is not None and planned else 1 - level,
        missing=len(votes) - len(usable),
        inconsistent=share(
            [not vote.consistent for vote in paired], [vote.prompt for vote in paired], level=level
        ),
        said_tie=said,
        disagree=split,
        result=result,
        gap=result.gap,
        at_equal_length=length_controlled(
            outcomes,
            [vote.longer_by for vote in usable],
            prompts,
            credits=credits,
            difficulty=[difficulty.get(prompt, 0.0) for prompt in prompts] if difficulty else None,
            level=level,
        ),
    )


def _ties(usable: Sequence[Vote], level: float) -> tuple[Result, Result]:
    """The two kinds of ties as shares of all votes: said, and made of two orders that disagreed."""
    prompts = [vote.prompt for vote in usable]
    split = [vote.consistent is False for vote in usable]
    said = [vote.outcome == "tie" and not apart for vote, apart in zip(usable, split, strict=True)]
    if all(vote.consistent is None for vote in usable):
        none = Undefined("no verdict was given in both orders", len(usable), "share")
        return share(said, prompts, level=level), none
    return share(said, prompts, level=level), share(split, prompts, level=level)


def _difficulties(table: Mapping[Place, Sequence[Vote]]) -> Difficulties:
    """For pairs whose baseline, or system, met enough others: how those fared on each prompt, as a logit."""
    credits = {place: _credits(votes) for place, votes in table.items()}
    found = {}
    for place in table:
        for side in (2, 1):
            others = {
                other: prompts
                for other, prompts in credits.items()
                if other != place and (other[0], other[side]) == (place[0], place[side])
            }
            if len(others) >= ENOUGH_OTHERS and place not in found:
                found[place] = difficulties(others.values())
    return found


def _credits(votes: Sequence[Vote]) -> dict[Hashable, float]:
    """Mean credit by prompt."""
    given: dict[Hashable, list[float]] = defaultdict(list)
    for vote in votes:
        if vote.credit is not None:
            given[vote.prompt].append(vote.credit)
    return {prompt: sum(found) / len(found) for prompt, found in given.items()}


SUREST = 1 - 1e-12
"""No interval is wider: at a level that rounds to 1 it would be infinite."""


def _adjusted(results: list[PairResult], table: Mapping[Place, Sequence[Vote]]) -> list[PairResult]:
    """Holm's correction of both tests, and of the gap's interval, each group of raters being one family."""
    adjusted = list(results)
    for group in {result.group for result in results}:
        members = [i for i, result in enumerate(results) if result.group == group]
        flips = holm([results[i].result.sign_flip for i in members])
        signs = holm([results[i].result.sign for i in members])
        for i, flip, sign in zip(members, flips, signs, strict=True):
            row = results[i]
            usable = [vote for vote in table[row.group, row.system, row.baseline] if vote.outcome]
            gap = agreeing(
                _gap_at_step(usable, row.alpha, holm_step(flip, flips, row.alpha)), flip, row.alpha
            )
            summary = replace(row.result, sign_flip=flip, sign=sign)
            adjusted[i] = replace(row, result=summary, gap=gap)
    return adjusted


def _gap_at_step(usable: Sequence[Vote], alpha: float, step: int) -> Result:
    """The gap with the interval of one step of Holm's procedure; its level is that of the whole family."""
    outcomes = [vote.outcome for vote in usable if vote.outcome]
    credits = grading(outcomes, [vote.credit for vote in usable if vote.credit is not None])
    level = min(1 - alpha / step, SUREST)
    gap = gap_of(outcomes, [vote.prompt for vote in usable], credits=credits, level=level)
    if isinstance(gap, Undefined):
        return gap
    method = f"{gap.method}, at level {level:.4g} by Holm's step" if step > 1 else gap.method
    return replace(gap, level=1 - alpha, method=method)


def _sentence(
    system: str, baseline: str, results: Sequence[PairResult], names: Mapping[str, str]
) -> tuple[str, str]:
    """The system that it names first, and the sentence."""
    usable = [result for result in results if result.result.n]
    if not usable:
        return system, f"There is no usable verdict on {system} against {baseline} yet."
    found: dict[int, list[str]] = defaultdict(list)
    for result in usable:
        found[direction(result)].append(_spoken(result.group, names))
    undecided = f"{_listed(found[0])} cannot tell them apart"
    if not found[1] and not found[-1]:
        return system, f"The verdicts of {_listed(found[0])} cannot tell {system} and {baseline} apart."
    if found[1] and found[-1]:
        parts = [f"{_listed(found[1])} for {system}", f"{_listed(found[-1])} for {baseline}"]
        parts += [undecided] if found[0] else []
        return system, f"Raters contradict each other on {system} against {baseline}: {'; '.join(parts)}."
    better, worse = (system, baseline) if found[1] else (baseline, system)
    sentence = f"{better} is preferred to {worse} by {_listed(found[1] or found[-1])}"
    return better, f"{sentence}; {undecided}." if found[0] else f"{sentence}."


def _spoken(group: str, names: Mapping[str, str]) -> str:
    oracles = [name for name in names if name.startswith("oracle:")]
    if group in oracles and len(oracles) == 1:
        return "the oracle"
    return {"crowd": "the crowd", "author": "the authors"}.get(group, names[group])


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b`` or ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def p_value(test: Significance | Undefined) -> float | None:
    """The Holm-adjusted p value, else the plain one; None where there is none."""
    if isinstance(test, Undefined):
        return None
    return test.p if test.adjusted is None else test.adjusted
