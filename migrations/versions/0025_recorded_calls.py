"""Recorded calls, the batches that they came in, and where deciding one again came to something else."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ENVIRONMENT = ["environments.code"]
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Tables of their own, which the code before passes over."""
    op.create_table(
        "recorded_batches",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("read_at", MOMENT, nullable=False),
        sa.Column("process", sa.Text(), nullable=True),
        sa.Column("rate", sa.Float(), nullable=True),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("unreadable", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment"], ENVIRONMENT, name=op.f("fk_recorded_batches_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "hour", "name", name=op.f("pk_recorded_batches")),
    )
    op.create_table(
        "recorded_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("has_values", sa.Boolean(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment"], ENVIRONMENT, name=op.f("fk_recorded_calls_environment_environments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recorded_calls")),
    )
    op.create_index("ix_recorded_calls_environment_at", "recorded_calls", ["environment", "at"])
    op.create_index(
        "ix_recorded_calls_unchecked",
        "recorded_calls",
        ["environment", "id"],
        postgresql_where=sa.text("verdict IS NULL"),
    )
    op.create_index(
        "ix_recorded_calls_with_values",
        "recorded_calls",
        ["interaction", "at"],
        postgresql_where=sa.text("has_values"),
    )
    op.create_table(
        "replay_alarms",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("example", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ENVIRONMENT, name=op.f("fk_replay_alarms_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "kind", name=op.f("pk_replay_alarms")),
    )
    op.create_table(
        "recorded_looks",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("looked_at", MOMENT, nullable=False),
        sa.Column("cleaned_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ENVIRONMENT, name=op.f("fk_recorded_looks_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_recorded_looks")),
    )


def downgrade() -> None:
    """What was read is gone; the store has it as long as it is kept there."""
    for table in ("recorded_looks", "replay_alarms", "recorded_calls", "recorded_batches"):
        op.drop_table(table)
