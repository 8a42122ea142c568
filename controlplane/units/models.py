"""The sketches of different units, put together over all processes: one row for each hour, configuration and version."""

import datetime as dt

from sqlalchemy import BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base


class HourOfUnits(Base):
    """Which units, as registers and not by name, one version of a configuration answered in one hour."""

    __tablename__ = "unit_hours"

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    hour: Mapped[dt.datetime] = mapped_column(primary_key=True)  # its beginning, in UTC
    key: Mapped[str] = mapped_column(primary_key=True)  # of the entry: a configuration, or a gate
    unit: Mapped[str] = mapped_column(primary_key=True)  # "user", "tenant", "conversation"
    version: Mapped[int] = mapped_column(primary_key=True)  # 0: those whom the gate kept out
    registers: Mapped[bytes] = mapped_column(LargeBinary)  # as `runtime.sketch.packed` makes them
    # Of the busiest process alone: a sum over processes could not be made twice without counting twice, and all that is
    # asked of these is what part of the calls named nobody.
    calls: Mapped[int] = mapped_column(BigInteger)
    without_unit: Mapped[int] = mapped_column(BigInteger)
    told_at: Mapped[dt.datetime]  # when a heartbeat last changed this
