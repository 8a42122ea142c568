"""What was read of recorded calls, when, and where deciding one again came to something else."""

import datetime as dt

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class RecordedBatch(Base):
    """One object of the store that was read, or that cannot be: it is not read again."""

    __tablename__ = "recorded_batches"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    # In which it was written, by its writer's clock.
    hour: Mapped[dt.datetime] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    read_at: Mapped[dt.datetime]
    process: Mapped[str | None]
    rate: Mapped[float | None]  # the share of calls that its process records, above 0 and up to 1
    calls: Mapped[int]
    unreadable: Mapped[int]
    dropped: Mapped[int] = mapped_column(BigInteger)  # chosen by its process and lost since its batch before
    problem: Mapped[str | None]


class RecordedCall(Base):
    """One recorded call. Columns are what questions choose by; the whole is `document`, as it came."""

    __tablename__ = "recorded_calls"
    __table_args__ = (
        Index("ix_recorded_calls_environment_at", "environment", "at"),
        Index(
            "ix_recorded_calls_unchecked",
            "environment",
            "id",
            postgresql_where=text("verdict IS NULL"),
        ),
        Index(
            "ix_recorded_calls_with_values",
            "interaction",
            "at",
            postgresql_where=text("has_values"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"))
    at: Mapped[dt.datetime]
    interaction: Mapped[str]
    rate: Mapped[float]
    has_values: Mapped[bool]
    # Not JSONB: it is decoded into typed values every time, thousands at once, which from bytes takes a tenth of the time.
    document: Mapped[bytes]
    verdict: Mapped[str | None]  # what deciding it again came to; null: not yet done


class ReplayAlarm(Base):
    """Recorded calls that the release they name decides otherwise, one row for each kind of difference."""

    __tablename__ = "replay_alarms"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    first_at: Mapped[dt.datetime]  # of the calls, by the clock of their process
    last_at: Mapped[dt.datetime]
    calls: Mapped[int] = mapped_column(BigInteger)
    example: Mapped[Json]  # one such call: release, what was recorded, what the release says


class RecordedLook(Base):
    """When the store was last looked at for recorded calls, and last cleaned of old ones."""

    __tablename__ = "recorded_looks"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    looked_at: Mapped[dt.datetime]
    cleaned_at: Mapped[dt.datetime]
