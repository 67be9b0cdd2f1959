"""Rater by rater: how often each two agree, what the majority of people says, and whether a judge favours itself."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lima.records import Label
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import POOLED_KINDS, Vote, group_of, group_order
from lima.statistics.agreement import LABELS
from lima.statistics.bootstrap import Resampling
from lima.statistics.estimates import Result
from lima.statistics.intervals import clustered_mean, mean_share, share
from lima.statistics.reliability import cohen_kappa

DATED = re.compile(
    r"([-@:.](\d{4}-?\d\d-?\d\d|\d\d-\d\d|\d{4}|\d{6}|\d{3}|latest|preview|exp|main|free|beta|extended|nitro|"
    r"v\d:\d|gguf|awq|gptq|mlx|fp8|bf16|int[48]|[48]bit|i?q\d\w*))+$"
)
"""What vendors and shops hang on a name: a release, a price, how the weights are packed."""
MOST_RATERS = 8
"""With more raters than this the table of pairs would be too long to read; the groups' agreement stays."""


@dataclass(frozen=True)
class RaterPair:
    """Agreement of two single raters over the comparisons that both have judged."""

    first: str
    second: str
    n: int
    accuracy: Result
    """Tie-discounted accuracy."""
    same: Result
    """Share of equal labels."""
    kappa: Result
    """Cohen's."""


@dataclass(frozen=True)
class Majority:
    """The label that most people give: comparisons by label, for those that two people or more have judged."""

    people: int
    """Who judged any of these comparisons."""
    n: int
    counts: Mapping[str, int]
    """``a``, ``b``, ``tie``, and ``none`` where no label leads."""


@dataclass(frozen=True)
class SelfPreference:
    """A judge that is itself one of the systems: the credit it gives its own answers, beside what others give them."""

    judge: str
    system: str
    own: Result
    """Mean credit (win 1, tie 1/2) of its own answers, as it judges them."""
    others: Result
    """The same comparisons as all other raters judge them."""
    difference: Result
    """Own minus others, by comparison, clustered by prompt; above 0: it favours itself."""


def rater_pairs(votes: Sequence[Vote], resampling: Resampling) -> list[RaterPair]:
    """Every two raters with a comparison in common; none where the study has more than `MOST_RATERS`."""
    first = _first_votes(votes)
    return [
        _pair(
            [(own, first[other][name]) for name, own in first[one].items() if name in first[other]],
            resampling,
        )
        for one, other in shown_pairs(labels_by_rater(votes))
    ]


def shown_pairs(labels: Mapping[str, Mapping[str, Label]]) -> list[tuple[str, str]]:
    """Every two raters with a comparison in common, people first; none where there are too many."""
    if len(labels) > MOST_RATERS:
        return []
    order = sorted(labels, key=lambda rater: (group_order(group_of(rater)), rater))
    return [pair for pair in combinations(order, 2) if labels[pair[0]].keys() & labels[pair[1]].keys()]


def majority(votes: Sequence[Vote]) -> Majority | None:
    """The majority labels of all people; None where no comparison was judged by two of them."""
    said: dict[str, dict[str, Label]] = defaultdict(dict)
    for rater, labels in labels_by_rater(votes).items():
        if group_of(rater) in POOLED_KINDS:
            for comparison, label in labels.items():
                said[comparison][rater] = label
    shared = [given for given in said.values() if len(given) > 1]
    if not shared:
        return None
    people = {rater for given in shared for rater in given}
    counts = Counter(_leading(list(given.values())) for given in shared)
    return Majority(len(people), len(shared), {name: counts[name] for name in (*LABELS, "none")})


def self_preferences(study: StudyData, votes: Sequence[Vote], level: float) -> list[SelfPreference]:
    """For every judge whose model wrote answers of this study."""
    found = []
    for judge in sorted({vote.rater for vote in votes if vote.rater.startswith("judge:")}):
        model = _model(judge, study)
        own = {name for name in study.systems if model in _names(name, study)}
        apart = [v for v in votes if len({v.system, v.baseline} & own) == 1]
        others = [v for v in apart if v.rater != judge and _model(v.rater, study) != model]
        mine = [v for v in apart if v.rater == judge]
        found += [_self_preference(judge, system, mine, others, level) for system in sorted(own)]
    return found


def labels_by_rater(votes: Sequence[Vote]) -> dict[str, dict[str, Label]]:
    """The first verdict of every rater on every comparison, where there is one."""
    found = _first_votes(votes)
    return {
        rater: {text: vote.label for text, vote in rows.items() if vote.label}
        for rater, rows in found.items()
    }


def _first_votes(votes: Sequence[Vote]) -> dict[str, dict[str, Vote]]:
    """The first usable verdict of every rater on every comparison."""
    found: dict[str, dict[str, Vote]] = defaultdict(dict)
    for vote in votes:
        if vote.label is not None and vote.repeat == 0:
            found[vote.rater][vote.comparison] = vote
    return found


def _pair(shared: Sequence[tuple[Vote, Vote]], resampling: Resampling) -> RaterPair:
    """Of two raters' votes on the same comparisons; there is one at least."""
    one, other = [x.label for x, _ in shared if x.label], [y.label for _, y in shared if y.label]
    prompts = [vote.prompt for vote, _ in shared]
    credits = [1 - abs((x.credit or 0.0) - (y.credit or 0.0)) for x, y in shared]
    return RaterPair(
        first=shared[0][0].rater,
        second=shared[0][1].rater,
        n=len(shared),
        accuracy=mean_share(credits, prompts, level=resampling.level),
        same=share([x == y for x, y in zip(one, other, strict=True)], prompts, level=resampling.level),
        kappa=cohen_kappa(one, other, LABELS, clusters=prompts, level=resampling.level),
    )


def _leading(given: Sequence[Label]) -> str:
    ranked = Counter(given).most_common(2)
    return "none" if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def _model(judge: str, study: StudyData) -> str:
    known = study.raters.get(judge)
    named = known.settings.get("model") if known else None
    return _plain(str(named or judge.partition(":")[2].partition("@")[0]))


def _names(system: str, study: StudyData) -> set[str]:
    """What a system is known by: its name in the study, and the model that ``lima generate`` asked."""
    return {_plain(name) for name in (system, study.models.get(system, "")) if name}


def _plain(name: str) -> str:
    """A model's name without server, vendor and date, so that one model has one name.

    >>> {_plain(name) for name in ("gpt-4o", "openai/gpt-4o", "https://x/v1#gpt-4o-2024-08-06", "GPT-4o-latest")}
    {'gpt-4o'}
    """
    bare = name.rpartition("#")[2].rstrip("/").rpartition("/")[2].lower()
    bare = re.sub(r"^(\w+\.)*anthropic\.", "", bare)
    return re.sub("[._]", "-", DATED.sub("", bare))


def _self_preference(
    judge: str, system: str, own: Sequence[Vote], others: Sequence[Vote], level: float
) -> SelfPreference:
    mine, theirs = _credits(system, own), _credits(system, others)
    prompts = {vote.comparison: vote.prompt for vote in (*own, *others)}
    shared = [comparison for comparison in mine if comparison in theirs]
    gaps = [_mean(mine[c]) - _mean(theirs[c]) for c in shared]

    def mean(table: Mapping[str, Sequence[float]], over: Sequence[str]) -> Result:
        return mean_share([_mean(table[c]) for c in over], [prompts[c] for c in over], level=level)

    return SelfPreference(
        judge=judge,
        system=system,
        own=mean(mine, shared or list(mine)),
        others=mean(theirs, shared),
        difference=clustered_mean(gaps, [prompts[c] for c in shared], level=level),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _credits(system: str, votes: Sequence[Vote]) -> dict[str, list[float]]:
    """What each rater gives the system's answer, by comparison; a rater's repeats are one."""
    given: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        if vote.credit is not None and system in (vote.system, vote.baseline):
            credit = vote.credit if vote.system == system else 1 - vote.credit
            given[vote.comparison][vote.rater].append(credit)
    return {text: [_mean(values) for values in raters.values()] for text, raters in given.items()}
