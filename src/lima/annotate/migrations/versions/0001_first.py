"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
        comment="What the database belongs to: hash of the texts, settings of the plan.",
    )
    op.create_table(
        "raters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False, comment="crowd:03, as in preferences.jsonl"),
        sa.Column("grp", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="active | revoked | excluded"),
        sa.Column(
            "note", sa.String(length=200), nullable=False, comment="The lead's own words; no rater sees them."
        ),
        sa.Column("external_hash", sa.String(length=64), nullable=True, comment="Hash of a panel's id."),
        sa.Column("joined_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raters")),
        sa.UniqueConstraint("external_hash", name=op.f("uq_raters_external_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_raters_name")),
    )
    op.create_table(
        "units",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(length=16), nullable=False, comment="pairwise | rate"),
        sa.Column("text_id", sa.String(length=200), nullable=False, comment="Id of the comparison or item."),
        sa.Column("shared", sa.Boolean(), nullable=False, comment="Whether every group sees it."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_units")),
        sa.UniqueConstraint("task", "text_id", name=op.f("uq_units_task")),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("grp", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column(
            "rater_id",
            sa.Integer(),
            nullable=True,
            comment="Set from the start: a way back in for this rater.",
        ),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_invitations_rater_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_invitations_code_hash")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=True, comment="Null: the lead."),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_sessions_rater_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_table(
        "showings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "token", sa.String(length=64), nullable=False, comment="The only name a browser knows it by."
        ),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column(
            "repeat", sa.Integer(), nullable=False, comment="1: an attention check with sides swapped."
        ),
        sa.Column("shown", sa.String(length=2), nullable=False, comment="ab | ba"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="open | answered | surplus | lost"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="How often an answer was taken back."),
        sa.Column(
            "answer", sa.JSON(), nullable=True, comment="By scale: a value in the frame of the study's files."
        ),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("opened_at", sa.Float(), nullable=False),
        sa.Column("answered_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_showings_rater_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_showings_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_showings")),
        sa.UniqueConstraint("rater_id", "unit_id", "repeat", name=op.f("uq_showings_rater_id")),
        sa.UniqueConstraint("token", name=op.f("uq_showings_token")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False, comment="Idempotency key."),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=True),
        sa.Column("showing_id", sa.Integer(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_events_rater_id")),
        sa.ForeignKeyConstraint(["showing_id"], ["showings.id"], name=op.f("fk_events_showing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("key", name=op.f("uq_events_key")),
    )
    op.create_index(op.f("ix_events_rater_id"), "events", ["rater_id"], unique=False)
    op.create_index(op.f("ix_events_showing_id"), "events", ["showing_id"], unique=False)
    op.create_table(
        "slots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("grp", sa.String(length=32), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False, comment="Slots are given out in this order."),
        sa.Column("showing_id", sa.Integer(), nullable=True, comment="Who has it, or had it last."),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["showing_id"], ["showings.id"], name=op.f("fk_slots_showing_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_slots_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slots")),
        sa.UniqueConstraint("showing_id", name=op.f("uq_slots_showing_id")),
    )
    op.create_index("ix_slots_next", "slots", ["grp", "done", "rank"], unique=False)
    op.create_index(op.f("ix_slots_unit_id"), "slots", ["unit_id"], unique=False)
