"""Processes that call, and the worker's look at what they tell."""

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.runtime.units import Units
from controlplane.units.gathering import gather

ENVIRONMENT = "production"
PREMIUM = "configuration/COACHING_RESPONSE/premium/*"


class Process:
    """One process of the product; `at` is its clock."""

    def __init__(self, at: dt.datetime | None = None) -> None:
        self.at = at or now()
        self.units = Units(ENVIRONMENT, clock=self._seconds)

    def call(
        self, who: Iterable[int | None], version: int = 1, *, key: str = PREMIUM, kind: str = "user"
    ) -> "Process":
        """Have each of them call once."""
        for number in who:
            self.units.count(key, kind, None if number is None else f"{kind}-{number}", version)
        return self

    def _seconds(self) -> float:
        return self.at.timestamp()

    def beat(self, **changes: Any) -> bytes:
        """Return its heartbeat, as far as units are told in it."""
        return json.dumps({"units": {**self.units.told(20_000), **changes}}).encode()


def look(session: Session, *beats: bytes | Process, at: dt.datetime | None = None) -> None:
    """Read heartbeats as the worker does."""
    told = [each.beat() if isinstance(each, Process) else each for each in beats]
    gather(session, ENVIRONMENT, told, at or now())
    session.commit()


def counted(
    session: Session, who: Iterable[int | None], version: int = 1, *, key: str = PREMIUM, kind: str = "user"
) -> None:
    """Have them call now, in an environment that has been counting for longer than a day.

    An estimate errs; of ranges below a hundred it happens to be exact, so that sentences can be compared.
    """
    yesterday = now() - dt.timedelta(hours=30)
    look(session, Process(yesterday).call([0], key="configuration/OTHER/default/*"), at=yesterday)
    look(session, Process().call(who, version, key=key, kind=kind))
