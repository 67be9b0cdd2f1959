"""The tables behind the web app. Times are seconds since 1970 (UTC); secrets are stored as hashes only.

`events` is append-only and holds everything that happened. The other tables are its current state, changed
in the same transaction.
"""

from __future__ import annotations

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
    UniqueConstraint,
)

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
    Column("state", String(16), nullable=False, comment="active | revoked | excluded"),
    Column("note", String(200), nullable=False, comment="The lead's own words; no rater sees them."),
    Column("external_hash", String(64), unique=True, comment="Hash of a panel's id."),
    Column("joined_at", Float, nullable=False),
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

showings = Table(
    "showings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(64), nullable=False, unique=True, comment="The only name a browser knows it by."),
    Column("rater_id", ForeignKey("raters.id"), nullable=False),
    Column("unit_id", ForeignKey("units.id"), nullable=False),
    Column("repeat", Integer, nullable=False, comment="1: an attention check with sides swapped."),
    Column("shown", String(2), nullable=False, comment="ab | ba"),
    Column("state", String(16), nullable=False, comment="open | answered | surplus | lost"),
    Column("attempt", Integer, nullable=False, comment="How often an answer was taken back."),
    Column("answer", JSON, comment="By scale: a value in the frame of the study's files."),
    Column("seconds", Float),
    Column("opened_at", Float, nullable=False),
    Column("answered_at", Float),
    UniqueConstraint("rater_id", "unit_id", "repeat"),
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
