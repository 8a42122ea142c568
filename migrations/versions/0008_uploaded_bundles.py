"""Bundles that were uploaded and wait for somebody to choose from them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table of its own: what is in it is nobody's but the uploader's, and goes after a day."""
    op.create_table(
        "uploaded_bundles",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploaded_bundles")),
    )
    op.create_index(op.f("ix_uploaded_bundles_person_id"), "uploaded_bundles", ["person_id"])


def downgrade() -> None:
    """Nothing of it is live; a proposal keeps its own copy."""
    op.drop_table("uploaded_bundles")
