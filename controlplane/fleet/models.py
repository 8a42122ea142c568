"""What the processes last said of themselves, when each release arrived at each, and how the store was last seen."""

import datetime as dt

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class Process(Base):
    """One process that reads the releases of an environment, as its last heartbeat told.

    `heard_at` and `gone_at` are by the observer's clock; what the process says of times is by its own.
    """

    __tablename__ = "fleet_processes"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    process: Mapped[str] = mapped_column(primary_key=True)  # host, process id and a random part
    host: Mapped[str]
    started_at: Mapped[dt.datetime]
    first_seen_at: Mapped[dt.datetime]
    heard_at: Mapped[dt.datetime]
    gone_at: Mapped[dt.datetime | None]  # null: it has been heard lately
    beat: Mapped[str]  # what tells one heartbeat from the next: the time that it says it was written at
    interval_seconds: Mapped[float]
    poll_seconds: Mapped[float | None]
    release: Mapped[int | None]
    sha256: Mapped[str | None]
    serving_since: Mapped[dt.datetime | None]
    held_back: Mapped[int]  # entries that are served as the release before had them
    quarantined: Mapped[str | None]  # the digest of a release that it refused
    source: Mapped[str | None]  # "store", "disk", "bootstrap", "lookup"
    versions: Mapped[Json]
    thrown: Mapped[list[str]]  # the kill switches that it obeys
    calls: Mapped[int] = mapped_column(BigInteger)  # answered since it started
    errors: Mapped[int] = mapped_column(BigInteger)
    problem: Mapped[str | None]  # why it does not have what it should, in its own words


class Arrival(Base):
    """When one release began to be served, whole, by one process."""

    __tablename__ = "fleet_arrivals"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    release: Mapped[int] = mapped_column(primary_key=True)
    process: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[dt.datetime]  # of the process: one that started later did not wait for this release
    arrived_at: Mapped[dt.datetime]


class Observation(Base):
    """When the heartbeats of an environment were last read, and which release its store named then."""

    __tablename__ = "fleet_observations"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    observed_at: Mapped[dt.datetime]
    release: Mapped[int | None]
    sha256: Mapped[str | None]
    named_at: Mapped[dt.datetime | None]  # when the store was first seen to name this release
