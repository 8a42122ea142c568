"""What changes are found by: one inverted index over all that an event is about, and the views that people keep.

`audit_event_terms` says for an event what it may be asked for: its actor, action, kind, objects, tiers, environment, way, release
and states, each under its name, and the words of its sentence, reason and names. Nothing of it is stored but in the index, so the
chain of hashes knows nothing of it, and another formula is another index. Postgres alone computes it, on both sides of the
comparison.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Letters and digits make words, everything else parts them: COACHING_RESPONSE is found by "response".
# `public.` stands everywhere because an index is built without any search path.
WORDS = """
CREATE FUNCTION audit_words(said text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT array_remove(string_to_array(lower(regexp_replace(said, '[^[:alnum:]]+', ' ', 'g')), ' '), '')
$$;

-- The words of a text, the last one as the beginning of a word where the text is open.
CREATE FUNCTION audit_word_query(said text, open boolean) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    words text[] := public.audit_words(said);
BEGIN
    RETURN (
        SELECT string_agg(
            '''' || left(word, 100) || '''' || CASE WHEN open AND place = cardinality(words) THEN ':*' ELSE '' END,
            ' & ' ORDER BY place
        )
        FROM unnest(words) WITH ORDINALITY AS each(word, place)
    )::tsquery;
END
$$;
"""

# What a name is asked for by: as it is written in the terms, or its beginning.
NAMES = """
CREATE FUNCTION audit_name_query(name text, value text, open boolean) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT ('''' || replace(replace(name || '=' || left(lower(value), 200), '\\', '\\\\'), '''', '''''')
            || '''' || CASE WHEN open THEN ':*' ELSE '' END)::tsquery
$$;
"""

# A publish keeps the documents it changed under their keys; each key is an object of the event, but for the star that stands
# for "no tenant". Past a thousand keys the release alone finds it: an index entry for each would hold up everybody's writing.
OBJECTS = """
CREATE FUNCTION audit_event_objects(object_kind text, object_key text, release integer, before jsonb, after jsonb)
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    own text := object_kind || '/' || object_key;
BEGIN
    IF release IS NULL OR (before IS NULL AND after IS NULL) THEN
        RETURN ARRAY[own];
    END IF;
    RETURN own || ARRAY(
        SELECT DISTINCT regexp_replace(key, '/[*]$', '')
        FROM (
            SELECT jsonb_object_keys(CASE jsonb_typeof(before) WHEN 'object' THEN before ELSE '{}' END) AS key
            UNION
            SELECT jsonb_object_keys(CASE jsonb_typeof(after) WHEN 'object' THEN after ELSE '{}' END)
        ) AS keys
        WHERE key ~ '^(tier|model|interaction|prompt|configuration|gate)/'
        ORDER BY 1
        LIMIT 1000
    );
END
$$;
"""

# Names hold "=", which no word does. plpgsql, so that it stays one expression, and its cost, so that no plan computes it row
# by row where the index could be asked.
TERMS = """
CREATE FUNCTION audit_event_terms(
    actor_id text, actor_name text, action text, object_kind text, object_key text, environment text, via text,
    release integer, emergency boolean, sentence text, reason text, before jsonb, after jsonb
) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000000
AS $$
DECLARE
    terms text[] := ARRAY[
        'all',
        'actor=' || left(lower(actor_id), 200),
        'actor=' || left(lower(actor_name), 200),
        'action=' || left(lower(action), 200),
        'action=' || left(lower(split_part(action, '.', 1)), 200),
        'action=' || left(lower(split_part(action, '.', 2)), 200),
        'kind=' || left(lower(object_kind), 200),
        'object=' || left(lower(object_key), 200),
        'via=' || left(lower(via), 200),
        'env=' || left(lower(environment), 200),
        'release=' || release,
        CASE WHEN emergency THEN 'is=emergency' END,
        CASE WHEN action IN ('release.reverted', 'release.rolled_back') THEN 'is=revert' END
    ];
    object text;
    parts text[];
BEGIN
    FOREACH object IN ARRAY public.audit_event_objects(object_kind, object_key, release, before, after) LOOP
        object := left(lower(object), 200);
        parts := string_to_array(object, '/');
        terms := terms || ARRAY[
            'object=' || object,
            'object=' || array_to_string(parts[2:], '/'),
            'object=' || parts[2],
            CASE WHEN parts[1] = 'tier' THEN 'tier=' || parts[2]
                 WHEN parts[1] = 'configuration' AND cardinality(parts) > 2 THEN 'tier=' || parts[3] END
        ];
    END LOOP;
    RETURN array_to_tsvector(array_remove(
        terms || ARRAY(
            SELECT left(word, 100)
            FROM unnest(public.audit_words(concat_ws(' ', sentence, reason, actor_name))) AS word
            LIMIT 1000
        ), NULL
    ));
END
$$;
"""

ARGUMENTS = "actor_id, actor_name, action, object_kind, object_key, environment, via, release, emergency, sentence, reason, before, after"


def upgrade() -> None:
    for function in (WORDS, NAMES, OBJECTS, TERMS):
        op.execute(function)
    # A search reads what is not yet sorted in from end to end, and whoever fills it up sorts it in while everybody waits:
    # half a megabyte, some thousand changes, keeps both at some milliseconds.
    op.execute(
        "CREATE INDEX ix_audit_events_terms ON audit_events"
        f" USING gin (audit_event_terms({ARGUMENTS})) WITH (gin_pending_list_limit = 512)"
    )
    for index in ("environment", "actor", "action", "at"):
        op.drop_index(f"ix_audit_events_{index}", "audit_events")
    op.create_index("ix_audit_events_time", "audit_events", [sa.text("at DESC"), sa.text("sequence DESC")])
    for column in ("release", "proposal"):
        op.create_index(
            f"ix_audit_events_{column}",
            "audit_events",
            ["environment", column, sa.text("sequence DESC")],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "saved_views",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("owner_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_saved_views_owner_id_name")),
    )
    op.create_index("ix_saved_views_shared", "saved_views", ["shared", "name"])


def downgrade() -> None:
    op.drop_table("saved_views")
    for index in ("terms", "time", "release", "proposal"):
        op.drop_index(f"ix_audit_events_{index}", "audit_events")
    op.execute("DROP FUNCTION audit_event_terms")
    op.execute("DROP FUNCTION audit_event_objects")
    op.execute("DROP FUNCTION audit_name_query")
    op.execute("DROP FUNCTION audit_word_query")
    op.execute("DROP FUNCTION audit_words")
    op.create_index("ix_audit_events_environment", "audit_events", ["environment", sa.text("sequence DESC")])
    op.create_index("ix_audit_events_actor", "audit_events", ["actor_id", sa.text("sequence DESC")])
    op.create_index("ix_audit_events_action", "audit_events", ["action", sa.text("sequence DESC")])
    op.create_index("ix_audit_events_at", "audit_events", [sa.text("at DESC")])
