"""Candidates and drafts: who reads what next, what was decided, and what became of it (LIMA, section 2).

A candidate of `lima curate` is decided by one or two people; a draft that somebody wrote here, by another person of
the same group. Groups A (training) and B (test prompts) never see each other's texts. What two people decide
differently waits for the lead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.people import Participant, record
from lima.annotate.review.drafts import LEAD, WAITING, Kind, QueuedText, TextDecision, read_drafts
from lima.annotate.review.leases import Leases
from lima.annotate.security import Refused
from lima.annotate.tables import decisions, drafts, events, raters
from lima.records import Decision, Example


class ReviewQueue:
    """The candidates and drafts of one review file."""

    def __init__(
        self,
        base: Database,
        clock: Callable[[], float],
        *,
        reviewers: int = 1,
        lease_seconds: float = 1800.0,
        changed: Callable[[], None],
    ) -> None:
        self.base, self.clock, self.reviewers, self.changed = base, clock, reviewers, changed
        self._leases = Leases(clock, lease_seconds)

    def next(self, person: Participant) -> QueuedText | None:
        """The text in the person's hands, or the first open one of its group that needs another reader."""
        with self.base.read() as connection:
            held = self._leases.take(person.id, self._wanted(connection, person))
            return None if held is None else read_drafts(connection, drafts.c.id == held)[0]

    def has_work(self, person: Participant) -> bool:
        """Whether `next` would find a text. Looking holds none."""
        with self.base.read() as connection:
            return self._leases.look(person.id, self._wanted(connection, person)) is not None

    def leave(self, rater_id: int) -> None:
        """What somebody has in hand goes to others."""
        self._leases.release(rater_id)

    def catch_up(self) -> None:
        """Settle texts that have decisions enough: fewer may be asked for than when they were made."""
        with self.base.write() as connection:
            waiting = [draft for draft in read_drafts(connection, drafts.c.state == "open") if draft.verdicts]
            for draft in waiting:
                self._settle(connection, draft.id)
        if waiting:
            self.changed()

    def get(self, person: Participant, token: str) -> QueuedText:
        """A text of the person's group; raises `Refused` (404)."""
        with self.base.read() as connection:
            found = read_drafts(connection, (drafts.c.token == token) & (drafts.c.grp == person.group))
        if not found:
            raise Refused(404, "There is no such text.")
        return found[0]

    def mine(self, person: Participant) -> list[QueuedText]:
        """What the person wrote, newest first, with what others decided."""
        with self.base.read() as connection:
            return read_drafts(connection, drafts.c.rater_id == person.id)[::-1]

    def everything(self) -> list[QueuedText]:
        """All texts, by rank."""
        with self.base.read() as connection:
            return read_drafts(connection, sa.true())

    def decide(
        self,
        person: Participant,
        token: str,
        decision: Decision,
        *,
        edited: Example | None,
        reason: str,
        version: int,
        key: str | None = None,
    ) -> None:
        """Decide on a text; one that its author has changed since is refused.

        ``key`` names the page that this comes from: sent twice, it is decided once, even if it was taken back between.
        """
        draft = self.get(person, token)
        if draft.author == person.name:
            raise Refused(403, "Somebody else reads what you wrote.")
        if decision == "reject" and not reason:
            raise Refused(422, "Say why it is rejected.")
        now, event = self.clock(), _event("decide", person, key)
        with self.base.write() as connection:
            self._lock_reader(connection, person)
            self._lock(connection, draft.id)
            draft = read_drafts(connection, drafts.c.id == draft.id)[0]
            if _is_done(connection, event) or draft.was_read_by(person):
                return
            if draft.state != "open" or draft.version != version:
                raise Refused(409, "This text was changed or decided meanwhile. Open the page again.")
            row = {
                "draft_id": draft.id,
                "rater_id": person.id,
                "decision": decision,
                "reason": reason,
                "at": now,
            }
            edit = edited.model_dump(mode="json") if edited else None
            connection.execute(sa.insert(decisions).values(row | {"edited": edit}))
            payload = {"draft": draft.text_id, "decision": decision, "reason": reason, "edited": edit}
            record(connection, "decide", now, key=event, rater_id=person.id, payload=payload)
            self._settle(connection, draft.id)
        self._leases.release(person.id, draft.id)
        self.changed()

    def take_back(self, person: Participant, *, key: str | None = None) -> bool:
        """Undo the person's latest decision while the text has no other reader's; False: there is none.

        ``key`` names the page that this comes from: sent twice, one decision is taken back.
        """
        now, event = self.clock(), _event("undecide", person, key)
        latest = sa.select(decisions).where(decisions.c.rater_id == person.id)
        with self.base.write() as connection:
            self._lock_reader(connection, person)
            if _is_done(connection, event):
                return True
            row = connection.execute(latest.order_by(decisions.c.id.desc()).limit(1)).first()
            if row is None:
                return False
            self._lock(connection, row.draft_id)
            draft = read_drafts(connection, drafts.c.id == row.draft_id)[0]
            if len(draft.verdicts) > 1:
                raise Refused(409, "Somebody else has read this text since. Ask the lead.")
            connection.execute(sa.delete(decisions).where(decisions.c.id == row.id))
            connection.execute(
                sa.update(drafts)
                .where(drafts.c.id == draft.id)
                .values(state="open", outcome=None, changed_at=now)
            )
            payload = {"draft": draft.text_id}
            record(connection, "undecide", now, key=event, rater_id=person.id, payload=payload)
        self._leases.keep(person.id, draft.id)
        self.changed()
        return True

    def write(self, person: Participant, example: Example, token: str, *, version: int = 0) -> None:
        """Store a person's example, or what follows its ``version``; other people read it (again)."""
        now = self.clock()
        with self.base.write() as connection:
            there = connection.execute(sa.select(drafts).where(drafts.c.token == token)).first()
            if there is not None:
                example = example.model_copy(update={"id": there.text_id})
            content = example.model_dump(mode="json")
            if there is None:
                row: dict[str, Any] = {
                    "token": token,
                    "kind": "authored",
                    "text_id": example.id,
                    "grp": person.group,
                }
                row |= {"rater_id": person.id, "rank": 0, "state": "open", "version": 0}
                connection.execute(sa.insert(drafts).values(row | {"content": content, "changed_at": now}))
            elif there.rater_id != person.id:
                raise Refused(409, "This example can no longer be changed.")
            elif there.content == content:
                return  # sent twice
            elif there.state in ("accept", "edit") or there.version != version:
                raise Refused(409, "This example was changed or taken meanwhile. Open the page again.")
            else:
                values = {"content": content, "state": "open", "outcome": None, "changed_at": now}
                changed = sa.update(drafts).where(drafts.c.id == there.id)
                connection.execute(changed.values(values | {"version": there.version + 1}))
                connection.execute(sa.delete(decisions).where(decisions.c.draft_id == there.id))
            record(connection, "write", now, rater_id=person.id, payload={"example": content})
        self.changed()

    def settle(self, token: str, decision: Decision, edited: Example | None, reason: str) -> None:
        """The lead's decision on a text that two people decided differently."""
        with self.base.write() as connection:
            row = connection.execute(sa.select(drafts.c.id).where(drafts.c.token == token)).first()
            if row is None:
                raise Refused(404, "There is no such text.")
            self._lock(connection, row.id)
            verdict = TextDecision(LEAD, decision, edited, reason, self.clock())
            self._close(connection, row.id, verdict)
            record(
                connection,
                "settle",
                self.clock(),
                payload={"draft": row.id, "decision": decision, "reason": reason},
            )
        self.changed()

    def progress(self, group: str) -> dict[str, int]:
        """How many texts of a group are open, taken, rejected, or wait for the lead."""
        query = (
            sa.select(drafts.c.state, sa.func.count()).where(drafts.c.grp == group).group_by(drafts.c.state)
        )
        with self.base.read() as connection:
            found = {str(state): int(count) for state, count in connection.execute(query)}
        taken = found.get("accept", 0) + found.get("edit", 0)
        return {"open": found.get("open", 0), "taken": taken, "rejected": found.get("reject", 0),
                "split": found.get("split", 0)}  # fmt: skip

    def _wanted(self, connection: sa.Connection, person: Participant) -> list[tuple[int, int]]:
        """The open texts for a person, and how many readers each still needs."""
        waiting = connection.execute(WAITING, {"rater": person.id, "group": person.group}).all()
        return [(row.id, self._needed(row.kind) - row.decided) for row in waiting]

    def _needed(self, kind: Kind) -> int:
        """How many people read a text."""
        return 1 if kind == "authored" else self.reviewers

    def _settle(self, connection: sa.Connection, draft_id: int) -> None:
        draft = read_drafts(connection, drafts.c.id == draft_id)[0]
        if len(draft.verdicts) < self._needed(draft.kind):
            return
        first = draft.verdicts[0]
        if any((v.decision, v.edited) != (first.decision, first.edited) for v in draft.verdicts):
            connection.execute(sa.update(drafts).where(drafts.c.id == draft_id).values(state="split"))
            return
        readers = "+".join(sorted(verdict.rater for verdict in draft.verdicts))
        reason = "; ".join(dict.fromkeys(verdict.reason for verdict in draft.verdicts if verdict.reason))
        self._close(
            connection, draft_id, TextDecision(readers, first.decision, first.edited, reason, self.clock())
        )

    def _close(self, connection: sa.Connection, draft_id: int, verdict: TextDecision) -> None:
        outcome = {
            "rater": verdict.rater,
            "decision": verdict.decision,
            "edited": verdict.edited.model_dump(mode="json") if verdict.edited else None,
            "reason": verdict.reason,
            "at": verdict.at,
        }
        values = {"state": verdict.decision, "outcome": outcome, "changed_at": verdict.at}
        connection.execute(sa.update(drafts).where(drafts.c.id == draft_id).values(values))

    def _lock_reader(self, connection: sa.Connection, person: Participant) -> None:
        """One step of a reader at a time."""
        connection.execute(sa.select(raters.c.id).where(raters.c.id == person.id).with_for_update())

    def _lock(self, connection: sa.Connection, draft_id: int) -> None:
        """One decision on a text at a time. SQLite has one writer anyway."""
        connection.execute(sa.select(drafts.c.id).where(drafts.c.id == draft_id).with_for_update())


def _event(step: str, person: Participant, key: str | None) -> str | None:
    """The idempotency key of a step."""
    return f"{step}:{person.id}:{key}" if key else None


def _is_done(connection: sa.Connection, event: str | None) -> bool:
    there = sa.select(events.c.id).where(events.c.key == event)
    return event is not None and connection.scalar(there) is not None
