"""People whom a panel sends: who may come in, which way out each is offered, and what the panel knows of them.

The panel's ids stand apart from the answers, in a table that the lead can download (to approve, reject and pay) and
empty. No file of the study holds them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from starlette.datastructures import QueryParams

from lima.annotate.database import Database
from lima.annotate.people import (
    SESSION_SECONDS,
    Participant,
    Refusal,
    add_rater,
    digest,
    lock_names,
    open_session,
    record,
)
from lima.annotate.settings import ServerSettings
from lima.annotate.tables import events, invitations, iso, panel_visits, raters
from lima.errors import LimaError

LONGEST_ID = 200
UNFILLED = re.compile(r"[{}<>%$]")
"""In an id: a placeholder that the panel did not fill in, which would make all its people one."""
WayOut = Literal["completed", "screened", "unqualified", "left", "failed"]
COLUMNS = ("rater", "participant", "study", "session", "state", "way_out", "arrived", "left")

ENDED: dict[str, Refusal] = {"failed": "failed", "unqualified": "unqualified"}
"""State of a rater whose work ended -> what a second visit is answered with."""


@dataclass(frozen=True)
class Visit:
    """The ids in the address with which a panel sends somebody."""

    participant: str
    study: str
    session: str


def visit_of(settings: ServerSettings, query: QueryParams) -> Visit | None:
    """The visit that an address stands for; None: it has no id, or one that is none, or there is no panel."""
    names = {
        "prolific": ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID"),
        "generic": (settings.panel_id, "study", "session"),
    }.get(settings.panel)
    found = [query.get(name, "") for name in names or ()]
    if not found or not found[0].strip() or UNFILLED.search(found[0]) or max(map(len, found)) > LONGEST_ID:
        return None
    return Visit(*found)


def admit(
    base: Database, settings: ServerSettings, visit: Visit, token: str, now: float
) -> Participant | Refusal:
    """Take in a panel's rater, or let it back in, by the panel's id."""
    external = digest(f"panel:{visit.participant}")
    with base.write() as connection:
        lock_names(connection)
        found = connection.execute(sa.select(raters).where(raters.c.external_hash == external)).first()
        if found and found.state != "active":
            return ENDED.get(found.state, "revoked")
        if found:
            person = Participant(found.id, found.name, found.grp)
        elif refusal := _refusal(connection, settings, visit):
            return refusal
        else:
            person = add_rater(connection, settings.panel_group, "panel", now, external_hash=external)
            row = {"rater_id": person.id, "arrived_at": now, **vars(visit)}
            connection.execute(sa.insert(panel_visits).values(row))
        open_session(connection, token, now + SESSION_SECONDS, person.id)
    return person


def is_known(base: Database, visit: Visit, person: Participant) -> bool:
    """Whether this rater came by this visit."""
    query = sa.select(raters.c.external_hash).where(raters.c.id == person.id)
    with base.read() as connection:
        return connection.scalar(query) == digest(f"panel:{visit.participant}")


def read_ids(settings: ServerSettings) -> frozenset[str]:
    """The ids of ``--panel-ids``; raises `LimaError` where there is no such file."""
    if settings.panel_ids is None:
        return frozenset()
    try:
        lines = settings.panel_ids.read_text("utf-8").splitlines()
    except OSError as error:
        raise LimaError(f"{settings.panel_ids}: cannot be read ({error.strerror}).") from None
    return frozenset(line.strip() for line in lines if line.strip())


def way_back(
    base: Database, settings: ServerSettings, person: Participant, way: WayOut, now: float
) -> str | None:
    """The address with the panel's code for this way out, and a note of it; None: no panel sent this rater."""
    if settings.panel == "none":
        return None
    with base.write() as connection:
        sent = connection.scalar(sa.select(raters.c.external_hash).where(raters.c.id == person.id))
        theirs = panel_visits.c.rater_id == person.id
        connection.execute(sa.update(panel_visits).where(theirs).values(way_out=way, left_at=now))
    return way_out(settings, way) if sent else None


def way_out(settings: ServerSettings, way: WayOut) -> str | None:
    """The address with the panel's code."""
    return {
        "completed": settings.panel_return,
        "screened": settings.panel_screened,
        "unqualified": settings.panel_unqualified or settings.panel_screened,
        "left": settings.panel_left or settings.panel_screened,
        "failed": settings.panel_failed,
    }[way]


def visits(base: Database) -> list[tuple[str, ...]]:
    """What a lead needs to approve, reject and pay, in the order of `COLUMNS`."""
    query = (
        sa.select(panel_visits, raters.c.name, raters.c.state)
        .join(raters, raters.c.id == panel_visits.c.rater_id)
        .order_by(raters.c.id)
    )
    with base.read() as connection:
        rows = connection.execute(query).all()
    return [
        (
            row.name,
            row.participant,
            row.study,
            row.session,
            row.state,
            row.way_out or "",
            *(iso(at) if at else "" for at in (row.arrived_at, row.left_at)),
        )
        for row in rows
    ]


def forget(base: Database, now: float) -> None:
    """Delete the panel's ids; answers stay. Nobody comes back by a panel's address after this."""
    with base.write() as connection:
        connection.execute(sa.delete(panel_visits))
        connection.execute(sa.update(raters).values(external_hash=None))
        record(connection, "forget", now)
    base.empty_log()


def forget_person(base: Database, rater_id: int, now: float) -> bool:
    """Delete what says who a rater is: the lead's notes, and the panel's ids; answers stay. False: there is no such rater.

    The one change to past events: notes of links stand in them.
    """
    with base.write() as connection:
        mine = raters.c.id == rater_id
        if connection.scalar(sa.select(raters.c.id).where(mine)) is None:
            return False
        connection.execute(sa.update(raters).where(mine).values(note="", external_hash=None))
        connection.execute(sa.delete(panel_visits).where(panel_visits.c.rater_id == rater_id))
        links = connection.execute(sa.select(invitations).where(invitations.c.rater_id == rater_id)).all()
        for link in links:
            _blank_note(connection, link)
        connection.execute(sa.update(invitations).where(invitations.c.rater_id == rater_id).values(note=""))
        record(connection, "forget_person", now, rater_id=rater_id)
    base.empty_log()
    return True


def _blank_note(connection: sa.Connection, link: sa.Row[Any]) -> None:
    """In the event of the link's making, which has its time and its note."""
    made = (events.c.kind == "invite") & (events.c.at == link.created_at)
    for row in connection.execute(sa.select(events.c.id, events.c.payload).where(made)).all():
        if row.payload.get("note") == link.note:
            blank = row.payload | {"note": ""}
            connection.execute(sa.update(events).where(events.c.id == row.id).values(payload=blank))


def _refusal(connection: sa.Connection, settings: ServerSettings, visit: Visit) -> Refusal | None:
    if settings.panel_ids is not None and visit.participant not in read_ids(settings):
        return "unlisted"
    came = sa.select(sa.func.count()).where(
        raters.c.external_hash.is_not(None), raters.c.state.not_in(("excluded", "unqualified"))
    )
    if settings.panel_most is not None and (connection.scalar(came) or 0) >= settings.panel_most:
        return "full"
    return None
