"""A bundle that somebody uploaded keeps which known key vouches for it."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that may be empty: code of before neither reads nor writes it."""
    op.add_column("uploaded_bundles", sa.Column("signed_by", sa.Text(), nullable=True))


def downgrade() -> None:
    """Uploads live for a day; who vouched for them is forgotten."""
    op.drop_column("uploaded_bundles", "signed_by")
