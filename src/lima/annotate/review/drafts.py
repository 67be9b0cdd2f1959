"""The texts of the review queue as rows: candidates of `lima curate` and what people wrote, with what was decided on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from lima.annotate.people import Participant, new_token, record
from lima.annotate.tables import decisions, drafts, raters
from lima.records import Decision, Example

Kind = Literal["candidate", "authored"]
LEAD = "lead"
"""Stands for a reader where the lead has settled a text."""


@dataclass(frozen=True)
class TextDecision:
    """What one person decided."""

    rater: str
    decision: Decision
    edited: Example | None
    reason: str
    at: float


@dataclass(frozen=True)
class QueuedText:
    """A text that waits for a decision, or has one."""

    id: int
    token: str
    kind: Kind
    text_id: str
    group: str
    author: str | None
    example: Example
    state: str
    version: int
    outcome: TextDecision | None
    verdicts: tuple[TextDecision, ...] = ()

    def was_read_by(self, person: Participant) -> bool:
        """Whether the person has decided on it."""
        return any(verdict.rater == person.name for verdict in self.verdicts)

    @property
    def final(self) -> Example | None:
        """The text to use, if it was taken."""
        if self.state not in ("accept", "edit"):
            return None
        return self.outcome.edited if self.outcome and self.outcome.edited else self.example


def read_drafts(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[QueuedText]:
    """The texts for which ``which`` holds, by rank."""
    query = sa.select(drafts, raters.c.name).outerjoin(raters, raters.c.id == drafts.c.rater_id).where(which)
    rows = connection.execute(query.order_by(drafts.c.rank, drafts.c.id)).all()
    verdicts: dict[int, list[TextDecision]] = {row.id: [] for row in rows}
    said = sa.select(decisions, raters.c.name).join(raters, raters.c.id == decisions.c.rater_id)
    if len(rows) == 1:
        said = said.where(decisions.c.draft_id.in_(list(verdicts)))
    for row in connection.execute(said.order_by(decisions.c.id)):
        if row.draft_id in verdicts:
            edited = Example.model_validate(row.edited) if row.edited else None
            verdicts[row.draft_id].append(TextDecision(row.name, row.decision, edited, row.reason, row.at))
    return [
        QueuedText(
            id=row.id,
            token=row.token,
            kind=row.kind,
            text_id=row.text_id,
            group=row.grp,
            author=row.name,
            example=Example.model_validate(row.content),
            state=row.state,
            version=row.version,
            outcome=_outcome(row.outcome),
            verdicts=tuple(verdicts[row.id]),
        )
        for row in rows
    ]


def _outcome(value: dict[str, Any] | None) -> TextDecision | None:
    if not value:
        return None
    edited = Example.model_validate(value["edited"]) if value["edited"] else None
    return TextDecision(value["rater"], value["decision"], edited, value["reason"], value["at"])


RATER: sa.BindParameter[int] = sa.bindparam("rater")
WAITING = (
    sa.select(
        drafts.c.id,
        drafts.c.kind,
        sa.select(sa.func.count())
        .where(decisions.c.draft_id == drafts.c.id)
        .scalar_subquery()
        .label("decided"),
    )
    .where(
        drafts.c.grp == sa.bindparam("group"),
        drafts.c.state == "open",
        drafts.c.rater_id.is_(None) | (drafts.c.rater_id != RATER),
        drafts.c.id.not_in(sa.select(decisions.c.draft_id).where(decisions.c.rater_id == RATER)),
    )
    .order_by(drafts.c.rank, drafts.c.id)
)
"""The open texts that a person has not decided on and did not write."""


def withdraw(connection: sa.Connection, rater_id: int, now: float) -> None:
    """Open again what an excluded reader decided, unless the lead has settled it."""
    theirs = decisions.c.rater_id == rater_id
    for draft in read_drafts(connection, drafts.c.id.in_(sa.select(decisions.c.draft_id).where(theirs))):
        connection.execute(sa.delete(decisions).where(decisions.c.draft_id == draft.id, theirs))
        if draft.outcome is None or draft.outcome.rater != LEAD:
            values = {"state": "open", "outcome": None, "changed_at": now}
            connection.execute(sa.update(drafts).where(drafts.c.id == draft.id).values(values))
        record(connection, "undecide", now, rater_id=rater_id, payload={"draft": draft.text_id})


def take_over(connection: sa.Connection, text_id: str, outcome: dict[str, Any], now: float) -> bool:
    """Keep a decision that was made outside, unless people here have decided since, or somebody is about to."""
    row = connection.execute(sa.select(drafts).where(drafts.c.text_id == text_id)).one()
    is_older = outcome["at"] and outcome["at"] <= row.changed_at
    read = connection.scalar(sa.select(decisions.c.id).where(decisions.c.draft_id == row.id).limit(1))
    if row.state != "open" or is_older or read is not None:
        return False
    values = {"state": outcome["decision"], "outcome": outcome, "changed_at": now}
    connection.execute(sa.update(drafts).where(drafts.c.id == row.id).values(values))
    record(connection, "take over", now, payload={"draft": text_id} | outcome)
    return True


def add_candidates(connection: sa.Connection, rows: Sequence[dict[str, Any]], now: float) -> int:
    """Store candidates that are not there yet: `text_id`, `content`, `rank`, and an outcome where one is decided."""
    there = set(connection.scalars(sa.select(drafts.c.text_id)))
    new = [row for row in rows if row["text_id"] not in there]
    defaults = {"kind": "candidate", "grp": "A", "rater_id": None, "version": 0, "changed_at": now}
    if new:
        connection.execute(sa.insert(drafts), [defaults | {"token": new_token()} | row for row in new])
    return len(new)
