"""What a panel says of its people, apart from their answers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; what is there stays as it is."""
    op.create_table(
        "panel_visits",
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column(
            "participant",
            sa.String(length=200),
            nullable=False,
            comment="The panel's id of the person; can be deleted.",
        ),
        sa.Column("study", sa.String(length=200), nullable=False),
        sa.Column("session", sa.String(length=200), nullable=False),
        sa.Column("arrived_at", sa.Float(), nullable=False),
        sa.Column(
            "way_out",
            sa.String(length=16),
            nullable=True,
            comment="completed | screened | unqualified | left | failed; null: none was offered yet.",
        ),
        sa.Column("left_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name=op.f("fk_panel_visits_rater_id")),
        sa.PrimaryKeyConstraint("rater_id", name=op.f("pk_panel_visits")),
    )
