"""The first schema: people, audit, registry, prompts, configurations, releases, rollouts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column(
            "sequence", sa.BigInteger(), server_default=sa.FetchedValue(), autoincrement=False, nullable=False
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("actor_role", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("release", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.Text(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.FetchedValue(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_events_id")),
    )
    op.create_index(
        "ix_audit_events_action", "audit_events", ["action", sa.literal_column("sequence DESC")], unique=False
    )
    op.create_index(
        "ix_audit_events_actor",
        "audit_events",
        ["actor_id", sa.literal_column("sequence DESC")],
        unique=False,
    )
    op.create_index("ix_audit_events_at", "audit_events", [sa.literal_column("at DESC")], unique=False)
    op.create_index(
        "ix_audit_events_environment",
        "audit_events",
        ["environment", sa.literal_column("sequence DESC")],
        unique=False,
    )
    op.create_index(
        "ix_audit_events_object",
        "audit_events",
        ["object_kind", "object_key", sa.literal_column("sequence DESC")],
        unique=False,
    )
    op.create_table(
        "environments",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("next_release", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("next_release >= 1", name=op.f("ck_environments_next_release_is_positive")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_environments")),
    )
    op.create_table(
        "interactions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("gate_salt", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_interactions")),
    )
    op.create_table(
        "models",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_model_id", sa.Text(), nullable=False),
        sa.Column("context_window", sa.Integer(), nullable=False),
        sa.Column("max_output_tokens", sa.Integer(), nullable=False),
        sa.Column("input_price_per_million", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("output_price_per_million", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("capabilities", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("context_window > 0", name=op.f("ck_models_context_window_is_positive")),
        sa.CheckConstraint(
            "input_price_per_million >= 0", name=op.f("ck_models_input_price_is_not_negative")
        ),
        sa.CheckConstraint("max_output_tokens > 0", name=op.f("ck_models_max_output_tokens_is_positive")),
        sa.CheckConstraint(
            "output_price_per_million >= 0", name=op.f("ck_models_output_price_is_not_negative")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_models")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_sign_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'editor', 'publisher', 'admin')", name=op.f("ck_people_role_is_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_index("uq_people_email_lower", "people", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index("ix_sign_in_attempts_address_at", "sign_in_attempts", ["address", "at"], unique=False)
    op.create_index("ix_sign_in_attempts_email_at", "sign_in_attempts", ["email", "at"], unique=False)
    op.create_table(
        "tiers",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_tiers")),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_browser_sessions_person_id_people"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_browser_sessions")),
    )
    op.create_index(op.f("ix_browser_sessions_person_id"), "browser_sessions", ["person_id"], unique=False)
    op.create_index(op.f("ix_browser_sessions_seen_at"), "browser_sessions", ["seen_at"], unique=False)
    op.create_table(
        "configurations",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), nullable=True),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction"], ["interactions.code"], name=op.f("fk_configurations_interaction_interactions")
        ),
        sa.ForeignKeyConstraint(["tier"], ["tiers.code"], name=op.f("fk_configurations_tier_tiers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configurations")),
    )
    op.create_index(
        "uq_configurations_place",
        "configurations",
        ["interaction", sa.literal_column("coalesce(tier, '')"), sa.literal_column("coalesce(tenant, '')")],
        unique=True,
    )
    op.create_table(
        "prompts",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction"], ["interactions.code"], name=op.f("fk_prompts_interaction_interactions")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_prompts")),
    )
    op.create_index(op.f("ix_prompts_interaction"), "prompts", ["interaction"], unique=False)
    op.create_table(
        "release_entries",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Integer(), nullable=False),
        sa.Column("valid_to", sa.Integer(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_release_entries_validity_in_order")),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_release_entries_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "key", "valid_from", name=op.f("pk_release_entries")),
    )
    op.create_index(
        "ix_release_entries_validity",
        "release_entries",
        ["environment", "valid_from", "valid_to"],
        unique=False,
    )
    op.create_index(
        "uq_release_entries_live",
        "release_entries",
        ["environment", "key"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
    )
    op.create_table(
        "releases",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("snapshot_sha256", sa.Text(), nullable=False),
        sa.Column("snapshot_size", sa.Integer(), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_releases_number_is_positive")),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_releases_environment_environments")
        ),
        sa.PrimaryKeyConstraint("environment", "number", name=op.f("pk_releases")),
    )
    op.create_table(
        "configuration_versions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("configuration_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("prompt_code", sa.Text(), nullable=False),
        sa.Column("prompt_version", sa.Integer(), nullable=True),
        sa.Column("temperature", sa.Numeric(precision=5, scale=3), nullable=True),
        sa.Column("max_tokens", sa.Integer(), nullable=True),
        sa.Column("top_p", sa.Numeric(precision=5, scale=3), nullable=True),
        sa.Column("frequency_penalty", sa.Numeric(precision=5, scale=3), nullable=True),
        sa.Column("presence_penalty", sa.Numeric(precision=5, scale=3), nullable=True),
        sa.Column("fallbacks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "effective_until > effective_from",
            name=op.f("ck_configuration_versions_effective_dates_in_order"),
        ),
        sa.CheckConstraint(
            "frequency_penalty BETWEEN -2 AND 2",
            name=op.f("ck_configuration_versions_frequency_penalty_in_range"),
        ),
        sa.CheckConstraint("max_tokens > 0", name=op.f("ck_configuration_versions_max_tokens_is_positive")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_configuration_versions_number_is_positive")),
        sa.CheckConstraint(
            "presence_penalty BETWEEN -2 AND 2",
            name=op.f("ck_configuration_versions_presence_penalty_in_range"),
        ),
        sa.CheckConstraint(
            "temperature BETWEEN 0 AND 2", name=op.f("ck_configuration_versions_temperature_in_range")
        ),
        sa.CheckConstraint("top_p BETWEEN 0 AND 1", name=op.f("ck_configuration_versions_top_p_in_range")),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["configurations.id"],
            name=op.f("fk_configuration_versions_configuration_id_configurations"),
        ),
        sa.ForeignKeyConstraint(
            ["model"], ["models.code"], name=op.f("fk_configuration_versions_model_models")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_code"], ["prompts.code"], name=op.f("fk_configuration_versions_prompt_code_prompts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configuration_versions")),
        sa.UniqueConstraint(
            "configuration_id", "number", name=op.f("uq_configuration_versions_configuration_id_number")
        ),
    )
    op.create_index(
        op.f("ix_configuration_versions_model"), "configuration_versions", ["model"], unique=False
    )
    op.create_index(
        op.f("ix_configuration_versions_prompt_code"), "configuration_versions", ["prompt_code"], unique=False
    )
    op.create_table(
        "export_steps",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment", "number"],
            ["releases.environment", "releases.number"],
            name=op.f("fk_export_steps_environment_number_releases"),
        ),
        sa.PrimaryKeyConstraint("environment", "number", "step", name=op.f("pk_export_steps")),
    )
    op.create_table(
        "prompt_drafts",
        sa.Column("prompt_code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_prompt_drafts_person_id_people"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["prompt_code"],
            ["prompts.code"],
            name=op.f("fk_prompt_drafts_prompt_code_prompts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_code", "person_id", name=op.f("pk_prompt_drafts")),
    )
    op.create_table(
        "prompt_versions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("prompt_code", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_prompt_versions_number_is_positive")),
        sa.ForeignKeyConstraint(
            ["prompt_code"], ["prompts.code"], name=op.f("fk_prompt_versions_prompt_code_prompts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_versions")),
        sa.UniqueConstraint("prompt_code", "number", name=op.f("uq_prompt_versions_prompt_code_number")),
    )
    op.create_index(op.f("ix_prompt_versions_sha256"), "prompt_versions", ["sha256"], unique=False)
    op.create_table(
        "rollouts",
        sa.Column("number", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("configuration_id", sa.UUID(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'running') = (ended_at IS NULL)", name=op.f("ck_rollouts_end_matches_state")
        ),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'aborted')", name=op.f("ck_rollouts_state_is_known")
        ),
        sa.CheckConstraint("to_version <> from_version", name=op.f("ck_rollouts_versions_differ")),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["configurations.id"],
            name=op.f("fk_rollouts_configuration_id_configurations"),
        ),
        sa.ForeignKeyConstraint(
            ["environment"], ["environments.code"], name=op.f("fk_rollouts_environment_environments")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rollouts")),
    )
    op.create_index(op.f("ix_rollouts_configuration_id"), "rollouts", ["configuration_id"], unique=False)
    op.create_index(
        "uq_rollouts_running",
        "rollouts",
        ["environment", "configuration_id"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )


def downgrade() -> None:
    op.drop_index("uq_rollouts_running", table_name="rollouts", postgresql_where=sa.text("state = 'running'"))
    op.drop_index(op.f("ix_rollouts_configuration_id"), table_name="rollouts")
    op.drop_table("rollouts")
    op.drop_index(op.f("ix_prompt_versions_sha256"), table_name="prompt_versions")
    op.drop_table("prompt_versions")
    op.drop_table("prompt_drafts")
    op.drop_table("export_steps")
    op.drop_index(op.f("ix_configuration_versions_prompt_code"), table_name="configuration_versions")
    op.drop_index(op.f("ix_configuration_versions_model"), table_name="configuration_versions")
    op.drop_table("configuration_versions")
    op.drop_table("releases")
    op.drop_index(
        "uq_release_entries_live", table_name="release_entries", postgresql_where=sa.text("valid_to IS NULL")
    )
    op.drop_index("ix_release_entries_validity", table_name="release_entries")
    op.drop_table("release_entries")
    op.drop_index(op.f("ix_prompts_interaction"), table_name="prompts")
    op.drop_table("prompts")
    op.drop_index("uq_configurations_place", table_name="configurations")
    op.drop_table("configurations")
    op.drop_index(op.f("ix_browser_sessions_seen_at"), table_name="browser_sessions")
    op.drop_index(op.f("ix_browser_sessions_person_id"), table_name="browser_sessions")
    op.drop_table("browser_sessions")
    op.drop_table("tiers")
    op.drop_index("ix_sign_in_attempts_email_at", table_name="sign_in_attempts")
    op.drop_index("ix_sign_in_attempts_address_at", table_name="sign_in_attempts")
    op.drop_table("sign_in_attempts")
    op.drop_index("uq_people_email_lower", table_name="people")
    op.drop_table("people")
    op.drop_table("models")
    op.drop_table("interactions")
    op.drop_table("environments")
    op.drop_index("ix_audit_events_object", table_name="audit_events")
    op.drop_index("ix_audit_events_environment", table_name="audit_events")
    op.drop_index("ix_audit_events_at", table_name="audit_events")
    op.drop_index("ix_audit_events_actor", table_name="audit_events")
    op.drop_index("ix_audit_events_action", table_name="audit_events")
    op.drop_table("audit_events")
