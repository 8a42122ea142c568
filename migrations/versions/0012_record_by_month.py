"""The record by month: partitions, a head for its chain, and what an auditor asks for beyond who and what.

Events move over as they are, hash by hash: what counts in a hash leaves out every column that came later and is not set, so
that the formula of then and of now agree on them. Going back keeps all events but loses the columns that come here; an event
that had one of them set no longer fits its hash then.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0008"
branch_labels = None
depends_on = None

_EARLIER = (
    "sequence, id, at, actor_kind, actor_id, actor_name, actor_role, via, action, object_kind, object_key, environment,"
    " sentence, reason, before, after, release, request_id, address, user_agent, previous_hash, hash, proposal, emergency"
)
_INDEXES = {
    "ix_audit_events_object": "object_kind, object_key, sequence DESC",
    "ix_audit_events_environment": "environment, sequence DESC",
    "ix_audit_events_actor": "actor_id, sequence DESC",
    "ix_audit_events_action": "action, sequence DESC",
    "ix_audit_events_at": "at DESC",
}

HASH = """
CREATE FUNCTION audit_event_hash(event audit_events) RETURNS text
LANGUAGE sql STABLE
SET timezone = 'UTC'  -- to_jsonb spells a timestamp in the session's zone; the hash must not depend on it
AS $$
    SELECT encode(sha256(convert_to((
        to_jsonb(event) - ARRAY[
            'hash',
            -- Columns that came later than the chain count only where they are set: a hash stays what it was.
            CASE WHEN NOT event.emergency THEN 'emergency' END,
            CASE WHEN event.proposal IS NULL THEN 'proposal' END,
            CASE WHEN event.ticket IS NULL THEN 'ticket' END,
            CASE WHEN event.token IS NULL THEN 'token' END,
            CASE WHEN event.owner_id IS NULL THEN 'owner_id' END,
            CASE WHEN event.owner_name IS NULL THEN 'owner_name' END,
            CASE WHEN event.effect_share IS NULL THEN 'effect_share' END,
            CASE WHEN event.approvals IS NULL THEN 'approvals' END,
            CASE WHEN event.approvals_needed IS NULL THEN 'approvals_needed' END
        ]
    )::text, 'UTF8')), 'hex')
$$;
"""

# The head is what the next event follows from. It is one row, so that an append looks into one place however many months
# there are, and goes on when all of them are archived; and who cuts off the tail has to think of it too. The function runs as
# its owner: whoever may only add events could not write the head.
APPEND = """
CREATE FUNCTION audit_event_append() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    last audit_head;
BEGIN
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
REVOKE EXECUTE ON FUNCTION audit_event_append() FROM PUBLIC;
"""

TRIGGERS = """
CREATE TRIGGER audit_events_append BEFORE INSERT ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_event_append();
CREATE TRIGGER audit_events_refuse_change BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_refuse_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# The head is written by the append's trigger, one level down, and by nothing else.
HEAD = """
CREATE TRIGGER audit_head_refuse_change BEFORE INSERT OR UPDATE OR DELETE ON audit_head
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_head_refuse_truncate BEFORE TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# A month has its own table; what no month is there for lies in the default one, and moves when its month is made. Nobody
# may choose which months: who could would fill the catalogue. Both run as the owner; the second may be called by the worker.
MONTHS = """
CREATE FUNCTION audit_events_add_month(month date) RETURNS boolean
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
DECLARE
    name text := 'audit_events_' || to_char(month, 'YYYY_MM');
    starts timestamptz := month::timestamp AT TIME ZONE 'UTC';
    ends timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE audit_events)', name);
    LOCK TABLE audit_events_default IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM audit_events_default WHERE at >= starts AND at < ends) THEN
        EXECUTE format('INSERT INTO %I SELECT * FROM audit_events_default WHERE at >= $1 AND at < $2', name)
            USING starts, ends;
        ALTER TABLE audit_events_default DISABLE TRIGGER audit_events_refuse_change;
        DELETE FROM audit_events_default WHERE at >= starts AND at < ends;
        ALTER TABLE audit_events_default ENABLE TRIGGER audit_events_refuse_change;
    END IF;
    EXECUTE format('ALTER TABLE audit_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, starts, ends);
    -- The parent's trigger is not asked when a month is emptied by its own name.
    EXECUTE format('CREATE TRIGGER audit_events_refuse_truncate BEFORE TRUNCATE ON %I'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION audit_events_add_month(date) FROM PUBLIC;

CREATE FUNCTION audit_events_add_months() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET lock_timeout = '5s'  -- behind a long reader all others would queue; the next turn tries again
AS $$
DECLARE
    month date;
    wanted date[] := ARRAY(
        SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date
            FROM generate_series(0, 2) AS ahead
        UNION
        SELECT date_trunc('month', at AT TIME ZONE 'UTC')::date FROM audit_events_default
        ORDER BY 1
    );
    made integer := 0;
BEGIN
    FOREACH month IN ARRAY wanted
    LOOP
        made := made + audit_events_add_month(month)::integer;
    END LOOP;
    RETURN made;
END
$$;
REVOKE EXECUTE ON FUNCTION audit_events_add_months() FROM PUBLIC;
"""

APPEND_BEFORE = """
CREATE FUNCTION audit_event_append() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock(7205114094);
    SELECT sequence, hash INTO last FROM audit_events ORDER BY sequence DESC LIMIT 1;
    NEW.sequence := coalesce(last.sequence, 0) + 1;
    NEW.previous_hash := coalesce(last.hash, '');
    NEW.hash := '';
    NEW.hash := audit_event_hash(NEW);
    RETURN NEW;
END
$$;
"""

HASH_BEFORE = """
CREATE FUNCTION audit_event_hash(event audit_events) RETURNS text
LANGUAGE sql STABLE
SET timezone = 'UTC'
AS $$
    SELECT encode(sha256(convert_to((
        to_jsonb(event) - 'hash'
            - CASE WHEN event.emergency THEN '' ELSE 'emergency' END
            - CASE WHEN event.proposal IS NULL THEN 'proposal' ELSE '' END
    )::text, 'UTF8')), 'hex')
$$;
"""


def upgrade() -> None:
    _set_aside("uq_audit_events_id")
    op.create_table(
        "audit_events",
        *_columns(),
        sa.Column("ticket", sa.Text()),
        sa.Column("token", sa.Text()),
        sa.Column("owner_id", sa.Text()),
        sa.Column("owner_name", sa.Text()),
        sa.Column("effect_share", sa.Integer()),
        sa.Column("approvals", sa.Integer()),
        sa.Column("approvals_needed", sa.Integer()),
        # What is unique in a table of months is so with its month; of the numbers the append takes care.
        sa.PrimaryKeyConstraint("sequence", "at", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("id", "at", name=op.f("uq_audit_events_id_at")),
        postgresql_partition_by="RANGE (at)",
    )
    _index()
    op.execute("CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT")
    op.execute(MONTHS)
    op.create_table(
        "audit_head",
        sa.Column("single", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_audit_head_is_one_row")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_audit_head")),
    )
    op.execute("""
        DO $$
        DECLARE
            month date;
        BEGIN
            FOR month IN SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date FROM audit_events_before
            LOOP
                PERFORM audit_events_add_month(month);
            END LOOP;
        END
        $$
    """)
    op.execute(f"INSERT INTO audit_events ({_EARLIER}) SELECT {_EARLIER} FROM audit_events_before")  # noqa: S608
    op.execute(
        "INSERT INTO audit_head (sequence, hash) SELECT coalesce(max(sequence), 0),"
        " coalesce((SELECT hash FROM audit_events_before ORDER BY sequence DESC LIMIT 1), '')"
        " FROM audit_events_before"
    )
    op.drop_table("audit_events_before")
    op.execute(HASH)
    op.execute(APPEND)
    op.execute(TRIGGERS)
    op.execute(HEAD)
    op.execute(
        "CREATE TRIGGER audit_events_refuse_truncate BEFORE TRUNCATE ON audit_events_default"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("SELECT audit_events_add_months()")


def downgrade() -> None:
    _set_aside("uq_audit_events_id_at")
    op.create_table(
        "audit_events",
        *_columns(),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_events_id")),
    )
    _index()
    op.execute(f"INSERT INTO audit_events ({_EARLIER}) SELECT {_EARLIER} FROM audit_events_before")  # noqa: S608
    op.drop_table("audit_events_before")
    op.drop_table("audit_head")
    op.execute("DROP FUNCTION audit_events_add_months()")
    op.execute("DROP FUNCTION audit_events_add_month(date)")
    op.execute(HASH_BEFORE)
    op.execute(APPEND_BEFORE)
    op.execute(TRIGGERS)


def _set_aside(unique: str) -> None:
    """Free the names for the table's successor. Writers wait here, and find that one when they go on."""
    op.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
    for trigger in ("refuse_truncate", "refuse_change", "append"):
        op.execute(f"DROP TRIGGER audit_events_{trigger} ON audit_events")
    op.execute("DROP FUNCTION audit_event_append()")
    op.execute("DROP FUNCTION audit_event_hash(audit_events)")
    op.execute(f"ALTER TABLE audit_events DROP CONSTRAINT pk_audit_events, DROP CONSTRAINT {unique}")
    for name in _INDEXES:
        op.execute(f"DROP INDEX {name}")
    op.rename_table("audit_events", "audit_events_before")


def _index() -> None:
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON audit_events ({columns})")


def _columns() -> list[sa.Column[object]]:
    required = sa.Text(), False
    optional = sa.Text(), True
    kinds: dict[str, tuple[object, bool]] = {
        "sequence": (sa.BigInteger(), False),
        "id": required,
        "at": (sa.DateTime(timezone=True), False),
        **dict.fromkeys(("actor_kind", "actor_id", "actor_name", "actor_role", "via", "action"), required),
        **dict.fromkeys(("object_kind", "object_key"), required),
        "environment": optional,
        "sentence": required,
        "reason": optional,
        "before": (postgresql.JSONB(), True),
        "after": (postgresql.JSONB(), True),
        "release": (sa.Integer(), True),
        "proposal": (sa.Integer(), True),
        **dict.fromkeys(("request_id", "address", "user_agent"), optional),
        "previous_hash": required,
        "hash": required,
    }
    columns = [
        sa.Column(name, kind, autoincrement=False, nullable=nullable)
        for name, (kind, nullable) in kinds.items()
    ]
    return [
        *columns,
        sa.Column("emergency", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]
