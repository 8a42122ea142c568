"""Proposals, the rules of going live in an environment, emergencies and the look at them, and the role On-call."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Columns that came later than the chain: a hash of an event from before has to stay what it was.
HASH = """
CREATE OR REPLACE FUNCTION audit_event_hash(event audit_events) RETURNS text
LANGUAGE sql STABLE
SET timezone = 'UTC'  -- to_jsonb spells a timestamp in the session's zone; the hash must not depend on it
AS $$
    SELECT encode(sha256(convert_to((
        to_jsonb(event) - 'hash'
            - CASE WHEN event.emergency THEN '' ELSE 'emergency' END
            - CASE WHEN event.proposal IS NULL THEN 'proposal' ELSE '' END
    )::text, 'UTF8')), 'hex')
$$;
"""

HASH_BEFORE = """
CREATE OR REPLACE FUNCTION audit_event_hash(event audit_events) RETURNS text
LANGUAGE sql STABLE
SET timezone = 'UTC'
AS $$
    SELECT encode(sha256(convert_to((to_jsonb(event) - 'hash')::text, 'UTF8')), 'hex')
$$;
"""

# Whether one's own approval counts is the environment's rule, not something that a writer of this row may say.
SELF_APPROVAL = """
CREATE FUNCTION proposal_participant_by_the_rule() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    SELECT self_approval INTO NEW.self_approval FROM environments WHERE code = NEW.environment;
    RETURN NEW;
END
$$;

CREATE TRIGGER proposal_participants_by_the_rule BEFORE INSERT OR UPDATE ON proposal_participants
    FOR EACH ROW EXECUTE FUNCTION proposal_participant_by_the_rule();
"""

# The last word on what may be called published: as many agreed to this very content as the environment asks for, who may
# publish there themselves and, unless that is the rule, wrote nothing of it.
PUBLISHED = """
CREATE FUNCTION proposal_is_agreed_to() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    rule environments;
    agreed integer;
BEGIN
    SELECT * INTO rule FROM environments WHERE code = NEW.environment;
    SELECT count(*) INTO agreed FROM proposal_participants AS participant
        JOIN people ON people.id::text = participant.person_id
        WHERE participant.environment = NEW.environment AND participant.number = NEW.number
            AND participant.approved_sha256 = NEW.content_sha256
            AND (rule.self_approval OR NOT participant.contributed)
            AND people.active AND people.role IN ('admin', rule.publish_role);
    IF agreed < rule.approvals THEN
        RAISE EXCEPTION 'proposal % of %: % approvals of this content, % are asked for',
            NEW.number, NEW.environment, agreed, rule.approvals USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER proposals_agreed_to BEFORE INSERT OR UPDATE ON proposals
    FOR EACH ROW WHEN (NEW.state = 'published') EXECUTE FUNCTION proposal_is_agreed_to();
"""

# What is over may be talked about, but never be another thing. The proposal's row is shared until the transaction ends, so
# that nothing slips in beside a publish that is under way.
ENDED = """
CREATE FUNCTION proposal_that_is_over() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'proposal % of % is %: it stays as it is', OLD.number, OLD.environment, OLD.state
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER proposals_that_are_over BEFORE UPDATE OR DELETE ON proposals
    FOR EACH ROW WHEN (OLD.state IN ('published', 'withdrawn')) EXECUTE FUNCTION proposal_that_is_over();

CREATE FUNCTION proposal_part_of_an_open_proposal() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    whole proposals;
BEGIN
    FOR whole IN
        SELECT * FROM proposals
        WHERE (TG_OP <> 'INSERT' AND environment = OLD.environment AND number = OLD.number)
            OR (TG_OP <> 'DELETE' AND environment = NEW.environment AND number = NEW.number)
        FOR SHARE
    LOOP
        IF whole.state IN ('published', 'withdrawn') THEN
            RAISE EXCEPTION 'proposal % of % is %: what belongs to it stays as it is',
                whole.number, whole.environment, whole.state USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE TRIGGER proposal_entries_of_open_proposals BEFORE INSERT OR UPDATE OR DELETE ON proposal_entries
    FOR EACH ROW EXECUTE FUNCTION proposal_part_of_an_open_proposal();

CREATE TRIGGER proposal_participants_of_open_proposals BEFORE INSERT OR UPDATE OR DELETE ON proposal_participants
    FOR EACH ROW EXECUTE FUNCTION proposal_part_of_an_open_proposal();
"""

# A release that names a proposal is the one release which that proposal became: looked at when the transaction ends, since
# either is written before the other.
RELEASED = """
CREATE FUNCTION release_is_of_its_proposal() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM proposals WHERE environment = NEW.environment AND number = NEW.proposal
                   AND state = 'published' AND release = NEW.number) THEN
        RAISE EXCEPTION 'release % of % is not what proposal % became', NEW.number, NEW.environment, NEW.proposal
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER releases_of_their_proposals AFTER INSERT ON releases
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.proposal IS NOT NULL) EXECUTE FUNCTION release_is_of_its_proposal();
"""

# A text that came in a file is as fixed as a saved version: releases name it by its hash.
IMPORTED = """
CREATE TRIGGER imported_texts_refuse_change BEFORE UPDATE OR DELETE ON imported_texts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER imported_texts_refuse_truncate BEFORE TRUNCATE ON imported_texts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

ROLES = "'viewer', 'editor', 'publisher', 'admin'"


def upgrade() -> None:
    _roles("'viewer', 'editor', 'on-call', 'publisher', 'admin'")
    op.add_column("audit_events", sa.Column("proposal", sa.Integer()))
    op.add_column(
        "audit_events", sa.Column("emergency", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute(HASH)
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
    for name, kind, default in (
        ("next_proposal", sa.Integer(), "1"),
        ("approvals", sa.Integer(), "0"),
        ("self_approval", sa.Boolean(), sa.false()),
        ("publish_role", sa.Text(), "publisher"),
    ):
        op.add_column("environments", sa.Column(name, kind, nullable=False, server_default=default))
    op.create_check_constraint(
        op.f("ck_environments_approvals_in_range"), "environments", "approvals BETWEEN 0 AND 2"
    )
    op.create_check_constraint(
        op.f("ck_environments_publish_role_is_known"),
        "environments",
        "publish_role IN ('publisher', 'admin')",
    )
    op.add_column("releases", sa.Column("proposal", sa.Integer()))
    op.add_column("releases", sa.Column("emergency", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "imported_texts",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_imported_texts")),
    )
    _proposals()
    op.execute(SELF_APPROVAL)
    op.execute(PUBLISHED)
    op.execute(ENDED)
    op.execute(RELEASED)
    op.execute(IMPORTED)


def _proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("due_zone", sa.Text()),
        sa.Column("scheduled_by", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text()),
        sa.Column("release", sa.Integer()),
        sa.CheckConstraint("number >= 1", name=op.f("ck_proposals_number_is_positive")),
        sa.CheckConstraint(
            "state IN ('draft', 'in_review', 'approved', 'rejected', 'scheduled', 'published', 'withdrawn', 'conflicted')",
            name=op.f("ck_proposals_state_is_known"),
        ),
        sa.CheckConstraint(
            "(state = 'scheduled') <= (due_at IS NOT NULL)", name=op.f("ck_proposals_scheduled_has_a_time")
        ),
        sa.CheckConstraint(
            "(state = 'published') = (release IS NOT NULL)", name=op.f("ck_proposals_published_is_a_release")
        ),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_proposals_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "number", name=op.f("pk_proposals")),
    )
    op.create_index("ix_proposals_state", "proposals", ["environment", "state", "number"])
    op.create_table(
        "proposal_entries",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        _of_a_proposal("proposal_entries"),
        sa.PrimaryKeyConstraint("environment", "number", "key", name=op.f("pk_proposal_entries")),
    )
    op.create_table(
        "proposal_participants",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("contributed", sa.Boolean(), nullable=False),
        sa.Column("approved_sha256", sa.Text()),
        sa.Column("approved_at", sa.DateTime(timezone=True)),
        sa.Column("self_approval", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "approved_sha256 IS NULL OR NOT contributed OR self_approval",
            name=op.f("ck_proposal_participants_nobody_approves_alone"),
        ),
        sa.CheckConstraint(
            "(approved_sha256 IS NULL) = (approved_at IS NULL)",
            name=op.f("ck_proposal_participants_approved_at_a_time"),
        ),
        _of_a_proposal("proposal_participants"),
        sa.PrimaryKeyConstraint("environment", "number", "person_id", name=op.f("pk_proposal_participants")),
    )
    op.create_table(
        "proposal_comments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _of_a_proposal("proposal_comments"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal_comments")),
    )
    op.create_index("ix_proposal_comments_proposal", "proposal_comments", ["environment", "number", "id"])


def _of_a_proposal(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["environment", "number"],
        ["proposals.environment", "proposals.number"],
        name=op.f(f"fk_{table}_environment_proposals"),
        ondelete="CASCADE",
    )


def _roles(known: str) -> None:
    op.drop_constraint(op.f("ck_people_role_is_known"), "people")
    op.create_check_constraint(op.f("ck_people_role_is_known"), "people", f"role IN ({known})")


def downgrade() -> None:
    op.execute("DROP TRIGGER releases_of_their_proposals ON releases")
    for table in (
        "proposal_comments",
        "proposal_participants",
        "proposal_entries",
        "proposals",
        "imported_texts",
    ):
        op.drop_table(table)
    for function in (
        "proposal_participant_by_the_rule()",
        "proposal_is_agreed_to()",
        "proposal_that_is_over()",
        "proposal_part_of_an_open_proposal()",
        "release_is_of_its_proposal()",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_column("releases", "emergency")
    op.drop_column("releases", "proposal")
    for name in ("publish_role", "self_approval", "approvals", "next_proposal"):
        op.drop_column("environments", name)
    op.drop_table("emergency_reviews")
    op.execute(HASH_BEFORE)
    op.drop_column("audit_events", "emergency")
    op.drop_column("audit_events", "proposal")
    op.execute("UPDATE people SET role = 'editor' WHERE role = 'on-call'")
    _roles(ROLES)
