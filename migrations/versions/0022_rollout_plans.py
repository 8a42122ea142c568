"""Rollouts may be paused, a configuration may have several at once (one for each candidate), and they climb by plan."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BEFORE = "state IN ('running', 'finished', 'aborted')"
STATES = "state IN ('running', 'finished', 'aborted', 'passed_over')"
PAUSE = ("paused_at", "paused_by", "paused_reason", "held_seconds")
OPEN = "state IN ('running', 'stopped')"


def upgrade() -> None:
    """Columns that may be empty or have a default, and tables of their own: the code of before neither reads nor writes them."""
    op.add_column("rollouts", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rollouts", sa.Column("paused_by", sa.Text(), nullable=True))
    op.add_column("rollouts", sa.Column("paused_reason", sa.Text(), nullable=True))
    op.add_column(
        "rollouts", sa.Column("held_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_rollouts_pause_is_whole"),
        "rollouts",
        "num_nulls(paused_at, paused_by, paused_reason) IN (0, 3)",
    )
    _states(STATES)
    _one_that_runs("environment", "configuration_id", "to_version")
    _plans()


def downgrade() -> None:
    """What was paused goes on; of several candidates one row says that it runs, which the live entry knows better."""
    op.drop_table("rollout_plan_steps")
    op.drop_table("rollout_plans")
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


def _plans() -> None:
    op.create_table(
        "rollout_plans",
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("rollout", sa.Integer()),
        sa.Column("gate", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("person_name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("held_before", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text()),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_rollout_plans_{name}"))
            for name, condition in (
                ("has_one_subject", "num_nonnulls(rollout, gate) = 1"),
                ("state_is_known", "state IN ('running', 'stopped', 'done', 'cancelled')"),
                ("end_matches_state", "(state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)"),
                ("share_in_range", "share BETWEEN 0 AND 100000"),
            )
        ),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_rollout_plans_environment_environments")
        ),
        sa.ForeignKeyConstraint(
            ["rollout"], ["rollouts.number"], name=op.f("fk_rollout_plans_rollout_rollouts")
        ),
        sa.ForeignKeyConstraint(
            ["gate"], ["interactions.code"], name=op.f("fk_rollout_plans_gate_interactions")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rollout_plans")),
    )
    for name, columns in (("rollout", ["rollout"]), ("gate", ["environment", "gate"])):
        op.create_index(
            f"uq_rollout_plans_{name}",
            "rollout_plans",
            columns,
            unique=True,
            postgresql_where=sa.text(OPEN),
        )
    op.create_index(
        "ix_rollout_plans_running",
        "rollout_plans",
        ["environment"],
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "rollout_plan_steps",
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("hold_minutes", sa.Integer(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True)),
        sa.Column("reached_by", sa.Text()),
        sa.Column("release", sa.Integer()),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_rollout_plan_steps_{name}"))
            for name, condition in (
                ("share_in_range", "share BETWEEN 0 AND 100000"),
                ("hold_in_range", "hold_minutes BETWEEN 1 AND 129600"),
                ("reached_by_somebody", "num_nulls(reached_at, reached_by) IN (0, 2)"),
            )
        ),
        sa.ForeignKeyConstraint(
            ["plan"], ["rollout_plans.number"], name=op.f("fk_rollout_plan_steps_plan_rollout_plans")
        ),
        sa.PrimaryKeyConstraint("plan", "position", name=op.f("pk_rollout_plan_steps")),
    )
