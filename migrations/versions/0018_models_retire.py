"""Models may have a day on which their provider takes them away."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that may be empty: code of before neither reads nor writes it."""
    op.add_column("models", sa.Column("retires_on", sa.Date(), nullable=True))


def downgrade() -> None:
    """The days are gone."""
    op.drop_column("models", "retires_on")
