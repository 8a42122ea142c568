"""Private drafts of configurations; drafts that were thrown away can be had back for a while."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table beside that of templates, which gets the column that both have."""
    op.create_table(
        "configuration_drafts",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_configuration_drafts_person_id_people"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("place", "person_id", name=op.f("pk_configuration_drafts")),
    )
    op.add_column("prompt_drafts", sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """What was thrown away is gone for good, and so are the drafts of configurations."""
    op.execute("DELETE FROM prompt_drafts WHERE discarded_at IS NOT NULL")
    op.drop_column("prompt_drafts", "discarded_at")
    op.drop_table("configuration_drafts")
