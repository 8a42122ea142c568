"""Rollouts may be paused."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None

PAUSE = ("paused_at", "paused_by", "paused_reason")


def upgrade() -> None:
    """Columns that may be empty: the code of before neither reads nor writes them."""
    op.add_column("rollouts", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rollouts", sa.Column("paused_by", sa.Text(), nullable=True))
    op.add_column("rollouts", sa.Column("paused_reason", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_rollouts_pause_is_whole"),
        "rollouts",
        "num_nulls(paused_at, paused_by, paused_reason) IN (0, 3)",
    )


def downgrade() -> None:
    """What was paused goes on."""
    op.drop_constraint(op.f("ck_rollouts_pause_is_whole"), "rollouts", type_="check")
    for column in PAUSE:
        op.drop_column("rollouts", column)
