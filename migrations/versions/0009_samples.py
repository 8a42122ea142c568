"""Sample sets of interactions, and private drafts of templates that are not there yet; who has one open."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New tables, which the code before passes over. They begin empty: the declared examples are the default sample until one is stored."""
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

    op.create_table(
        "new_prompt_drafts",
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["interaction"],
            ["interactions.code"],
            name=op.f("fk_new_prompt_drafts_interaction_interactions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_new_prompt_drafts_person_id_people"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("interaction", "person_id", name=op.f("pk_new_prompt_drafts")),
    )
    op.create_table(
        "prompt_presences",
        sa.Column("prompt_code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_code"],
            ["prompts.code"],
            name=op.f("fk_prompt_presences_prompt_code_prompts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_prompt_presences_person_id_people"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_code", "person_id", name=op.f("pk_prompt_presences")),
    )


def downgrade() -> None:
    """The code before knows only the declared examples, which stay; unsaved first texts are gone."""
    op.drop_table("prompt_presences")
    op.drop_table("new_prompt_drafts")
    op.drop_table("samples")
