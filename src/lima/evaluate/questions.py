"""Study rows -> the questions to a judge, and logged replies -> the rows that raters write.

A question's id is ``<row>/<order>/<repeat>``: every order and every repeat is a request of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from lima.evaluate.forms import numeric
from lima.evaluate.identity import Judge
from lima.evaluate.parse import Verdict, read_verdict
from lima.evaluate.settings import Task
from lima.evaluate.study import Study
from lima.evaluate.wording import item_text, pairwise_text
from lima.files import text_hash
from lima.records import Comparison, Grade, Item, Label, Preference, Shown
from lima.remote.log import Attempt, ChatAnswer, ChatCall, read_answer

Rows = Sequence[Comparison] | Sequence[Item]

LABELS: dict[tuple[Shown, str], Label] = {
    ("ab", "a"): "a",
    ("ab", "b"): "b",
    ("ab", "tie"): "tie",
    ("ba", "a"): "b",
    ("ba", "b"): "a",
    ("ba", "tie"): "tie",
}
"""What a judge said of Answer A and Answer B -> the label in the frame of ``comparisons.jsonl``."""


@dataclass(frozen=True)
class Question:
    """One question to the judge: which row, in which order (pairs only), for which time."""

    row: Comparison | Item
    shown: Shown | None
    repeat: int

    @property
    def id(self) -> str:
        """``<row>/<order>/<repeat>``."""
        return f"{self.row.id}/{self.shown or 'one'}/{self.repeat:03d}"

    def text(self, judge: Judge) -> str:
        """What the judge reads."""
        if isinstance(self.row, Comparison):
            return pairwise_text(judge.prompt, self.row, self.shown or "ab")
        return item_text(judge.prompt, self.row)

    def request(self, judge: Judge) -> ChatCall:
        """What is sent: every parameter, and a seed of its own."""
        messages = [{"role": "user", "content": self.text(judge)}]
        body = {"model": judge.endpoint.model, "messages": messages, **judge.parameters}
        if "seed" in body:
            body["seed"] = int(text_hash(str(judge.settings.seed), self.id, length=8), 16) >> 1
        return ChatCall.model_construct(id=self.id, body=body)  # checked by its making; validation is slow


def rows_of(study: Study, task: Task) -> Rows:
    """What is rated at a task."""
    return study.read_comparisons() if task == "pairwise" else study.read_items()


def plan(judge: Judge, rows: Rows) -> list[Question]:
    """The questions that the settings ask for, by id."""
    questions = [
        Question(row, shown, repeat)
        for row in rows[: judge.settings.limit]
        for repeat in range(judge.settings.repeats)
        for shown in _orders(judge, row, repeat)
    ]
    return sorted(questions, key=lambda question: question.id)


def _orders(judge: Judge, row: Comparison | Item, repeat: int) -> tuple[Shown | None, ...]:
    if not isinstance(row, Comparison):
        return (None,)
    if judge.settings.order == "both":
        return ("ab", "ba")
    drawn = int(text_hash("order", row.id, row.a, row.b, str(repeat)), 16) % 2
    return ("ab" if drawn == 0 else "ba",)


def verdict_of(
    judge: Judge, question: Question, attempt: Attempt | None
) -> tuple[Verdict, ChatAnswer | None]:
    """What a logged attempt says."""
    replied = attempt is not None and attempt.outcome == "replied"
    answer = read_answer(attempt.raw) if replied and attempt is not None else None
    prompt = question.text(judge) if answer is not None else ""
    verdict = read_verdict(
        answer,
        judge.offered,
        digits=numeric(judge.offered),
        prompt=prompt,
        form=judge.settings.verdict,
        further=judge.beside.fields,
    )
    return verdict, answer


def ratings(judge: Judge, rows: Rows, outcomes: Mapping[str, Attempt]) -> Iterator[Preference | Grade]:
    """The row of every logged question, whichever run asked it."""
    known: dict[str, Comparison | Item]
    known = {row.id: row for row in rows}
    for identity, attempt in outcomes.items():
        row_id, shown, repeat = identity.split("/")
        row = known.get(row_id)
        if isinstance(row, Comparison):
            assert shown in get_args(Shown), identity
            yield _preference(judge, Question(row, "ab" if shown == "ab" else "ba", int(repeat)), attempt)
        elif row is not None:
            yield _grade(judge, Question(row, None, int(repeat)), attempt)


def _preference(judge: Judge, question: Question, attempt: Attempt) -> Preference:
    verdict, answer = verdict_of(judge, question, attempt)
    shown = question.shown or "ab"
    return Preference(
        id=f"{judge.rater_id}/{question.id}",
        comparison_id=question.row.id,
        rater=judge.rater_id,
        shown=shown,
        label=LABELS[shown, verdict.value] if verdict.value else None,
        credit=_credit(verdict.probabilities, shown) if verdict.probabilities else None,
        **_beside(judge, verdict, shown),
        repeat=question.repeat,
        status=verdict.status,
        raw=_raw(attempt, answer),
        seconds=attempt.seconds,
        at=attempt.at,
    )


def _beside(judge: Judge, verdict: Verdict, shown: Shown) -> dict[str, Any]:
    """What a judge said beside its verdict, in the frame of ``comparisons.jsonl``; of a tie there is no strength."""
    said = verdict.beside or {}
    criteria = {
        name: LABELS[shown, str(said[name]).lower()] for name in judge.beside.criteria if name in said
    }
    strength = said.get("strength") if verdict.value != "tie" else None
    return {"criteria": criteria, "strength": strength, "both_bad": bool(said.get("both_bad"))}


def _credit(probabilities: Mapping[str, float], shown: Shown) -> float:
    """The part of the win that side a gets: half of a tie's probability goes to each."""
    first = probabilities["a"] + probabilities["tie"] / 2
    return round(first if shown == "ab" else 1 - first, 6)


def _grade(judge: Judge, question: Question, attempt: Attempt) -> Grade:
    verdict, answer = verdict_of(judge, question, attempt)
    values = {str(value): value for value in judge.words.values}
    return Grade(
        id=f"{judge.rater_id}/{question.id}",
        item_id=question.row.id,
        rater=judge.rater_id,
        scale=judge.settings.task,
        value=values[verdict.value] if verdict.value else None,
        probabilities=dict(verdict.probabilities) if verdict.probabilities else None,
        repeat=question.repeat,
        status=verdict.status,
        raw=_raw(attempt, answer),
        seconds=attempt.seconds,
        at=attempt.at,
    )


def _raw(attempt: Attempt, answer: ChatAnswer | None) -> str:
    """The judge's own words; of a failed call, how it failed."""
    if answer is not None:
        return answer.refusal or answer.content
    http = f" HTTP {attempt.http}" if attempt.http else ""
    return f"[{attempt.outcome}{http}] {attempt.raw}".rstrip()
