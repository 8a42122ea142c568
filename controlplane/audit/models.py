"""The audit event. Numbering, chaining and append-only are the database's work (migration 0002)."""

import datetime as dt

from sqlalchemy import BigInteger, FetchedValue, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class AuditEvent(Base):
    """One change of state, sign-in or refusal, as it was told at the time.

    `sequence`, `previous_hash` and `hash` are filled by a trigger under an advisory lock, so that the chain has no
    gap and no fork whatever the number of writers. Cost: writers of events queue from their insert to their commit.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_object", "object_kind", "object_key", text("sequence DESC")),
        Index("ix_audit_events_environment", "environment", text("sequence DESC")),
        Index("ix_audit_events_actor", "actor_id", text("sequence DESC")),
        Index("ix_audit_events_action", "action", text("sequence DESC")),
        Index("ix_audit_events_at", text("at DESC")),
    )

    sequence: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, server_default=FetchedValue()
    )
    id: Mapped[str] = mapped_column(unique=True)  # a ULID: sorts by time, safe in an address
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
    # Done without the agreement that the environment asks for, by somebody who may: marked wherever it is shown.
    emergency: Mapped[bool] = mapped_column(default=False)
    request_id: Mapped[str | None]
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    previous_hash: Mapped[str] = mapped_column(server_default=FetchedValue())
    hash: Mapped[str] = mapped_column(server_default=FetchedValue())
