"""The algorithm that buckets are made with is kept beside the salt: a row that is here already stays with the first one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (("configurations", "algorithm"), ("interactions", "gate_algorithm"))


def upgrade() -> None:
    for table, column in COLUMNS:
        # The default stays: a site of the version before, still running while this one starts, knows no such column, and
        # what it makes it publishes with the first algorithm. This version names one for every row; a model that
        # forgot would insert NULL, and be refused.
        op.add_column(table, sa.Column(column, sa.Text(), nullable=False, server_default="v1"))


def downgrade() -> None:
    # What is published goes on as it is. Rows of a later algorithm would be published with the first one after this, and
    # people would change variant: that is what going back to a version that knows only the first one means.
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column)
