"""How calls go minute by minute, and the guards of rollouts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NUMBERS = postgresql.ARRAY(sa.BigInteger())


def upgrade() -> None:
    """New tables only: the code of before knows nothing of them."""
    _health()
    _guards()


def _environment_of(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_environment_environments")
    return sa.ForeignKeyConstraint(["environment"], ["environments.code"], name=name)


def _rollout_of(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["rollout"], ["rollouts.number"], name=op.f(f"fk_{table}_rollout_rollouts")
    )


def _health() -> None:
    whole = (
        "answered",
        "failed",
        "elsewhere",
        "unusable",
        "fallbacks",
        "input_tokens",
        "output_tokens",
        "unpriced",
    )
    op.create_table(
        "health_minutes",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("minute", MOMENT, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("interaction", "tier", "row")),
        sa.Column("version", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in whole),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("times", NUMBERS, nullable=False),
        _environment_of("health_minutes"),
        sa.PrimaryKeyConstraint(
            *("environment", "minute", "interaction", "tier", "row", "version"),
            name=op.f("pk_health_minutes"),
        ),
    )
    op.create_index(
        "ix_health_minutes_of_row", "health_minutes", ["environment", "interaction", "row", "minute"]
    )
    op.create_table(
        "health_lookups",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("minute", MOMENT, nullable=False),
        sa.Column("times", NUMBERS, nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.BigInteger(), nullable=False),
        _environment_of("health_lookups"),
        sa.PrimaryKeyConstraint("environment", "minute", name=op.f("pk_health_lookups")),
    )
    op.create_table(
        "health_sources",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("heard_at", MOMENT, nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("lookups", postgresql.JSONB(), nullable=False),
        _environment_of("health_sources"),
        sa.PrimaryKeyConstraint("environment", "process", name=op.f("pk_health_sources")),
    )


def _guards() -> None:
    op.create_table(
        "guard_settings",
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("on_breach", sa.Text(), nullable=False),
        sa.Column("least_calls", sa.Integer(), nullable=False),
        sa.Column("tolerances", postgresql.JSONB(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        _rollout_of("guard_settings"),
        sa.CheckConstraint(
            "on_breach IN ('watch', 'hold', 'abort')", name=op.f("ck_guard_settings_on_breach_is_known")
        ),
        sa.CheckConstraint(
            "least_calls BETWEEN 10 AND 100000", name=op.f("ck_guard_settings_least_calls_in_range")
        ),
        sa.PrimaryKeyConstraint("rollout", name=op.f("pk_guard_settings")),
    )
    op.create_table(
        "guard_watches",
        sa.Column("rollout", sa.Integer(), nullable=False),
        *(sa.Column(name, MOMENT, nullable=False) for name in ("since", "through", "looked_at")),
        sa.Column("known", postgresql.JSONB(), nullable=False),
        _rollout_of("guard_watches"),
        sa.PrimaryKeyConstraint("rollout", name=op.f("pk_guard_watches")),
    )
    op.create_table(
        "guard_breaches",
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("measures", postgresql.JSONB(), nullable=False),
        *(sa.Column(name, MOMENT, nullable=False) for name in ("at", "since")),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("acted", sa.Text(), nullable=False),
        sa.Column("release", sa.Integer()),
        _environment_of("guard_breaches"),
        _rollout_of("guard_breaches"),
        sa.CheckConstraint(
            "acted IN ('told', 'held', 'aborted')", name=op.f("ck_guard_breaches_acted_is_known")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_guard_breaches")),
    )
    op.create_index("ix_guard_breaches_environment_at", "guard_breaches", ["environment", "at"])
    op.create_index("ix_guard_breaches_rollout_at", "guard_breaches", ["rollout", "at"])


def downgrade() -> None:
    """What was measured is gone, and nothing is guarded."""
    for table in (
        "guard_breaches",
        "guard_watches",
        "guard_settings",
        "health_sources",
        "health_lookups",
        "health_minutes",
    ):
        op.drop_table(table)
