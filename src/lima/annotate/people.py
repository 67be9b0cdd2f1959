"""Raters, invitations and sessions: who may do what. Codes and tokens are stored as SHA-256 only.

A browser holds a random token from its first page on; accepting an invitation binds that token to a rater. So a
second click on "Start" finds its own session instead of a used invitation.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from lima.annotate.database import Database
from lima.annotate.tables import dialogues, events, invitations, presentations, raters, sessions, slots

SESSION_SECONDS = 90 * 86_400
LEAD_SESSION_SECONDS = 12 * 3_600
TOKEN_BYTES = 32

STEPS = ("say", "rate", "choose", "write", "decide")
NOT_COUNTED = ("excluded", "failed", "unqualified")
"""States of raters whose answers are stored but neither counted nor exported."""

InvitationState = Literal["open", "used", "revoked"]
Refusal = Literal["unknown", "used", "revoked", "failed", "unqualified", "full", "unlisted"]


@dataclass(frozen=True)
class Participant:
    """A rater who is signed in."""

    id: int
    name: str
    group: str


@dataclass(frozen=True)
class JoinedRater:
    """One rater as the lead sees it, whatever the work is."""

    id: int
    name: str
    group: str
    state: str
    note: str
    steps: int
    """Messages, ratings, texts and decisions, where people hold dialogues, or write and review."""


@dataclass(frozen=True)
class Invitation:
    """One row of the lead's list. The code itself is shown once, when it is made."""

    id: int
    group: str
    note: str
    state: InvitationState
    created_at: float
    rater: str | None
    """Name of the rater who used it, or whom it will let back in."""


def new_token() -> str:
    """A secret for a URL or a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(secret: str) -> str:
    """How a secret is stored. It is random and long, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


SIGNED_IN = (
    sa.select(raters.c.id, raters.c.name, raters.c.grp)
    .join(sessions, sessions.c.rater_id == raters.c.id)
    .where(
        sessions.c.token_hash == sa.bindparam("hash"),
        sessions.c.expires_at > sa.bindparam("now"),
        raters.c.state == "active",
    )
)
"""Built once: it runs for every request."""


INSERT_EVENT = sa.insert(events)
INSERT_RATER = sa.insert(raters)
INVITATION = sa.select(invitations).where(invitations.c.code_hash == sa.bindparam("hash"))
TO_ACCEPT = INVITATION.with_for_update()
NAMES = sa.select(raters.c.name).where(raters.c.grp == sa.bindparam("group"))
USED = (
    sa.update(invitations)
    .where(invitations.c.id == sa.bindparam("invitation"))
    .values(used_at=sa.bindparam("used_at"), rater_id=sa.bindparam("rater_id"))
)
BIND_TOKEN = {
    name: (made := insert(sessions)).on_conflict_do_update(
        index_elements=[sessions.c.token_hash],
        set_={"rater_id": made.excluded.rater_id, "expires_at": made.excluded.expires_at},
    )
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


def rater_of(base: Database, token: str, now: float) -> Participant | None:
    """The active rater to whom a session token belongs."""
    with base.look() as connection:
        row = connection.execute(SIGNED_IN, {"hash": digest(token), "now": now}).first()
    return Participant(row.id, row.name, row.grp) if row else None


def invite(base: Database, group: str, note: str, now: float, *, rater_id: int | None = None) -> str:
    """Make a one-time invitation and return its code: for a new rater, or to let ``rater_id`` in again."""
    return invite_all(base, group, [note], now, rater_id=rater_id)[0]


def invite_all(
    base: Database, group: str, notes: Sequence[str], now: float, *, rater_id: int | None = None
) -> list[str]:
    """As `invite`, one for each note, all or none."""
    codes = [new_token() for _ in notes]
    made = {"grp": group, "created_at": now, "rater_id": rater_id}
    rows = [
        {"code_hash": digest(code), "note": note, **made} for code, note in zip(codes, notes, strict=True)
    ]
    with base.write() as connection:
        connection.execute(sa.insert(invitations), rows)
        for note in notes:
            payload = {"group": group, "rater_id": rater_id, "note": note}
            record(connection, "invite", now, payload=payload)
    return codes


def note_export(base: Database, now: float) -> None:
    """Record that the lead wrote the study's files."""
    with base.write() as connection:
        record(connection, "export", now)


def look_at(base: Database, code: str) -> Refusal | None:
    """Why an invitation would be refused, or None. Nothing is used up: link previews may call this."""
    with base.look() as connection:
        return _refusal(connection.execute(INVITATION, {"hash": digest(code)}).first())


def accept(base: Database, code: str, token: str, now: float) -> Participant | Refusal:
    """Use an invitation up and bind the browser's ``token`` to its rater.

    It does not wait for the disk: a whole class comes in at once, one after the other. A power cut may give the link back
    unused, but not once its rater has answered, since what comes later is never on the disk without it.
    """
    with base.write(durable=False) as connection:
        row = connection.execute(TO_ACCEPT, {"hash": digest(code)}).first()
        if refusal := _refusal(row):
            return refusal
        assert row is not None
        if row.rater_id is None:
            person = add_rater(connection, row.grp, row.note, now)
        else:
            found = connection.execute(sa.select(raters).where(raters.c.id == row.rater_id)).one()
            if found.state != "active":
                return "revoked"
            person = Participant(found.id, found.name, found.grp)
        connection.execute(USED, {"invitation": row.id, "used_at": now, "rater_id": person.id})
        open_session(connection, token, now + SESSION_SECONDS, person.id)
    return person


def note_view(base: Database, person: Participant, view: str, now: float) -> None:
    """Record how a rater wants to see texts from now on."""
    with base.write() as connection:
        record(connection, "view", now, rater_id=person.id, payload={"view": view})


def has_answered(base: Database, person: Participant) -> bool:
    """Whether a rater has answered anything."""
    query = sa.select(events.c.id).where(
        events.c.rater_id == person.id, events.c.kind.in_(("answer", "rate", "decide", "write"))
    )
    with base.look() as connection:
        return connection.execute(query.limit(1)).first() is not None


def add_rater(
    connection: sa.Connection, group: str, note: str, now: float, *, external_hash: str | None = None
) -> Participant:
    """A new rater, named by its group and the next free number."""
    lock_names(connection)
    names = connection.scalars(NAMES, {"group": group})
    numbers = (name.partition(":")[2] for name in names)
    number = 1 + max((int(text) for text in numbers if text.isascii() and text.isdigit()), default=0)
    name = f"{group}:{number:02d}"
    row = {"name": name, "grp": group, "state": "active", "note": note, "joined_at": now}
    made = connection.execute(INSERT_RATER, row | {"external_hash": external_hash})
    assert made.inserted_primary_key is not None
    person = Participant(made.inserted_primary_key[0], name, group)
    record(connection, "join", now, rater_id=person.id, payload={"name": name})
    return person


def open_session(connection: sa.Connection, token: str, expires_at: float, rater_id: int | None) -> None:
    """Bind a browser's token to a rater, or to the lead (None)."""
    row = {"token_hash": digest(token), "rater_id": rater_id, "expires_at": expires_at}
    connection.execute(BIND_TOKEN[connection.dialect.name], row)


def close_session(base: Database, token: str) -> None:
    """Sign out."""
    with base.write() as connection:
        connection.execute(sa.delete(sessions).where(sessions.c.token_hash == digest(token)))


def sign_in_lead(base: Database, now: float) -> str:
    """A new session of the lead's console; the secret was checked by the caller."""
    token = new_token()
    with base.write() as connection:
        open_session(connection, token, now + LEAD_SESSION_SECONDS, None)
        record(connection, "lead", now)
    return token


def is_lead(base: Database, token: str, now: float) -> bool:
    """Whether a session token is the lead's."""
    query = sa.select(sessions.c.token_hash).where(
        sessions.c.token_hash == digest(token), sessions.c.expires_at > now, sessions.c.rater_id.is_(None)
    )
    with base.read() as connection:
        return connection.execute(query).first() is not None


def invitations_made(base: Database) -> list[Invitation]:
    """All invitations, newest first."""
    query = (
        sa.select(invitations, raters.c.name)
        .outerjoin(raters, raters.c.id == invitations.c.rater_id)
        .order_by(invitations.c.id.desc())
    )
    with base.read() as connection:
        rows = connection.execute(query).all()
    return [Invitation(row.id, row.grp, row.note, _state(row), row.created_at, row.name) for row in rows]


def raters_joined(base: Database) -> list[JoinedRater]:
    """All raters, in the order in which they joined."""
    counted = (
        sa.select(events.c.rater_id, sa.func.count().label("steps"))
        .where(events.c.kind.in_(STEPS))
        .group_by(events.c.rater_id)
        .subquery()
    )
    query = sa.select(raters, counted.c.steps).outerjoin(counted, counted.c.rater_id == raters.c.id)
    with base.read() as connection:
        rows = connection.execute(query.order_by(raters.c.id)).all()
    return [JoinedRater(row.id, row.name, row.grp, row.state, row.note, row.steps or 0) for row in rows]


def panel_raters_below(base: Database, fewest: int) -> list[int]:
    """Ids of active raters of a panel with fewer than ``fewest`` answers or steps."""
    kinds = ("answer", *STEPS)
    counted = (
        sa.select(sa.func.count())
        .where(events.c.rater_id == raters.c.id, events.c.kind.in_(kinds))
        .scalar_subquery()
    )
    sent = raters.c.external_hash.is_not(None) & (raters.c.state == "active")
    with base.read() as connection:
        return list(connection.scalars(sa.select(raters.c.id).where(sent, counted < fewest)))


def revoke_invitation(base: Database, invitation_id: int, now: float) -> None:
    """An unused invitation stops working; a used one is left as it is."""
    with base.write() as connection:
        unused = (invitations.c.id == invitation_id) & invitations.c.used_at.is_(None)
        connection.execute(sa.update(invitations).where(unused).values(revoked_at=now))
        record(connection, "revoke_invitation", now, payload={"id": invitation_id})


def remove_rater(
    base: Database,
    rater_id: int,
    now: float,
    *,
    keep_answers: bool,
    withdraw: Callable[[sa.Connection, int, float], None] = lambda connection, rater_id, now: None,
) -> bool:
    """End a rater's access; its open places, and without ``keep_answers`` all its places, go back to the pool.

    Answers stay stored in any case; those of an excluded rater are no longer exported or counted, and ``withdraw``
    takes back what else they did. Who was excluded stays so. False: there is no such rater.
    """
    with base.write() as connection:
        query = sa.select(raters.c.state).where(raters.c.id == rater_id).with_for_update()
        before = connection.scalar(query)
        if keep_answers and before == "active":
            end_access(connection, rater_id, now, state="revoked")
        if not keep_answers and before in ("active", "revoked"):
            end_access(connection, rater_id, now, state="excluded")
            withdraw(connection, rater_id, now)
    return before is not None


def end_access(
    connection: sa.Connection,
    rater_id: int,
    now: float,
    *,
    state: Literal["revoked", "excluded", "failed", "unqualified"],
) -> None:
    """As `remove_rater`, in an open transaction; ``failed`` by the checks of known answers, ``unqualified`` by the quiz."""
    connection.execute(sa.select(raters.c.id).where(raters.c.id == rater_id).with_for_update())
    connection.execute(sa.update(raters).where(raters.c.id == rater_id).values(state=state))
    connection.execute(sa.delete(sessions).where(sessions.c.rater_id == rater_id))
    mine = sa.select(presentations.c.id).where(presentations.c.rater_id == rater_id)
    held = slots.c.showing_id.in_(mine)
    given_back = held & ~slots.c.done if state == "revoked" else held
    connection.execute(
        sa.update(slots).where(given_back).values(showing_id=None, lease_until=0.0, done=False)
    )
    unanswered = (presentations.c.rater_id == rater_id) & (presentations.c.state == "open")
    connection.execute(sa.update(presentations).where(unanswered).values(state="lost"))
    open_dialogues = (dialogues.c.rater_id == rater_id) & (dialogues.c.state == "open")
    connection.execute(sa.update(dialogues).where(open_dialogues).values(state="lost"))
    record(connection, state, now, rater_id=rater_id)


def lock_names(connection: sa.Connection) -> None:
    """Hold the numbering of raters until the transaction ends (SQLite has one writer anyway)."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE raters IN SHARE ROW EXCLUSIVE MODE")


def record(
    connection: sa.Connection,
    kind: str,
    now: float,
    *,
    key: str | None = None,
    rater_id: int | None = None,
    showing_id: int | None = None,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Append an event. ``key`` makes it unrepeatable; without one it gets a random key."""
    row = {"key": key or secrets.token_hex(16), "kind": kind, "at": now, "payload": dict(payload or {})}
    connection.execute(INSERT_EVENT, row | {"rater_id": rater_id, "showing_id": showing_id})


def _refusal(row: sa.Row[tuple[object, ...]] | None) -> Refusal | None:
    if row is None:
        return "unknown"
    state = _state(row)
    return None if state == "open" else state


def _state(row: sa.Row[tuple[object, ...]]) -> InvitationState:
    if row.revoked_at is not None:
        return "revoked"
    return "used" if row.used_at is not None else "open"
