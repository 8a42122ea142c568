"""What the database itself keeps: the chained, append-only audit; versions and releases that never change.

Triggers stop the application, and whoever uses its role, from rewriting history by accident or by injection. An
owner of the database can still switch triggers off; the hash chain is there so that doing so can be seen.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IMMUTABLE = ("prompt_versions", "configuration_versions", "releases")

CHAIN = """
CREATE FUNCTION audit_event_hash(event audit_events) RETURNS text
LANGUAGE sql STABLE
SET timezone = 'UTC'  -- to_jsonb spells a timestamp in the session's zone; the hash must not depend on it
AS $$
    SELECT encode(sha256(convert_to((to_jsonb(event) - 'hash')::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION audit_event_append() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    last record;
BEGIN
    -- Held to the end of the transaction: the next writer must see this event before it takes a number.
    -- The lock's own number is arbitrary; nothing else may use it.
    PERFORM pg_advisory_xact_lock(7205114094);
    SELECT sequence, hash INTO last FROM audit_events ORDER BY sequence DESC LIMIT 1;
    NEW.sequence := coalesce(last.sequence, 0) + 1;
    NEW.previous_hash := coalesce(last.hash, '');
    NEW.hash := '';
    NEW.hash := audit_event_hash(NEW);
    RETURN NEW;
END
$$;

CREATE TRIGGER audit_events_append BEFORE INSERT ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_event_append();
"""

REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
"""

# An entry's end is the one thing that is written later, once.
ENTRIES = """
CREATE FUNCTION release_entry_may_only_end() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.valid_to IS NULL
       AND (NEW.environment, NEW.key, NEW.valid_from, NEW.document, NEW.digest)
         = (OLD.environment, OLD.key, OLD.valid_from, OLD.document, OLD.digest) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'release_entries: only the end of a live entry may be written' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER release_entries_may_only_end BEFORE UPDATE OR DELETE ON release_entries
    FOR EACH ROW EXECUTE FUNCTION release_entry_may_only_end();
CREATE TRIGGER release_entries_refuse_truncate BEFORE TRUNCATE ON release_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(CHAIN)
    op.execute(REFUSE)
    for table in ("audit_events", *IMMUTABLE):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(ENTRIES)


def downgrade() -> None:
    for table in ("audit_events", *IMMUTABLE):
        op.execute(f"DROP TRIGGER {table}_refuse_truncate ON {table}")
        op.execute(f"DROP TRIGGER {table}_refuse_change ON {table}")
    op.execute("DROP TRIGGER release_entries_may_only_end ON release_entries")
    op.execute("DROP TRIGGER release_entries_refuse_truncate ON release_entries")
    op.execute("DROP TRIGGER audit_events_append ON audit_events")
    for function in (
        "release_entry_may_only_end()",
        "refuse_change()",
        "audit_event_append()",
        "audit_event_hash(audit_events)",
    ):
        op.execute(f"DROP FUNCTION {function}")
