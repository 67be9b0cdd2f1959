"""The tables behind the web app. Times are seconds since 1970 (UTC), to the millisecond; secrets are hashes only.

`events` is append-only and holds everything that happened. The other tables are its current state, changed
in the same transaction.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)


def now() -> float:
    """The time as the tables keep it: to the millisecond, which a file of rows holds without loss."""
    return round(time.time(), 3)


def iso(at: float) -> str:
    """A time of the tables as the study's files have it; `datetime.fromisoformat` gives it back exactly."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds" if at % 1 else "seconds")


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

facts = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    comment="What the database belongs to: hash of the texts, settings of the plan.",
)

raters = Table(
    "raters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True, comment="crowd:03, as in preferences.jsonl"),
    Column("grp", String(32), nullable=False),
    Column("state", String(16), nullable=False, comment="active | revoked | excluded | failed"),
    Column("note", String(200), nullable=False, comment="The lead's own words; no rater sees them."),
    Column("external_hash", String(64), unique=True, comment="Hash of a panel's id."),
    Column("joined_at", Float, nullable=False),
)

panel_visits = Table(
    "panel_visits",
    metadata,
    Column("rater_id", ForeignKey("raters.id"), primary_key=True),
    Column(
        "participant", String(200), nullable=False, comment="The panel's id of the person; can be deleted."
    ),
    Column("study", String(200), nullable=False),
    Column("session", String(200), nullable=False),
    Column("arrived_at", Float, nullable=False),
    Column(
        "way_out",
        String(16),
        comment="completed | screened | unqualified | left | failed; null: none was offered yet.",
    ),
    Column("left_at", Float),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("rater_id", ForeignKey("raters.id"), comment="Null: the lead."),
    Column("expires_at", Float, nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("grp", String(32), nullable=False),
    Column("note", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("rater_id", ForeignKey("raters.id"), comment="Set from the start: a way back in for this rater."),
    Column("used_at", Float),
    Column("revoked_at", Float),
)

units = Table(
    "units",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", String(16), nullable=False, comment="pairwise | rate"),
    Column("text_id", String(200), nullable=False, comment="Id of the comparison or item."),
    Column("shared", Boolean, nullable=False, comment="Whether every group sees it."),
    UniqueConstraint("task", "text_id"),
)

presentations = Table(
    "showings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(64), nullable=False, unique=True, comment="The only name a browser knows it by."),
    Column("rater_id", ForeignKey("raters.id"), nullable=False),
    Column("unit_id", ForeignKey("units.id"), nullable=False),
    Column("repeat", Integer, nullable=False, comment="1: an attention check with sides swapped."),
    Column("shown", String(2), nullable=False, comment="ab | ba"),
    Column("state", String(16), nullable=False, comment="open | answered | surplus | lost | skipped"),
    Column("attempt", Integer, nullable=False, comment="How often an answer was taken back."),
    Column("answer", JSON, comment="By scale: a value in the frame of the study's files."),
    Column("remarks", JSON, comment="Beside the answer: text, both_bad."),
    Column("seconds", Float),
    Column("opened_at", Float, nullable=False),
    Column("answered_at", Float),
    UniqueConstraint("rater_id", "unit_id", "repeat"),
    # Without it PostgreSQL looks for a rater's last ones among everybody's, newest first.
    Index("ix_showings_recent", "rater_id", "id"),
)

slots = Table(
    "slots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit_id", ForeignKey("units.id"), nullable=False, index=True),
    Column("grp", String(32), nullable=False),
    Column("rank", Integer, nullable=False, comment="Slots are given out in this order."),
    Column("showing_id", ForeignKey("showings.id"), unique=True, comment="Who has it, or had it last."),
    Column("lease_until", Float, nullable=False),
    Column("done", Boolean, nullable=False),
    Index("ix_slots_next", "grp", "done", "rank"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(80), nullable=False, unique=True, comment="Idempotency key."),
    Column("kind", String(24), nullable=False),
    Column("at", Float, nullable=False),
    Column("rater_id", ForeignKey("raters.id"), index=True),
    Column("showing_id", ForeignKey("showings.id"), index=True),
    Column("payload", JSON, nullable=False),
)

adjudications = Table(
    "adjudications",
    metadata,
    Column("unit_id", ForeignKey("units.id"), primary_key=True),
    Column(
        "label", String(8), nullable=False, comment="The lead's decision, in the frame of the study's files."
    ),
    Column("reason", String(500), nullable=False),
    Column("at", Float, nullable=False),
)

dialogues = Table(
    "talks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(64), nullable=False, unique=True, comment="The only name a browser knows it by."),
    Column("rater_id", ForeignKey("raters.id"), nullable=False),
    Column("opening_id", String(200), nullable=False),
    Column("system", Integer, nullable=False, comment="Position in the settings; names are not stored."),
    Column("place", Integer, nullable=False, comment="Order for this rater and opening; the blind name."),
    Column("state", String(16), nullable=False, comment="open | finished | lost"),
    Column("example", Boolean, nullable=False, comment="Good enough to train on."),
    Column("opened_at", Float, nullable=False),
    Column("finished_at", Float),
    UniqueConstraint("rater_id", "opening_id", "system"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("talk_id", ForeignKey("talks.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("said", Text, nullable=False, comment="The rater's message; the opening first."),
    Column("reply", Text, comment="The system's answer when it is whole."),
    Column("state", String(16), nullable=False, comment="waiting | answered | failed"),
    Column("attempt", Integer, nullable=False),
    Column("value", String(16), comment="fail | pass | excellent"),
    Column("seconds", Float, comment="From the whole answer to its rating."),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("talk_id", "number"),
)

choices = Table(
    "choices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rater_id", ForeignKey("raters.id"), nullable=False),
    Column("opening_id", String(200), nullable=False),
    Column("best", Integer, comment="The system with the better dialogue; null: none is better."),
    Column("at", Float, nullable=False),
    UniqueConstraint("rater_id", "opening_id"),
)

drafts = Table(
    "drafts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False, comment="candidate | authored"),
    Column("text_id", String(300), nullable=False, unique=True, comment="Id of the Example."),
    Column("grp", String(32), nullable=False),
    Column("rater_id", ForeignKey("raters.id"), comment="Who wrote it; null: a candidate of curate."),
    Column("rank", Integer, nullable=False),
    Column("content", JSON, nullable=False, comment="The Example."),
    Column("state", String(16), nullable=False, comment="open | split | accept | edit | reject"),
    Column("outcome", JSON, comment="When decided: edited, reviewer, reason, at."),
    Column("version", Integer, nullable=False, comment="How often its author has changed it."),
    Column("changed_at", Float, nullable=False),
    Index("ix_drafts_next", "grp", "state", "rank"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("draft_id", ForeignKey("drafts.id"), nullable=False),
    Column("rater_id", ForeignKey("raters.id"), nullable=False),
    Column("decision", String(16), nullable=False, comment="accept | edit | reject"),
    Column("edited", JSON, comment="The Example as it should be."),
    Column("reason", String(500), nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("draft_id", "rater_id"),
)
