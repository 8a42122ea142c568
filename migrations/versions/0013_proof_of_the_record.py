"""What proves the record: where its head was left outside, when it was checked, which months are archived."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# As in 0012, and: whoever is not the owner tells of now. An event of last year, written today, would be whole and wrong.
APPEND = """
CREATE OR REPLACE FUNCTION audit_event_append() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    last audit_head;
BEGIN
    IF NEW.at NOT BETWEEN clock_timestamp() - interval '1 hour' AND clock_timestamp() + interval '1 hour'
       AND NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
        RAISE EXCEPTION 'audit_events: an event tells of now, not of %', NEW.at USING ERRCODE = 'restrict_violation';
    END IF;
    -- Held to the end of the transaction: the next writer must see this event before it takes a number.
    -- The lock's own number is arbitrary; nothing else may use it.
    PERFORM pg_advisory_xact_lock(7205114094);
    SELECT * INTO STRICT last FROM audit_head;
    NEW.sequence := last.sequence + 1;
    NEW.previous_hash := last.hash;
    NEW.hash := '';
    NEW.hash := audit_event_hash(NEW);
    UPDATE audit_head SET sequence = NEW.sequence, hash = NEW.hash;
    RETURN NEW;
END
$$;
"""

APPEND_BEFORE = """
CREATE OR REPLACE FUNCTION audit_event_append() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    last audit_head;
BEGIN
    PERFORM pg_advisory_xact_lock(7205114094);
    SELECT * INTO STRICT last FROM audit_head;
    NEW.sequence := last.sequence + 1;
    NEW.previous_hash := last.hash;
    NEW.hash := '';
    NEW.hash := audit_event_hash(NEW);
    UPDATE audit_head SET sequence = NEW.sequence, hash = NEW.hash;
    RETURN NEW;
END
$$;
"""


def upgrade() -> None:
    op.execute(APPEND)
    op.create_table(
        "audit_anchors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text()),
        sa.Column("release", sa.Integer()),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text()),
        sa.Column("anchored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_anchors")),
    )
    op.create_index("ix_audit_anchors_sequence", "audit_anchors", ["sequence"])
    op.create_table(
        "audit_checks",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("findings", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("kind IN ('newest', 'all')", name=op.f("ck_audit_checks_kind_is_known")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_audit_checks")),
    )
    op.create_table(
        "audit_archives",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("runs", postgresql.JSONB(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("month", "part", name=op.f("pk_audit_archives")),
    )


def downgrade() -> None:
    for table in ("audit_archives", "audit_checks", "audit_anchors"):
        op.drop_table(table)
    op.execute(APPEND_BEFORE)
