"""Dialogues, drafts with their reviews, and the lead's decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; what is there stays as it is."""
    op.create_table(
        "adjudications",
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column(
            "label",
            sa.String(length=8),
            nullable=False,
            comment="The lead's decision, in the frame of the study's files.",
        ),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_adjudications_unit_id")),
        sa.PrimaryKeyConstraint("unit_id", name=op.f("pk_adjudications")),
    )
    op.create_table(
        "choices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("opening_id", sa.String(length=200), nullable=False),
        sa.Column(
            "best",
            sa.Integer(),
            nullable=True,
            comment="The system with the better dialogue; null: none is better.",
        ),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_choices_rater_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_choices")),
        sa.UniqueConstraint("rater_id", "opening_id", name=op.f("uq_choices_rater_id")),
    )
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="candidate | authored"),
        sa.Column("text_id", sa.String(length=300), nullable=False, comment="Id of the Example."),
        sa.Column("grp", sa.String(length=32), nullable=False),
        sa.Column(
            "rater_id", sa.Integer(), nullable=True, comment="Who wrote it; null: a candidate of curate."
        ),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False, comment="The Example."),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="open | split | accept | edit | reject"
        ),
        sa.Column("outcome", sa.JSON(), nullable=True, comment="When decided: edited, reviewer, reason, at."),
        sa.Column("version", sa.Integer(), nullable=False, comment="How often its author has changed it."),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_drafts_rater_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("text_id", name=op.f("uq_drafts_text_id")),
        sa.UniqueConstraint("token", name=op.f("uq_drafts_token")),
    )
    op.create_index("ix_drafts_next", "drafts", ["grp", "state", "rank"], unique=False)
    op.create_table(
        "talks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "token", sa.String(length=64), nullable=False, comment="The only name a browser knows it by."
        ),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("opening_id", sa.String(length=200), nullable=False),
        sa.Column(
            "system", sa.Integer(), nullable=False, comment="Position in the settings; names are not stored."
        ),
        sa.Column(
            "place", sa.Integer(), nullable=False, comment="Order for this rater and opening; the blind name."
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="open | finished | lost"),
        sa.Column("example", sa.Boolean(), nullable=False, comment="Good enough to train on."),
        sa.Column("opened_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_talks_rater_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_talks")),
        sa.UniqueConstraint("rater_id", "opening_id", "system", name=op.f("uq_talks_rater_id")),
        sa.UniqueConstraint("token", name=op.f("uq_talks_token")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("draft_id", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False, comment="accept | edit | reject"),
        sa.Column("edited", sa.JSON(), nullable=True, comment="The Example as it should be."),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.id"], name=op.f("fk_decisions_draft_id")),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_decisions_rater_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("draft_id", "rater_id", name=op.f("uq_decisions_draft_id")),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("talk_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False, comment="The rater's message; the opening first."),
        sa.Column("reply", sa.Text(), nullable=True, comment="The system's answer when it is whole."),
        sa.Column("state", sa.String(length=16), nullable=False, comment="waiting | answered | failed"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(length=16), nullable=True, comment="fail | pass | excellent"),
        sa.Column("seconds", sa.Float(), nullable=True, comment="From the whole answer to its rating."),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["talk_id"], ["talks.id"], name=op.f("fk_turns_talk_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
        sa.UniqueConstraint("talk_id", "number", name=op.f("uq_turns_talk_id")),
    )
    if op.get_bind().dialect.name == "postgresql":
        comment = "active | revoked | excluded | failed"
        op.alter_column("raters", "state", existing_type=sa.String(length=16), comment=comment)
