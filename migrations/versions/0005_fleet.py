"""The processes that heartbeats tell of, and when each release arrived."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "fleet_processes",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.Column("heard_at", moment, nullable=False),
        sa.Column("gone_at", moment),
        sa.Column("beat", sa.Text(), nullable=False),
        sa.Column("interval_seconds", sa.Float(), nullable=False),
        sa.Column("poll_seconds", sa.Float()),
        sa.Column("release", sa.Integer()),
        sa.Column("sha256", sa.Text()),
        sa.Column("serving_since", moment),
        sa.Column("held_back", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("versions", postgresql.JSONB(), nullable=False),
        sa.Column("thrown", postgresql.JSONB(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text()),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_fleet_processes_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "process", name=op.f("pk_fleet_processes")),
    )
    op.create_table(
        "fleet_arrivals",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("arrived_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_fleet_arrivals_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "release", "process", name=op.f("pk_fleet_arrivals")),
    )
    op.create_table(
        "fleet_observations",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("observed_at", moment, nullable=False),
        sa.Column("release", sa.Integer()),
        sa.Column("sha256", sa.Text()),
        sa.Column("named_at", moment),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environments.code"],
            name=op.f("fk_fleet_observations_environment_environments"),
        ),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_fleet_observations")),
    )


def downgrade() -> None:
    for table in ("fleet_observations", "fleet_arrivals", "fleet_processes"):
        op.drop_table(table)
