"""Sample sets of interactions."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table, which the code before passes over. It begins empty: the declared examples are the default until one is stored."""
    op.create_table(
        "samples",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("values", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("must_pass", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_samples_name_is_not_empty")),
        sa.ForeignKeyConstraint(
            ["interaction"], ["interactions.code"], name=op.f("fk_samples_interaction_interactions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
        sa.UniqueConstraint("interaction", "slug", name=op.f("uq_samples_interaction_slug")),
        sa.UniqueConstraint("interaction", "name", name=op.f("uq_samples_interaction_name")),
    )
    op.create_index(
        "ix_samples_default", "samples", ["interaction"], unique=True, postgresql_where=sa.text("is_default")
    )


def downgrade() -> None:
    """The code before knows only the declared examples, which stay."""
    op.drop_table("samples")
