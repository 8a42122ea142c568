"""Kill switches, and the version of the document that tells of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kill_switches",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("thrown_by_id", sa.Text(), nullable=False),
        sa.Column("thrown_by", sa.Text(), nullable=False),
        sa.Column("thrown_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "char_length(reason) BETWEEN 10 AND 500", name=op.f("ck_kill_switches_reason_says_something")
        ),
        _of_an_environment("kill_switches"),
        sa.PrimaryKeyConstraint("environment", "target", name=op.f("pk_kill_switches")),
    )
    op.create_table(
        "kill_switch_documents",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("exported_version", sa.BigInteger()),
        sa.Column("exported_at", sa.DateTime(timezone=True)),
        sa.Column("problem", sa.Text()),
        sa.CheckConstraint("version >= 0", name=op.f("ck_kill_switch_documents_version_is_not_negative")),
        _of_an_environment("kill_switch_documents"),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_kill_switch_documents")),
    )


def _of_an_environment(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["environment"], ["environments.code"], name=op.f(f"fk_{table}_environment_environments")
    )


def downgrade() -> None:
    op.drop_table("kill_switch_documents")
    op.drop_table("kill_switches")
