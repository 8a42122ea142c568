"""What each rollout is guarded by, what is known of its version, and what guards were set off by."""

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class GuardSettings(Base):
    """What somebody chose for one rollout; without a row, what is usual."""

    __tablename__ = "guard_settings"
    __table_args__ = (
        CheckConstraint("on_breach IN ('watch', 'hold', 'abort')", name="on_breach_is_known"),
        CheckConstraint("least_calls BETWEEN 10 AND 100000", name="least_calls_in_range"),
    )

    rollout: Mapped[int] = mapped_column(ForeignKey("rollouts.number"), primary_key=True)
    on_breach: Mapped[str]
    least_calls: Mapped[int]
    tolerances: Mapped[Json]  # by measure; one that is missing is not watched
    revision: Mapped[int] = mapped_column(default=1)


class GuardWatch(Base):
    """What is known of a rollout's version: `known` holds the minutes after `since` up to `through`.

    The row is the lock: of two workers one goes on at a time, and each minute is taken into account once.
    """

    __tablename__ = "guard_watches"

    rollout: Mapped[int] = mapped_column(ForeignKey("rollouts.number"), primary_key=True)
    since: Mapped[dt.datetime]
    through: Mapped[dt.datetime]
    looked_at: Mapped[dt.datetime]
    known: Mapped[Json]


class GuardBreach(Base):
    """One time that a guard was set off, and what it did about it."""

    __tablename__ = "guard_breaches"
    __table_args__ = (
        CheckConstraint("acted IN ('told', 'held', 'aborted')", name="acted_is_known"),
        Index("ix_guard_breaches_environment_at", "environment", "at"),
        Index("ix_guard_breaches_rollout_at", "rollout", "at"),
    )

    number: Mapped[int] = mapped_column(Identity(), primary_key=True)
    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"))
    rollout: Mapped[int] = mapped_column(ForeignKey("rollouts.number"))
    measures: Mapped[list[str]]
    at: Mapped[dt.datetime]
    since: Mapped[dt.datetime]  # what it was set off by came after this
    words: Mapped[str]
    acted: Mapped[str]
    release: Mapped[int | None]
