"""The report's main table: win, tie and loss of the system under study against every baseline, by rater group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lima.evaluate.protocol import Plan
from lima.report.numbers.votes import Vote, group_order, short_names
from lima.statistics.bradley_terry import Duel, Strength, bradley_terry
from lima.statistics.estimates import Result, Significance, Undefined
from lima.statistics.intervals import share
from lima.statistics.length_control import LengthControlled, length_controlled
from lima.statistics.preferences import Posterior, WinTieLoss, dirichlet_posterior, win_tie_loss
from lima.statistics.significance import holm


@dataclass(frozen=True)
class Ranking:
    """All systems on one scale, as one group of raters sees them; why not, where there is no such scale."""

    group: str
    reference: str
    strengths: Sequence[Strength]
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
    result: WinTieLoss
    at_equal_length: LengthControlled
    """Win + tie/2 that a regression gives for answers of the same length."""


@dataclass(frozen=True)
class PairFinding:
    """The verdict on one baseline in a sentence, and one line a group of raters."""

    system: str
    baseline: str
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
    return _adjusted([_pair_result(place, table[place], level, plan) for place in order])


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
            duels[vote.group].append(Duel(vote.system, vote.baseline, vote.outcome, vote.prompt))
    found = []
    for group in sorted(duels, key=group_order):
        named = {name for duel in duels[group] for name in (duel.first, duel.second)}
        reference = next(system for system in systems if system in named)
        if len(named) > 2:
            result = bradley_terry(duels[group], reference, level=level)
            if isinstance(result, Undefined):
                found.append(Ranking(group, reference, [], str(result)))
            else:
                found.append(Ranking(group, reference, result, ""))
    return found


def findings(results: Sequence[PairResult], systems: Sequence[str]) -> list[PairFinding]:
    """One finding a pair of systems, in the order of ``systems``."""
    table: dict[tuple[str, str], list[PairResult]] = defaultdict(list)
    for result in results:
        table[result.system, result.baseline].append(result)
    order = sorted(table, key=lambda pair: [systems.index(name) for name in pair])
    names = short_names({result.group for result in results})
    return [PairFinding(*pair, _sentence(*pair, table[pair], names), table[pair]) for pair in order]


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


def _pair_result(
    place: tuple[str, str, str], votes: Sequence[Vote], level: float, plan: Plan | None
) -> PairResult:
    usable = [vote for vote in votes if vote.outcome is not None]
    outcomes = [vote.outcome for vote in usable if vote.outcome]
    prompts = [vote.prompt for vote in usable]
    paired = [vote for vote in usable if vote.consistent is not None]
    credits = [vote.credit for vote in usable if vote.credit is not None]
    planned = plan is not None and plan.plans("pairwise", place[0])
    return PairResult(
        *place,
        planned=planned,
        alpha=plan.alpha if plan is not None and planned else 1 - level,
        missing=len(votes) - len(usable),
        inconsistent=share(
            [not vote.consistent for vote in paired], [vote.prompt for vote in paired], level=level
        ),
        result=win_tie_loss(outcomes, prompts, credits=credits, level=level),
        at_equal_length=length_controlled(
            outcomes, [vote.longer_by for vote in usable], prompts, credits=credits, level=level
        ),
    )


def _adjusted(results: list[PairResult]) -> list[PairResult]:
    """Holm's correction of both tests, each group of raters being one family."""
    adjusted = list(results)
    for group in {result.group for result in results}:
        members = [i for i, result in enumerate(results) if result.group == group]
        flips = holm([results[i].result.sign_flip for i in members])
        signs = holm([results[i].result.sign for i in members])
        for i, flip, sign in zip(members, flips, signs, strict=True):
            summary = replace(results[i].result, sign_flip=flip, sign=sign)
            adjusted[i] = replace(results[i], result=summary)
    return adjusted


def _sentence(system: str, baseline: str, results: Sequence[PairResult], names: Mapping[str, str]) -> str:
    usable = [result for result in results if result.result.n]
    if not usable:
        return f"There is no usable verdict on {system} against {baseline} yet."
    found: dict[int, list[str]] = defaultdict(list)
    for result in usable:
        found[direction(result)].append(_spoken(result.group, names))
    undecided = f"{_listed(found[0])} cannot tell them apart"
    if not found[1] and not found[-1]:
        return f"The verdicts of {_listed(found[0])} cannot tell {system} and {baseline} apart."
    if found[1] and found[-1]:
        parts = [f"{_listed(found[1])} for {system}", f"{_listed(found[-1])} for {baseline}"]
        parts += [undecided] if found[0] else []
        return f"Raters contradict each other on {system} against {baseline}: {'; '.join(parts)}."
    better, worse = (system, baseline) if found[1] else (baseline, system)
    sentence = f"{better} is preferred to {worse} by {_listed(found[1] or found[-1])}"
    return f"{sentence}; {undecided}." if found[0] else f"{sentence}."


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
