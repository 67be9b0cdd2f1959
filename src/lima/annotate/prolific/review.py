"""What a study's own checks suggest for each submission: a suggestion with its reason, and no verdict.

A submission belongs to a rater when both the person's id and the visit's are those that came with it: whoever types a
stranger's id into the address pays nobody and spoils nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from lima.annotate.compare.raters import rater_figures
from lima.annotate.database import Database
from lima.annotate.people import STEPS
from lima.annotate.prolific.client import Submission
from lima.annotate.tables import events, panel_visits, raters

Suggestion = Literal["approve", "return", "look", "nothing"]
AWAITING = "AWAITING REVIEW"
TOLD = {
    "failed": "Several answers did not match those of comparisons whose answer is known.",
    "unqualified": "Too few answers of the quiz were right.",
    "nothing": "There was nothing left to do, or the study was not begun.",
}
"""What people are told who are asked to return."""


@dataclass(frozen=True)
class Reviewed:
    """One submission beside what the study knows of it."""

    submission: Submission
    rater: str
    suggestion: Suggestion
    reason: str
    told: str = ""
    """For the person, where a return is suggested."""


@dataclass(frozen=True)
class Visitor:
    """A rater of the panel."""

    name: str
    state: str
    session: str
    study: str
    way_out: str
    answers: int
    warnings: tuple[str, ...]


def visitors(base: Database) -> dict[str, Visitor]:
    """The panel's raters by the person's id."""
    figures = rater_figures(base, {})
    mine = (events.c.rater_id == raters.c.id) & events.c.kind.in_(("answer", *STEPS))
    answers = sa.select(sa.func.count()).where(mine).scalar_subquery().label("answers")
    query = sa.select(panel_visits, raters.c.name, raters.c.state, answers).join(
        raters, raters.c.id == panel_visits.c.rater_id
    )
    with base.read() as connection:
        rows = connection.execute(query).all()
    return {row.participant: _visitor(row, figures) for row in rows}


def _visitor(row: sa.Row[Any], figures: dict[int, Any]) -> Visitor:
    found = figures.get(row.rater_id)
    return Visitor(
        row.name,
        row.state,
        row.session,
        row.study,
        row.way_out or "",
        row.answers,
        found.warnings if found else (),
    )


def review(submission: Submission, came: dict[str, Visitor], code: str | None) -> Reviewed:
    """What to do with one submission; ``code`` is that of people who are done."""
    visitor = came.get(submission.participant_id)
    name = visitor.name if visitor else ""
    if submission.status.replace("_", " ").upper() != AWAITING:
        return Reviewed(submission, name, "nothing", submission.status.lower())
    if submission.return_requested:
        return Reviewed(submission, name, "nothing", "a return was asked for")
    if visitor is None:
        return Reviewed(submission, "", "look", "nobody came to this study with this id")
    if visitor.session != submission.id:
        return Reviewed(submission, name, "look", "came to this study in another visit")
    return Reviewed(submission, name, *_of_work(visitor, submission.study_code == code))


def _of_work(visitor: Visitor, has_code: bool) -> tuple[Suggestion, str, str]:
    answers = f"{visitor.answers} {'answer' if visitor.answers == 1 else 'answers'}"
    if visitor.state == "failed":
        return "return", "missed the known answers", TOLD["failed"]
    if visitor.state == "unqualified":
        return "return", "did not pass the quiz", TOLD["unqualified"]
    if visitor.state == "excluded":
        return "look", f"you excluded this rater after {answers}", ""
    if not visitor.answers:
        return "return", "answered nothing", TOLD["nothing"]
    if visitor.way_out != "completed":
        return "look", f"{answers}, not finished", ""
    if visitor.warnings:
        return "look", f"finished, {answers}; {', '.join(visitor.warnings)}", ""
    return "approve", f"finished, {answers}{'' if has_code else '; handed in without its code'}", ""
