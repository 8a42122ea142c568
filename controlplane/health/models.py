"""What happened in each minute, and what each process had counted when it was last read."""

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base


class HealthMinute(Base):
    """How the calls of one version of a row of configuration went in one minute, all processes together.

    The minute is the one in which the worker read of them, so that a minute that is over never changes. `tier` is the
    caller's, which for a row of all tiers is another than the row's; empty is none. Version 0 is no configuration.
    """

    __tablename__ = "health_minutes"
    __table_args__ = (Index("ix_health_minutes_of_row", "environment", "interaction", "row", "minute"),)

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    minute: Mapped[dt.datetime] = mapped_column(primary_key=True)
    interaction: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    row: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    answered: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    elsewhere: Mapped[int] = mapped_column(BigInteger)
    unusable: Mapped[int] = mapped_column(BigInteger)
    fallbacks: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    unpriced: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[float]
    seconds: Mapped[float]
    times: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class HealthLookups(Base):
    """How look-ups and caches did in one minute, all processes together."""

    __tablename__ = "health_lookups"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    minute: Mapped[dt.datetime] = mapped_column(primary_key=True)
    times: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    hits: Mapped[int] = mapped_column(BigInteger)
    misses: Mapped[int] = mapped_column(BigInteger)


class HealthSource(Base):
    """What one process had counted when it was last read: the next reading adds what came since."""

    __tablename__ = "health_sources"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    process: Mapped[str] = mapped_column(primary_key=True)
    heard_at: Mapped[dt.datetime]
    whole: Mapped[bool]
    counts: Mapped[list[Any]] = mapped_column(JSONB)
    lookups: Mapped[list[Any]] = mapped_column(JSONB)
