"""The tables of kill switches: which are thrown now, and which document tells the readers of it."""

import datetime as dt

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base

EVERYTHING = "everything"
"""The target of the switch that stops all calls; no interaction's code is in lower case."""


class KillSwitch(Base):
    """A switch that is thrown. To lift it is to delete the row; the audit keeps who threw it, when and why."""

    __tablename__ = "kill_switches"
    __table_args__ = (
        CheckConstraint("char_length(reason) BETWEEN 10 AND 500", name="reason_says_something"),
    )

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    thrown_by_id: Mapped[str]
    thrown_by: Mapped[str]
    thrown_at: Mapped[dt.datetime]
    reason: Mapped[str]


class SwitchDocument(Base):
    """How far an environment's document of switches is: made with the first throw, its version rises with each change.

    Its row is the lock under which switches are thrown and lifted. `problem` is why the store does not have it yet.
    """

    __tablename__ = "kill_switch_documents"
    __table_args__ = (CheckConstraint("version >= 0", name="version_is_not_negative"),)

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    exported_version: Mapped[int | None] = mapped_column(BigInteger)
    exported_at: Mapped[dt.datetime | None]
    problem: Mapped[str | None]

    @property
    def is_exported(self) -> bool:
        """Whether readers can see what is thrown now."""
        return self.exported_version == self.version
