"""Proposals: chosen entries to change in one environment, who wrote and who agreed to them, and what was said."""

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base


class Proposal(Base):
    """Several entries that go live together, or not at all. Its number counts within its environment.

    `content_sha256` is the digest of what it would make live; an approval holds for that digest and no other.
    """

    __tablename__ = "proposals"
    __table_args__ = (
        CheckConstraint("number >= 1", name="number_is_positive"),
        CheckConstraint(
            "state IN ('draft', 'in_review', 'approved', 'rejected', 'scheduled', 'published', 'withdrawn', 'conflicted')",
            name="state_is_known",
        ),
        CheckConstraint("(state = 'scheduled') <= (due_at IS NOT NULL)", name="scheduled_has_a_time"),
        CheckConstraint("(state = 'published') = (release IS NOT NULL)", name="published_is_a_release"),
        Index("ix_proposals_state", "environment", "state", "number"),
    )

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    summary: Mapped[str]  # one line in words, made of the entries
    reason: Mapped[str]
    source: Mapped[str]  # "saved", "release 3", "staging release 12", "change 01J…", "bundle"
    state: Mapped[str]
    base: Mapped[int]  # the release that the entries were compared with
    content_sha256: Mapped[str]
    author_id: Mapped[str]
    author_name: Mapped[str]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    revision: Mapped[int] = mapped_column(default=1)  # raised with every change: forms name the one they show
    due_at: Mapped[dt.datetime | None]
    due_zone: Mapped[str | None]  # the zone it was chosen in: "Europe/Berlin"
    scheduled_by: Mapped[str | None]  # the id of the person in whose name it is published
    note: Mapped[str | None]  # why it was rejected or withdrawn, or what stopped it
    ended_at: Mapped[dt.datetime | None]
    ended_by: Mapped[str | None]
    release: Mapped[int | None]


class ProposalEntry(Base):
    """One key of a proposal: what was live at its base, and what it is to become; null: nothing."""

    __tablename__ = "proposal_entries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["environment", "number"], ["proposals.environment", "proposals.number"], ondelete="CASCADE"
        ),
    )

    environment: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    before: Mapped[str | None]  # canonical JSON, as in `release_entries`
    after: Mapped[str | None]


class ProposalParticipant(Base):
    """Somebody who wrote what is in a proposal, or agreed to it: never both, unless the environment allows that.

    One row for each person, so that no race can make the same person both: the check is on the row.
    """

    __tablename__ = "proposal_participants"
    __table_args__ = (
        ForeignKeyConstraint(
            ["environment", "number"], ["proposals.environment", "proposals.number"], ondelete="CASCADE"
        ),
        CheckConstraint(
            "approved_sha256 IS NULL OR NOT contributed OR self_approval", name="nobody_approves_alone"
        ),
        CheckConstraint("(approved_sha256 IS NULL) = (approved_at IS NULL)", name="approved_at_a_time"),
    )

    environment: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    contributed: Mapped[bool] = mapped_column(default=False)
    approved_sha256: Mapped[str | None]
    approved_at: Mapped[dt.datetime | None]
    # Written by a trigger from the environment's rule, whatever is sent.
    self_approval: Mapped[bool] = mapped_column(default=False)


class ProposalComment(Base):
    """What somebody said about a proposal."""

    __tablename__ = "proposal_comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["environment", "number"], ["proposals.environment", "proposals.number"], ondelete="CASCADE"
        ),
        Index("ix_proposal_comments_proposal", "environment", "number", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # a ULID: sorts by time
    environment: Mapped[str]
    number: Mapped[int]
    author_id: Mapped[str]
    author_name: Mapped[str]
    at: Mapped[dt.datetime]
    body: Mapped[str]


class UploadedBundle(Base):
    """A file that somebody is about to choose entries from: theirs alone, and gone after a day."""

    __tablename__ = "uploaded_bundles"

    id: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(index=True)
    data: Mapped[bytes]
    signed_by: Mapped[str | None]  # the key that vouches for it, of those known here when it came
    uploaded_at: Mapped[dt.datetime]
