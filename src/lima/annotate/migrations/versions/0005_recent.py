"""The last items of a rater are found without reading those of all others."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_showings_recent", "showings", ["rater_id", "id"])
