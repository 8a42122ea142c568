"""API tokens, and what is counted about their use."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables of their own, which the code before passes over."""
    op.create_table(
        "api_tokens",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_from", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "expires_at > created_at AND expires_at <= created_at + interval '365 days'",
            name=op.f("ck_api_tokens_life_is_limited"),
        ),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_by IS NULL)", name=op.f("ck_api_tokens_revoked_by_somebody")
        ),
        sa.CheckConstraint("length(secret_sha256) = 64", name=op.f("ck_api_tokens_secret_is_a_digest")),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_api_tokens_environment_environments")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["people.id"], name=op.f("fk_api_tokens_owner_id_people")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_api_tokens_owner_id_name")),
    )
    op.create_index("ix_api_tokens_created_at", "api_tokens", ["created_at"])
    op.create_table(
        "token_counts",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("what", "since", name=op.f("pk_token_counts")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_token_counts_since", "token_counts", ["since"])


def downgrade() -> None:
    """Nobody calls any more; what tokens did is in the record."""
    op.drop_table("token_counts")
    op.drop_table("api_tokens")
