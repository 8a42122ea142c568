"""The audit event. Numbering, chaining, months and append-only are the database's work (migrations 0002 and 0012)."""

import datetime as dt

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    FetchedValue,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Identity, Json


class AuditEvent(Base):
    """One change of state, sign-in or refusal, as it was told at the time.

    `sequence`, `previous_hash` and `hash` are filled by a trigger under an advisory lock, so that the chain has no
    gap and no fork whatever the number of writers. Cost: writers of events queue from their insert to their commit.

    The table is one of months (by `at`), which are archived and dropped whole; what is unique in it can be so only
    together with `at`.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        PrimaryKeyConstraint("sequence", "at"),
        UniqueConstraint("id", "at"),
        Index("ix_audit_events_object", "object_kind", "object_key", text("sequence DESC")),
        Index("ix_audit_events_time", text("at DESC"), text("sequence DESC")),
        *(
            Index(
                f"ix_audit_events_{column}",
                "environment",
                column,
                text("sequence DESC"),
                postgresql_where=text(f"{column} IS NOT NULL"),
            )
            for column in ("release", "proposal")
        ),
        # What changes are found by; `finding.py` asks it.
        Index(
            "ix_audit_events_terms",
            text(
                "audit_event_terms(actor_id, actor_name, action, object_kind, object_key, environment, via, release,"
                " emergency, sentence, reason, before, after)"
            ),
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 512},
        ),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    sequence: Mapped[int] = mapped_column(BigInteger, autoincrement=False, server_default=FetchedValue())
    id: Mapped[str]  # a ULID: sorts by time, safe in an address
    at: Mapped[dt.datetime]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    actor_role: Mapped[str]
    via: Mapped[str]
    action: Mapped[str]
    object_kind: Mapped[str]
    object_key: Mapped[str]
    environment: Mapped[str | None]
    sentence: Mapped[str]
    reason: Mapped[str | None]
    before: Mapped[Json | None]
    after: Mapped[Json | None]
    release: Mapped[int | None]
    proposal: Mapped[int | None]
    ticket: Mapped[str | None]  # as the reason names it: "OPS-123"
    token: Mapped[str | None]  # the API token that the actor came with, and whose it was then
    owner_id: Mapped[str | None]
    owner_name: Mapped[str | None]
    effect_share: Mapped[int | None]  # of all users, in hundred-thousandths: how many get something else
    approvals: Mapped[int | None]  # of a publish: how many agreed, and how many the environment asked for
    approvals_needed: Mapped[int | None]
    # Done without the agreement that the environment asks for, by somebody who may: marked wherever it is shown.
    emergency: Mapped[bool] = mapped_column(default=False)
    request_id: Mapped[str | None]
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    previous_hash: Mapped[str] = mapped_column(server_default=FetchedValue())
    hash: Mapped[str] = mapped_column(server_default=FetchedValue())

    # The number alone says which event it is: the append gives each once.
    __mapper_args__ = {"primary_key": [sequence]}  # noqa: RUF012 - SQLAlchemy reads it as a class attribute


class AuditHead(Base):
    """What the next event will follow from: one row, written by the append's trigger and by nothing else."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("single", name="is_one_row"),)

    single: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]


class SavedView(Base):
    """A query of the list of changes under a name: one person's, or shared with everybody."""

    __tablename__ = "saved_views"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        Index("ix_saved_views_shared", "shared", "name"),
    )

    id: Mapped[Identity]
    owner_id: Mapped[str]
    owner_name: Mapped[str]
    name: Mapped[str]
    query: Mapped[str]
    shared: Mapped[bool]
    created_at: Mapped[dt.datetime]


class AuditAnchor(Base):
    """A place outside of the database where the chain's head was left, as this database remembers it."""

    __tablename__ = "audit_anchors"
    __table_args__ = (Index("ix_audit_anchors_sequence", "sequence"),)

    name: Mapped[str] = mapped_column(primary_key=True)  # of the object in the store
    environment: Mapped[str | None]
    release: Mapped[int | None]
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
    key_id: Mapped[str | None]
    anchored_at: Mapped[dt.datetime]


class AuditCheck(Base):
    """What the last check found, of what is new ("newest") and of the whole ("all"): the badge on the record's page."""

    __tablename__ = "audit_checks"
    __table_args__ = (CheckConstraint("kind IN ('newest', 'all')", name="kind_is_known"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    checked_at: Mapped[dt.datetime]
    sequence: Mapped[int] = mapped_column(BigInteger)  # up to which event, and its hash
    hash: Mapped[str]
    events: Mapped[int] = mapped_column(BigInteger)
    findings: Mapped[list[str]]


class AuditArchive(Base):
    """A month that lies in the store instead of here. Written by the owner alone.

    `runs` are the stretches of numbers in it, each with the hashes at its two ends: with them the chain goes on over the gap.
    Mostly it is one; around midnight events of two months may be numbered in turns.
    """

    __tablename__ = "audit_archives"

    month: Mapped[dt.date] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    events: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    runs: Mapped[list[Json]]
    archived_at: Mapped[dt.datetime]
