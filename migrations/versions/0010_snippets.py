"""Snippets: texts that templates share; a version of a template keeps its text with them put in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables like those of templates, and what became of a template's text where it includes snippets.

    The new columns may be empty: versions of before, and those that code of before saves, include none.
    """
    op.create_table(
        "snippets",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_snippets")),
    )
    op.create_table(
        "snippet_versions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("snippet_code", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_snippet_versions_number_is_positive")),
        sa.ForeignKeyConstraint(
            ["snippet_code"], ["snippets.code"], name=op.f("fk_snippet_versions_snippet_code_snippets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snippet_versions")),
        sa.UniqueConstraint("snippet_code", "number", name=op.f("uq_snippet_versions_snippet_code_number")),
    )
    op.execute(
        "CREATE TRIGGER snippet_versions_refuse_change BEFORE UPDATE OR DELETE ON snippet_versions "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER snippet_versions_refuse_truncate BEFORE TRUNCATE ON snippet_versions "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.add_column("prompt_versions", sa.Column("expanded", sa.Text(), nullable=True))
    op.add_column(
        "prompt_versions",
        sa.Column("snippets", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.create_check_constraint(
        op.f("ck_prompt_versions_expanded_with_snippets"),
        "prompt_versions",
        "(expanded IS NULL) = (snippets IS NULL)",
    )


def downgrade() -> None:
    """Only where no template includes a snippet: a version never changes, and without these columns it would."""
    op.drop_constraint(op.f("ck_prompt_versions_expanded_with_snippets"), "prompt_versions")
    op.drop_column("prompt_versions", "snippets")
    op.drop_column("prompt_versions", "expanded")
    op.drop_table("snippet_versions")
    op.drop_table("snippets")
