"""How many different units called: the sketches that heartbeats tell, by hour, configuration and version."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table of its own, which the code before passes over."""
    op.create_table(
        "unit_hours",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("registers", sa.LargeBinary(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("without_unit", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_unit_hours_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "hour", "key", "unit", "version", name=op.f("pk_unit_hours")),
    )


def downgrade() -> None:
    """What was counted is gone; processes tell of this hour and the last one again."""
    op.drop_table("unit_hours")
