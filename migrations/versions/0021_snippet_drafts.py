"""A private draft of a snippet's text for each person, as templates and configurations have them."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table that code of before knows nothing of."""
    op.create_table(
        "snippet_drafts",
        sa.Column("snippet_code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["snippet_code"],
            ["snippets.code"],
            name=op.f("fk_snippet_drafts_snippet_code_snippets"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_snippet_drafts_person_id_people"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("snippet_code", "person_id", name=op.f("pk_snippet_drafts")),
    )


def downgrade() -> None:
    """Unsaved work on snippets is gone."""
    op.drop_table("snippet_drafts")
