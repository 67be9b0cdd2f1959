"""What people say beside their answers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; answers given before have no remarks."""
    op.add_column(
        "showings",
        sa.Column("remarks", sa.JSON(), nullable=True, comment="Beside the answer: text, both_bad."),
    )
    if op.get_context().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column(
            "showings",
            "state",
            existing_type=sa.String(length=16),
            existing_nullable=False,
            comment="open | answered | surplus | lost | skipped",
        )
