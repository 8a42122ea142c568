"""Reviews of changes: their state and steps, sign-offs, rules, and who may review. Emergencies become part of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Who may not answer is the database's to say: whoever did it, whoever wrote or agreed to what went live with it, and whom it
# is about. A review is of an event that there is. Of a review nothing but the answer is ever written again.
OPENED = """
CREATE FUNCTION event_review_by_the_record() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    event audit_events;
BEGIN
    SELECT * INTO event FROM audit_events WHERE id = NEW.event_id AND at = NEW.at;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event % at %', NEW.event_id, NEW.at USING ERRCODE = 'foreign_key_violation';
    END IF;
    NEW.actor_id := event.actor_id;
    NEW.environment := event.environment;
    NEW.barred := ARRAY(
        SELECT event.actor_id
        UNION
        SELECT person_id FROM proposal_participants
            WHERE environment = event.environment AND number = event.proposal
                AND (contributed OR approved_sha256 IS NOT NULL)
        UNION
        SELECT id::text FROM people WHERE event.object_kind = 'person' AND email = event.object_key
        ORDER BY 1
    );
    RETURN NEW;
END
$$;

CREATE TRIGGER event_reviews_by_the_record BEFORE INSERT ON event_reviews
    FOR EACH ROW EXECUTE FUNCTION event_review_by_the_record();

CREATE FUNCTION event_review_keeps_its_event() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.event_id, NEW.at, NEW.actor_id, NEW.barred, NEW.risk, NEW.level, NEW.reasons)
        = (OLD.event_id, OLD.at, OLD.actor_id, OLD.barred, OLD.risk, OLD.level, OLD.reasons)
        AND (NEW.environment, NEW.asked, NEW.due_at) IS NOT DISTINCT FROM (OLD.environment, OLD.asked, OLD.due_at)
        AND NEW.steps > OLD.steps
        -- What was reviewed stays so, by whom it was: only talk may follow.
        AND (OLD.state <> 'reviewed' OR (NEW.state, NEW.reviewer_id, NEW.reviewer_name, NEW.reviewed_at)
            = (OLD.state, OLD.reviewer_id, OLD.reviewer_name, OLD.reviewed_at))
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'event_reviews: only the answer may be written' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER event_reviews_keep_their_event BEFORE UPDATE OR DELETE ON event_reviews
    FOR EACH ROW EXECUTE FUNCTION event_review_keeps_its_event();
CREATE TRIGGER event_reviews_refuse_truncate BEFORE TRUNCATE ON event_reviews
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

STEPS = """
CREATE FUNCTION review_step_by_somebody_else() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM event_reviews WHERE event_id = NEW.event_id AND NEW.person_id = ANY (barred)) THEN
        RAISE EXCEPTION 'change % is not for % to review', NEW.event_id, NEW.person_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER review_steps_by_somebody_else BEFORE INSERT ON review_steps
    FOR EACH ROW WHEN (NEW.kind IN ('reviewed', 'queried', 'disputed'))
    EXECUTE FUNCTION review_step_by_somebody_else();
"""

FIXED = ("review_steps", "review_sign_offs")

# An emergency is an event that somebody had to look at; what was answered keeps its answer. Its risk was never worked out:
# it counts as high, which is what an emergency is.
EMERGENCIES = """
INSERT INTO event_reviews (event_id, at, actor_id, risk, level, reasons, asked, due_at, state, reviewer_id, reviewer_name,
    reviewed_at, steps)
SELECT review.event_id, event.at, event.actor_id, 65, 3,
    '[{"mark": "emergency", "points": 65, "words": "an emergency: nobody agreed first"}]', 'emergency',
    event.at + interval '1 day',
    CASE review.state WHEN 'open' THEN 'unreviewed' WHEN 'agreed' THEN 'reviewed' ELSE 'disputed' END,
    review.reviewer_id, review.reviewer_name, review.reviewed_at, CASE review.state WHEN 'open' THEN 0 ELSE 1 END
FROM emergency_reviews AS review JOIN audit_events AS event ON event.id = review.event_id;

INSERT INTO review_steps (event_id, kind, person_id, person_name, at, comment)
SELECT event_id, CASE state WHEN 'agreed' THEN 'reviewed' ELSE 'disputed' END,
    reviewer_id, reviewer_name, reviewed_at, comment
FROM emergency_reviews WHERE state <> 'open' ORDER BY reviewed_at;
"""

BACK_TO_EMERGENCIES = """
INSERT INTO emergency_reviews (event_id, actor_id, opened_at, state, reviewer_id, reviewer_name, reviewed_at, comment)
SELECT event_id, actor_id, at,
    CASE state WHEN 'reviewed' THEN 'agreed' WHEN 'disputed' THEN 'disputed' ELSE 'open' END,
    CASE WHEN state IN ('reviewed', 'disputed') THEN reviewer_id END,
    CASE WHEN state IN ('reviewed', 'disputed') THEN reviewer_name END,
    CASE WHEN state IN ('reviewed', 'disputed') THEN reviewed_at END,
    CASE WHEN state IN ('reviewed', 'disputed') THEN (
        SELECT step.comment FROM review_steps AS step
        WHERE step.event_id = event_reviews.event_id AND step.kind IN ('reviewed', 'disputed')
        ORDER BY step.id DESC LIMIT 1
    ) END
FROM event_reviews WHERE asked = 'emergency';
"""


def upgrade() -> None:
    """The code before this knows nothing of the new tables; its own table goes, so it has to be stopped first."""
    op.add_column("people", sa.Column("may_review", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("people", sa.Column("role_since", sa.DateTime(timezone=True)))
    op.execute("UPDATE people SET role_since = created_at")
    _tables()
    op.execute(OPENED)
    op.execute(STEPS)
    for table in FIXED:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(EMERGENCIES)
    op.drop_table("emergency_reviews")


def _tables() -> None:
    op.create_table(
        "event_reviews",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("environment", sa.Text()),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("barred", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("risk", sa.SmallInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("asked", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reviewer_id", sa.Text()),
        sa.Column("reviewer_name", sa.Text()),
        sa.Column("reviewed_at", sa.DateTime(timezone=True)),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_reviews")),
        *(
            sa.CheckConstraint(condition, name=op.f(f"ck_event_reviews_{name}"))
            for name, condition in (
                ("state_is_known", "state IN ('unreviewed', 'queried', 'reviewed', 'disputed')"),
                ("asked_is_known", "asked IN ('rule', 'sample', 'emergency')"),
                ("risk_in_range", "risk BETWEEN 0 AND 100"),
                ("level_in_range", "level BETWEEN 1 AND 3"),
                ("due_where_asked", "(asked IS NULL) = (due_at IS NULL)"),
                ("answered_by_somebody", "(state = 'unreviewed') = (reviewer_id IS NULL)"),
                ("answered_at_a_time", "(reviewer_id IS NULL) = (reviewed_at IS NULL)"),
                ("reviewer_is_somebody_else", "reviewer_id <> ALL (barred)"),
            )
        ),
    )
    op.create_index(
        "ix_event_reviews_queue",
        "event_reviews",
        [sa.text("level DESC"), "at", "event_id"],
        postgresql_where=sa.text("asked IS NOT NULL AND state IN ('unreviewed', 'queried')"),
    )
    op.create_index("ix_event_reviews_at", "event_reviews", ["at", "event_id"])
    op.create_index(
        "ix_event_reviews_actor", "event_reviews", ["actor_id"], postgresql_where=sa.text("state = 'queried'")
    )
    op.create_index(
        "ix_event_reviews_disputed",
        "event_reviews",
        ["at", "event_id"],
        postgresql_where=sa.text("state = 'disputed'"),
    )
    op.create_index("ix_event_reviews_answered", "event_reviews", ["reviewed_at", "event_id"])
    op.create_table(
        "review_sign_offs",
        sa.Column("number", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("person_name", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.CheckConstraint("count > 0", name=op.f("ck_review_sign_offs_count_is_positive")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_review_sign_offs")),
    )
    op.create_table(
        "review_steps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("person_name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("comment", sa.Text()),
        sa.Column("sign_off", sa.Integer()),
        sa.CheckConstraint(
            "kind IN ('reviewed', 'queried', 'disputed', 'answered', 'commented')",
            name=op.f("ck_review_steps_kind_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event_reviews.event_id"], name=op.f("fk_review_steps_event_id_event_reviews")
        ),
        sa.ForeignKeyConstraint(
            ["sign_off"], ["review_sign_offs.number"], name=op.f("fk_review_steps_sign_off_review_sign_offs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_steps")),
    )
    op.create_index("ix_review_steps_event", "review_steps", ["event_id", "id"])
    op.create_index(
        "ix_review_steps_sign_off",
        "review_steps",
        ["sign_off"],
        postgresql_where=sa.text("sign_off IS NOT NULL"),
    )
    op.create_index("ix_review_steps_at", "review_steps", ["at"])
    op.create_table(
        "review_rules",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_review_rules_there_is_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_rules")),
    )


def downgrade() -> None:
    """Only the look at emergencies has a place in what was before; queries and sign-offs stay in the record."""
    op.create_table(
        "emergency_reviews",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reviewer_id", sa.Text()),
        sa.Column("reviewer_name", sa.Text()),
        sa.Column("reviewed_at", sa.DateTime(timezone=True)),
        sa.Column("comment", sa.Text()),
        sa.CheckConstraint(
            "state IN ('open', 'agreed', 'disputed')", name=op.f("ck_emergency_reviews_state_is_known")
        ),
        sa.CheckConstraint(
            "reviewer_id <> actor_id", name=op.f("ck_emergency_reviews_reviewer_is_somebody_else")
        ),
        sa.CheckConstraint(
            "(state = 'open') = (reviewer_id IS NULL)", name=op.f("ck_emergency_reviews_answered_by_somebody")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_emergency_reviews")),
    )
    op.create_index("ix_emergency_reviews_state", "emergency_reviews", ["state"])
    op.execute(BACK_TO_EMERGENCIES)
    for table in ("review_rules", "review_steps", "review_sign_offs", "event_reviews"):
        op.drop_table(table)
    for function in (
        "event_review_by_the_record()",
        "event_review_keeps_its_event()",
        "review_step_by_somebody_else()",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_column("people", "role_since")
    op.drop_column("people", "may_review")
