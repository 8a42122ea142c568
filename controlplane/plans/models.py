"""Plans of rollouts and gates, and their steps. The share is in the live entry; a plan remembers where it left it."""

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base

# At most one plan of a rollout or a gate may still go on.
OPEN = text("state IN ('running', 'stopped')")


class Plan(Base):
    """What a rollout, or the gate of an interaction, does next and when."""

    __tablename__ = "rollout_plans"
    __table_args__ = (
        CheckConstraint("num_nonnulls(rollout, gate) = 1", name="has_one_subject"),
        CheckConstraint("state IN ('running', 'stopped', 'done', 'cancelled')", name="state_is_known"),
        CheckConstraint(
            "(state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)", name="end_matches_state"
        ),
        CheckConstraint("share BETWEEN 0 AND 100000", name="share_in_range"),
        Index("uq_rollout_plans_rollout", "rollout", unique=True, postgresql_where=OPEN),
        Index("uq_rollout_plans_gate", "environment", "gate", unique=True, postgresql_where=OPEN),
        Index("ix_rollout_plans_running", "environment", postgresql_where=text("state = 'running'")),
    )

    number: Mapped[int] = mapped_column(Identity(), primary_key=True)
    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"))
    rollout: Mapped[int | None] = mapped_column(ForeignKey("rollouts.number"))
    gate: Mapped[str | None] = mapped_column(ForeignKey("interactions.code"))
    state: Mapped[str] = mapped_column(default="running")
    reason: Mapped[str]
    # In whose name it is done, with what they may do at that time.
    person_id: Mapped[str]
    person_name: Mapped[str]
    started_at: Mapped[dt.datetime]
    revision: Mapped[int] = mapped_column(default=1)  # raised with every change: forms name the one they show
    step: Mapped[int] = mapped_column(default=0)  # the position of the step that it is at
    since: Mapped[dt.datetime]  # when it came to that step
    share: Mapped[int]  # where it left the share: when it is another by now, somebody moved it
    held_before: Mapped[int] = mapped_column(default=0)  # seconds its rollout had been paused for by then
    note: Mapped[str | None]  # why it stopped, or what it waits for besides the time
    ended_at: Mapped[dt.datetime | None]
    ended_by: Mapped[str | None]


class PlanStep(Base):
    """One step: the share to set, how long to stay there, and whether somebody has to say so first."""

    __tablename__ = "rollout_plan_steps"
    __table_args__ = (
        CheckConstraint("share BETWEEN 0 AND 100000", name="share_in_range"),
        CheckConstraint("hold_minutes BETWEEN 1 AND 129600", name="hold_in_range"),
        CheckConstraint("num_nulls(reached_at, reached_by) IN (0, 2)", name="reached_by_somebody"),
    )

    plan: Mapped[int] = mapped_column(ForeignKey("rollout_plans.number"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    share: Mapped[int]
    hold_minutes: Mapped[int]
    waits: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(default="")
    reached_at: Mapped[dt.datetime | None]
    reached_by: Mapped[str | None]
    release: Mapped[int | None]  # none where the share was that one already
