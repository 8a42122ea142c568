"""The story of each rollout. The live share is not here: it is read from the live entry's bucket ranges.

One row is one candidate beside the baseline. A configuration with three live versions has two rows that run, each with
its own page, pause, plan and end; what they share is the entry, and that the rest is the baseline's.
"""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base


class Rollout(Base):
    """A move of one configuration in one environment from one version to another."""

    __tablename__ = "rollouts"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'finished', 'aborted', 'passed_over')", name="state_is_known"),
        CheckConstraint("to_version <> from_version", name="versions_differ"),
        CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="end_matches_state"),
        CheckConstraint("num_nulls(paused_at, paused_by, paused_reason) IN (0, 3)", name="pause_is_whole"),
        Index(
            "uq_rollouts_running",
            "environment",
            "configuration_id",
            "to_version",
            unique=True,
            postgresql_where=text("state = 'running'"),
        ),
    )

    number: Mapped[int] = mapped_column(Identity(), primary_key=True)
    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"))
    configuration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("configurations.id"), index=True)
    from_version: Mapped[int]
    to_version: Mapped[int]
    state: Mapped[str] = mapped_column(default="running")
    started_at: Mapped[dt.datetime]
    started_by: Mapped[str]
    ended_at: Mapped[dt.datetime | None]
    ended_by: Mapped[str | None]
    # Held where it is; the share is no part of it, so a pause is no release.
    paused_at: Mapped[dt.datetime | None]
    paused_by: Mapped[str | None]
    paused_reason: Mapped[str | None]
    # For how long it was paused altogether, up to its last resuming: time that a plan does not count.
    held_seconds: Mapped[int] = mapped_column(default=0, server_default=text("0"))
