"""Reviews: how the look at each change stands, every step of it, and the rules of what is looked at.

The record itself is append-only and knows nothing of this. Of a review only the answer changes: triggers (migration 0015)
keep the rest of the row as it was written, fill in who may not answer, and refuse to change a step or a sign-off at all.
"""

import datetime as dt

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class EventReview(Base):
    """The look at one change: its risk as it was when the change was made, and how the look stands.

    `asked` says why somebody has to look: "rule", "sample" or "emergency"; null where nobody has to, but may.
    """

    __tablename__ = "event_reviews"
    __table_args__ = (
        CheckConstraint("state IN ('unreviewed', 'queried', 'reviewed', 'disputed')", name="state_is_known"),
        CheckConstraint("asked IN ('rule', 'sample', 'emergency')", name="asked_is_known"),
        CheckConstraint("risk BETWEEN 0 AND 100", name="risk_in_range"),
        CheckConstraint("level BETWEEN 1 AND 3", name="level_in_range"),
        CheckConstraint("(asked IS NULL) = (due_at IS NULL)", name="due_where_asked"),
        CheckConstraint("(state = 'unreviewed') = (reviewer_id IS NULL)", name="answered_by_somebody"),
        CheckConstraint("(reviewer_id IS NULL) = (reviewed_at IS NULL)", name="answered_at_a_time"),
        CheckConstraint("reviewer_id <> ALL (barred)", name="reviewer_is_somebody_else"),
        Index(
            "ix_event_reviews_queue",
            text("level DESC"),
            "at",
            "event_id",
            postgresql_where=text("asked IS NOT NULL AND state IN ('unreviewed', 'queried')"),
        ),
        Index(
            "ix_event_reviews_emergencies",
            "at",
            "event_id",
            postgresql_where=text("asked = 'emergency' AND state IN ('unreviewed', 'queried')"),
        ),
        Index("ix_event_reviews_at", "at", "event_id"),
        Index("ix_event_reviews_actor", "actor_id", postgresql_where=text("state = 'queried'")),
        Index("ix_event_reviews_disputed", "at", "event_id", postgresql_where=text("state = 'disputed'")),
        Index("ix_event_reviews_answered", "reviewed_at", "event_id"),
    )

    event_id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime]  # when the change was made: with the id, where it lies in the record
    environment: Mapped[str | None]
    actor_id: Mapped[str]
    # Who may not answer: whoever did it, wrote some of it or agreed to it, or is its subject. Filled in by a trigger.
    barred: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=FetchedValue())
    risk: Mapped[int] = mapped_column(SmallInteger)
    level: Mapped[int] = mapped_column(SmallInteger)
    reasons: Mapped[list[Json]]  # mark, points, words; the heaviest first
    asked: Mapped[str | None]
    due_at: Mapped[dt.datetime | None]
    state: Mapped[str] = mapped_column(default="unreviewed")
    reviewer_id: Mapped[str | None]
    reviewer_name: Mapped[str | None]
    reviewed_at: Mapped[dt.datetime | None]
    answered_at: Mapped[dt.datetime | None]  # when a query was last answered by whom it was put to
    steps: Mapped[int] = mapped_column(default=0)  # pages that show fewer are out of date


class SignOff(Base):
    """Many changes reviewed at once: the statement, and which they were, by their number and digest."""

    __tablename__ = "review_sign_offs"
    __table_args__ = (CheckConstraint("count > 0", name="count_is_positive"),)

    number: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[dt.datetime]
    person_id: Mapped[str]
    person_name: Mapped[str]
    statement: Mapped[str]
    query: Mapped[str]  # the filter, as in the address of the queue
    words: Mapped[str]  # the filter, as people read it
    count: Mapped[int]
    sha256: Mapped[str]  # of the ids in order, a line each


class ReviewStep(Base):
    """One thing said or decided in the look at a change."""

    __tablename__ = "review_steps"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('reviewed', 'queried', 'disputed', 'answered', 'commented')", name="kind_is_known"
        ),
        Index("ix_review_steps_event", "event_id", "id"),
        Index("ix_review_steps_sign_off", "sign_off", postgresql_where=text("sign_off IS NOT NULL")),
        Index("ix_review_steps_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("event_reviews.event_id"))
    kind: Mapped[str]
    person_id: Mapped[str]
    person_name: Mapped[str]
    at: Mapped[dt.datetime]
    comment: Mapped[str | None]
    sign_off: Mapped[int | None] = mapped_column(ForeignKey("review_sign_offs.number"))


class ReviewRules(Base):
    """What is looked at, by when. One row at most; without it the defaults of `rules.py` hold."""

    __tablename__ = "review_rules"
    __table_args__ = (CheckConstraint("id = 1", name="there_is_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    content: Mapped[Json]
    revision: Mapped[int] = mapped_column(default=1)
