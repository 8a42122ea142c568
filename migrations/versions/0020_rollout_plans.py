"""Rollouts may be paused, and a configuration may have several at once: one for each candidate beside its baseline."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0027"
branch_labels = None
depends_on = None

BEFORE = "state IN ('running', 'finished', 'aborted')"
STATES = "state IN ('running', 'finished', 'aborted', 'passed_over')"
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
    _states(STATES)
    _one_that_runs("environment", "configuration_id", "to_version")


def downgrade() -> None:
    """What was paused goes on; of several candidates one row says that it runs, which the live entry knows better."""
    op.execute("UPDATE rollouts SET state = 'aborted' WHERE state = 'passed_over'")
    op.execute(
        "UPDATE rollouts AS later SET state = 'aborted', ended_at = later.started_at, ended_by = later.started_by "
        "WHERE later.state = 'running' AND EXISTS (SELECT FROM rollouts AS earlier WHERE earlier.state = 'running' "
        "AND earlier.environment = later.environment AND earlier.configuration_id = later.configuration_id "
        "AND earlier.number < later.number)"
    )
    _states(BEFORE)
    _one_that_runs("environment", "configuration_id")
    op.drop_constraint(op.f("ck_rollouts_pause_is_whole"), "rollouts", type_="check")
    for column in PAUSE:
        op.drop_column("rollouts", column)


def _states(condition: str) -> None:
    op.drop_constraint(op.f("ck_rollouts_state_is_known"), "rollouts", type_="check")
    op.create_check_constraint(op.f("ck_rollouts_state_is_known"), "rollouts", condition)


def _one_that_runs(*columns: str) -> None:
    op.drop_index("uq_rollouts_running", table_name="rollouts")
    op.create_index(
        "uq_rollouts_running",
        "rollouts",
        list(columns),
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
