"""Items for the reader to check: texts, the systems behind them, every verdict and the judge's raw text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lima.files import text_hash
from lima.records import Grade, Message, Origin, Preference
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import group_order


@dataclass(frozen=True)
class ShownAnswer:
    """One answer with the system that wrote it."""

    system: str
    completion_id: str
    content: str


@dataclass(frozen=True)
class ShownVerdict:
    """What one rater said of an item: a system's name, ``tie`` or a grade; None where missing."""

    rater: str
    words: str | None
    detail: str
    """The order or the scale, and the repeat."""
    status: str
    raw: str | None


@dataclass(frozen=True)
class Sample:
    """One comparison or one graded answer, as shown in the report."""

    id: str
    prompt_id: str
    messages: Sequence[Message]
    answers: Sequence[ShownAnswer]
    tags: Sequence[str]
    said: Sequence[ShownVerdict]


@dataclass(frozen=True)
class Samples:
    """The items shown, and how many there are in all."""

    comparisons: Sequence[Sample]
    items: Sequence[Sample]
    all_comparisons: int
    all_items: int


def draw_samples(study: StudyData, size: int, seed: int) -> Samples:
    """At most ``size`` items: half comparisons and half graded answers, or more of one where the other is few.

    The draw depends on the seed and the ids alone, so a text stays in the sample when verdicts arrive.
    """
    for_items = min(len(study.items), max(size // 2, size - len(study.comparisons)))
    preferences, grades = _by_text(study)
    comparisons = _draw(list(study.comparisons), size - for_items, seed)
    items = _draw(list(study.items), for_items, seed)
    return Samples(
        comparisons=[_comparison(study, text_id, preferences[text_id]) for text_id in comparisons],
        items=[_item(study, text_id, grades[text_id]) for text_id in items],
        all_comparisons=len(study.comparisons),
        all_items=len(study.items),
    )


def all_samples(study: StudyData) -> Samples:
    """Every item of the study."""
    return draw_samples(study, len(study.comparisons) + len(study.items), seed=0)


def _by_text(study: StudyData) -> tuple[dict[str, list[Preference]], dict[str, list[Grade]]]:
    preferences: dict[str, list[Preference]] = defaultdict(list)
    for row in study.preferences:
        preferences[row.comparison_id].append(row)
    grades: dict[str, list[Grade]] = defaultdict(list)
    for grade in study.grades:
        grades[grade.item_id].append(grade)
    return preferences, grades


def _draw(ids: list[str], size: int, seed: int) -> list[str]:
    return sorted(sorted(ids, key=lambda text_id: text_hash(str(seed), text_id))[: max(0, size)])


def _comparison(study: StudyData, text_id: str, rows: Sequence[Preference]) -> Sample:
    text, key = study.comparisons[text_id], study.keys[text_id]
    assert key.a is not None, key
    assert key.b is not None, key
    names = {"a": key.a.system, "b": key.b.system, "tie": "tie"}
    said = [
        ShownVerdict(
            rater=row.rater,
            words=names[row.label] + (", both bad" if row.both_bad else "") if row.label else None,
            detail=(f"{names[row.shown[0]]} shown first" if row.shown else "order not known")
            + _repeat(row.repeat),
            status=row.status,
            raw=row.raw,
        )
        for row in sorted(rows, key=lambda row: (group_order(row.rater), row.repeat, row.shown or ""))
    ]
    answers = [_answer(key.a, text.a), _answer(key.b, text.b)]
    return Sample(text_id, key.prompt_id, text.messages, answers, text.tags, said)


def _item(study: StudyData, text_id: str, rows: Sequence[Grade]) -> Sample:
    text, key = study.items[text_id], study.keys[text_id]
    assert key.content is not None, key
    said = [
        ShownVerdict(
            rater=row.rater,
            words=None if row.value is None else str(row.value),
            detail=row.scale + (f", turn {row.turn + 1}" if row.turn else "") + _repeat(row.repeat),
            status=row.status,
            raw=row.raw,
        )
        for row in sorted(rows, key=lambda row: (group_order(row.rater), row.scale, row.turn, row.repeat))
    ]
    answers = [_answer(key.content, text.content)]
    return Sample(text_id, key.prompt_id, text.messages, answers, text.tags, said)


def _answer(origin: Origin, content: str) -> ShownAnswer:
    return ShownAnswer(origin.system, origin.completion_id, content)


def _repeat(repeat: int) -> str:
    return f", repeat {repeat + 1}" if repeat else ""
