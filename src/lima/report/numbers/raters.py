"""The raters themselves: who they are, how far they agree, what they follow, left unanswered, and cost."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lima.files import read_json
from lima.records import SCALE_VALUES, Grade, Preference
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import POOLED_KINDS, Vote, group_of, group_order
from lima.statistics.agreement import LABELS, Agreement, Rated, agreement_matrix
from lima.statistics.alt_test import AltTest, Closeness, alt_test
from lima.statistics.bias import Bias, Showing, bias
from lima.statistics.bootstrap import Resampling
from lima.statistics.competence import competence_of_enough
from lima.statistics.estimates import Estimate, Result, Undefined
from lima.statistics.reliability import Value, cohen_kappa, fleiss_kappa, gwet, krippendorff_alpha

MARGINS = {"crowd": 0.1, "author": 0.2}
"""Advantage granted to a person over a judge, by the cost of the work: authors are experts (arXiv 2501.10970)."""
Row: TypeAlias = tuple[str, str, Value | None]
"""Rater, text and rating."""
LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)


@dataclass(frozen=True)
class Coverage:
    """How many of the verdicts that a group was asked for are usable.

    A judge or an oracle is asked for every text of the study; people for those they have seen.
    """

    group: str
    task: str
    """``preference`` or the scale of a rating."""
    texts: int
    covered: int
    """Texts with at least one usable verdict of the group."""
    rows: int
    statuses: Mapping[str, int]

    @property
    def share(self) -> float:
        """The smaller of covered texts and usable rows, as a share."""
        usable = self.statuses.get("ok", 0) / self.rows if self.rows else 0.0
        return min(usable, self.covered / self.texts if self.texts else 0.0)


@dataclass(frozen=True)
class RaterCard:
    """A rater as ``raters.jsonl`` describes it."""

    id: str
    group: str
    kind: str
    description: str
    settings: Mapping[str, Any]
    rows: int
    competence: Estimate | None = None
    """Of people: the share of true labels by Dawid and Skene, where three or more share enough comparisons. Advice."""


@dataclass(frozen=True)
class Reliability:
    """Chance-corrected agreement of single raters on one task: of people, or of judges."""

    task: str
    who: str
    """``people`` or ``judges``."""
    raters: int
    alpha: Result
    ordered: bool
    """Whether labels have an order: then alpha is ordinal and Gwet's coefficient is AC2, else AC1."""
    gwet: Result
    kappa: Result
    """Cohen's of two raters, Fleiss' of more: what many papers give. It is low where nearly all labels are equal."""

    @property
    def kappa_name(self) -> str:
        """Whose kappa it is."""
        return "Cohen's kappa" if self.raters == 2 else "Fleiss' kappa"


@dataclass(frozen=True)
class JudgeTest:
    """Whether a judge may stand in for one kind of people of this study."""

    task: str
    judge: str
    people: str
    """``crowd`` or ``author``."""
    test: AltTest | Undefined


@dataclass(frozen=True)
class GroupBias:
    """The bias figures of one group of raters."""

    group: str
    bias: Bias


def agreements(votes: Sequence[Vote], resampling: Resampling) -> list[Agreement]:
    """Every cell of the matrix between groups in which at least one item was rated by two raters."""
    groups: dict[str, list[Rated]] = defaultdict(list)
    for vote in votes:
        if vote.label is not None:
            groups[vote.group].append(
                Rated(
                    vote.comparison,
                    vote.prompt,
                    vote.rater,
                    vote.label,
                    vote.consistent is not False,
                    vote.credit,
                )
            )
    ordered = {group: groups[group] for group in sorted(groups, key=group_order)}
    return [cell for cell in agreement_matrix(ordered, resampling=resampling) if cell.pairs]


def reliabilities(votes: Sequence[Vote], study: StudyData, level: float) -> list[Reliability]:
    """Krippendorff's alpha and Gwet's coefficient of each task, of people alone and of judges alone.

    Two orders that disagree are no label, and count as missing here.
    """
    tasks: dict[str, tuple[Sequence[Value], list[Row]]] = {
        "preference": (
            LABELS,
            [
                (v.rater, v.comparison, None if v.consistent is False else v.label)
                for v in votes
                if v.repeat == 0
            ],
        )
    }
    for scale, values in study.scales.items():
        rows: list[Row] = [
            (grade.rater, grade.item_id, grade.value)
            for grade in study.grades
            if grade.scale == scale and grade.repeat == 0 and grade.turn == 0
        ]
        tasks[scale] = (values, rows)
    found = []
    for task, (categories, rows) in tasks.items():
        for who, kinds in (("people", POOLED_KINDS), ("judges", ("judge",))):
            own = [row for row in rows if row[0].partition(":")[0] in kinds]
            if len({rater for rater, _, _ in own}) > 1:
                found.append(_reliability(task, who, categories, own, study, level))
    return found


def biases(study: StudyData, level: float) -> list[GroupBias]:
    """Side, flip and length figures by group, from raw verdicts; length is counted in characters."""
    groups: dict[str, list[Showing]] = defaultdict(list)
    for row in study.preferences:
        if row.label is None:
            continue
        comparison = study.comparisons[row.comparison_id]
        showing = Showing(
            item=(row.comparison_id, row.rater),
            cluster=study.keys[row.comparison_id].prompt_id,
            shown=row.shown,
            label=row.label,
            repeat=row.repeat,
            length_a=len(comparison.a),
            length_b=len(comparison.b),
            list_a=has_list(comparison.a),
            list_b=has_list(comparison.b),
        )
        groups[group_of(row.rater)].append(showing)
    return [GroupBias(group, bias(groups[group], level=level)) for group in sorted(groups, key=group_order)]


def coverages(study: StudyData, votes: Sequence[Vote]) -> list[Coverage]:
    """Coverage by group and task, in the order preference, then the scales."""
    usable = {(vote.group, vote.comparison) for vote in votes if vote.label is not None}
    preference = [(group_of(row.rater), row.comparison_id, row) for row in study.preferences]
    found = _coverage("preference", preference, usable, len(study.comparisons))
    for scale in study.scales:
        rows = [(group_of(row.rater), row.item_id, row) for row in study.grades if row.scale == scale]
        graded = {(group, item) for group, item, row in rows if row.value is not None}
        found += _coverage(scale, rows, graded, len(study.items))
    return found


def rater_cards(study: StudyData, votes: Sequence[Vote], level: float) -> list[RaterCard]:
    """Everyone who gave a row, as ``raters.jsonl`` describes them, if it does."""
    competent = _competence(votes, level)
    rows = Counter([row.rater for row in study.preferences] + [row.rater for row in study.grades])
    cards = []
    for rater in sorted({*rows, *study.raters}, key=lambda rater: (group_order(group_of(rater)), rater)):
        known = study.raters.get(rater)
        kind = known.kind if known else rater.partition(":")[0]
        description = known.description if known else ""
        settings = known.settings if known else {}
        told = (rater, group_of(rater), kind, description, settings, rows[rater])
        cards.append(RaterCard(*told, competence=competent.get(rater)))
    return cards


def _competence(votes: Sequence[Vote], level: float) -> dict[str, Estimate]:
    rated = [
        Rated(vote.comparison, vote.prompt, vote.rater, vote.label)
        for vote in votes
        if vote.label is not None and vote.repeat == 0 and group_of(vote.rater) in POOLED_KINDS
    ]
    found = competence_of_enough(rated)
    voters = Counter(row.item for row in rated if row.rater in found)
    prompts: dict[str, list[Hashable]] = defaultdict(list)
    for row in rated:
        if voters[row.item] > 1:
            prompts[row.rater].append(row.cluster)
    return {
        rater: Estimate(
            value,
            low=None,
            high=None,
            level=level,
            n=len(prompts[rater]),
            clusters=len(set(prompts[rater])),
            method="Dawid and Skene",
            note="no interval: fitted to the votes of all at once",
        )
        for rater, value in found.items()
    }


def has_list(text: str) -> bool:
    """Whether a text holds two lines or more that begin with a bullet or a number.

    >>> has_list("Do this:\\n1. Stop.\\n2. Look."), has_list("- alone")
    (True, False)
    """
    return len(LIST_LINE.findall(text)) >= 2


def alt_tests(
    votes: Sequence[Vote],
    grades: Sequence[Grade] = (),
    level: float = 0.95,
    *,
    scales: Mapping[str, Sequence[Value]] = SCALE_VALUES,
) -> list[JudgeTest]:
    """The alternative annotator test of every judge against each kind of people, with that kind's margin.

    Labels are compared as they are, ratings on a scale by their distance.
    """
    preference: list[Row] = [(v.rater, v.comparison, v.label) for v in votes if v.repeat == 0]
    found = _judge_tests("preference", preference, level)
    for scale, values in scales.items():
        rows: list[Row] = [
            (grade.rater, grade.item_id, values.index(grade.value))
            for grade in grades
            if grade.scale == scale and grade.repeat == 0 and grade.turn == 0 and grade.value is not None
        ]
        found += _judge_tests(scale, rows, level)
    return found


def _judge_tests(task: str, rows: Sequence[Row], level: float) -> list[JudgeTest]:
    labels: dict[str, dict[Hashable, object]] = defaultdict(dict)
    for rater, text, value in rows:
        if value is not None:
            labels[rater][text] = value
    people = {
        kind: [labels[rater] for rater in sorted(labels) if group_of(rater) == kind] for kind in POOLED_KINDS
    }
    closeness: Closeness = "accuracy" if task in ("preference", "safety") else "negative RMSE"
    return [
        JudgeTest(
            task,
            judge,
            kind,
            alt_test(labels[judge], people[kind], epsilon=MARGINS[kind], closeness=closeness, level=level),
        )
        for judge in sorted(rater for rater in labels if rater.startswith("judge:"))
        for kind in POOLED_KINDS
        if people[kind]
    ]


def _reliability(
    task: str,
    who: str,
    categories: Sequence[Value],
    rows: Sequence[Row],
    study: StudyData,
    level: float,
) -> Reliability:
    raters = sorted({rater for rater, _, _ in rows})
    texts = {text: position for position, text in enumerate(sorted({text for _, text, _ in rows}))}
    table: list[list[Value | None]] = [[None] * len(texts) for _ in raters]
    for rater, text, value in rows:
        table[raters.index(rater)][texts[text]] = value
    ordered = task not in ("preference", "safety")
    prompts = [study.keys[text].prompt_id for text in texts]
    return Reliability(
        task=task,
        who=who,
        raters=len(raters),
        ordered=ordered,
        alpha=krippendorff_alpha(
            table,
            categories,
            measurement="ordinal" if ordered else "nominal",
            clusters=prompts,
            level=level,
        ),
        gwet=gwet(
            table,
            categories,
            weights="quadratic" if ordered else "identity",
            clusters=prompts,
            level=level,
        ),
        kappa=_kappa(table, categories, prompts, level),
    )


def _kappa(
    table: Sequence[Sequence[Value | None]],
    categories: Sequence[Value],
    prompts: Sequence[str],
    level: float,
) -> Result:
    if len(table) != 2:
        return fleiss_kappa(table, categories, clusters=prompts, level=level)
    both = [
        (one, other, prompt)
        for one, other, prompt in zip(*table, prompts, strict=True)
        if one is not None and other is not None
    ]
    first, second, clusters = ([row[i] for row in both] for i in range(3))
    return cohen_kappa(first, second, categories, clusters=clusters, level=level)


def _coverage(
    task: str,
    rows: Sequence[tuple[str, str, Preference | Grade]],
    usable: set[tuple[str, str]],
    all_texts: int,
) -> list[Coverage]:
    found = []
    for group in sorted({group for group, _, _ in rows}, key=group_order):
        asked = [(text, row) for name, text, row in rows if name == group]
        texts = {text for text, _ in asked}
        statuses = Counter(row.status for _, row in asked)
        found.append(
            Coverage(
                group=group,
                task=task,
                texts=len(texts) if group in POOLED_KINDS else all_texts,
                covered=sum((group, text) in usable for text in texts),
                rows=len(asked),
                statuses=dict(sorted(statuses.items())),
            )
        )
    return found


@dataclass(frozen=True)
class JudgeCost:
    """The calls of one judge, retries included."""

    rater: str
    calls: int
    outcomes: Mapping[str, int]
    """Calls by what came back: ``replied``, or the kind of failure."""
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    """In the currency of the user's price file; None: unknown, which is not free."""


def judge_costs(folder: Path) -> list[JudgeCost]:
    """One entry a finished judge, by rater id."""
    records = [read_json(path) for path in sorted(folder.glob("judges/*/run.json"))]
    facts = [record["facts"] for record in records if record.get("finished")]
    costs = [
        JudgeCost(
            rater=str(fact["rater"]),
            calls=int(fact["calls"]),
            outcomes=fact["outcomes"],
            prompt_tokens=int(fact["prompt_tokens"]),
            completion_tokens=int(fact["completion_tokens"]),
            cost=fact["cost"] if isinstance(fact["cost"], int | float) else None,
        )
        for fact in facts
    ]
    return sorted(costs, key=lambda cost: cost.rater)
