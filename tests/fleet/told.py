"""Heartbeats that processes of the site's own database might write, and the worker's look at them."""

import datetime as dt
from typing import Any, cast

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.fleet.models import Observation
from controlplane.fleet.observing import observe
from controlplane.releases.history import get_release
from controlplane.runtime.stores import Pointer
from controlplane.runtime.stores.memory import MemoryStore
from tests.fleet.test_heartbeats import document

ENVIRONMENT = "production"


class Told:
    """A store whose pointer names a release of the database, and processes that say what they serve."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.store = MemoryStore()

    def point_to(self, number: int) -> None:
        sha256 = self.sha256(number)
        self.store.move_pointer(Pointer(environment=ENVIRONMENT, release=number, sha256=sha256, size=1))

    def sha256(self, number: int) -> str:
        return get_release(self.session, ENVIRONMENT, number).snapshot_sha256

    def tell(self, process: str, release: int | None, *, seconds: int = 60, **told: Any) -> None:
        """Write the heartbeat of a process that serves this release; with 0 seconds, its goodbye."""
        yesterday = now() - dt.timedelta(days=1)
        common: dict[str, Any] = {
            "written": str(now()),
            "started": str(yesterday),
            "serving_since": str(now()),
            "held_back": {},
            "thrown": [],
            "last_error": None,
        }
        sha256 = self.sha256(release) if release else None
        data = document(**{**common, "release": release, "sha256": sha256, **told})
        self.store.write_heartbeat(ENVIRONMENT, process, data, seconds=seconds)

    def look(self, *, ahead: float = 0) -> None:
        """Look at the heartbeats as the worker does some time after it looked before, in the transaction of the test.

        `ahead`: its clock is so many seconds ahead of the site's.
        """
        before = Observation.observed_at - dt.timedelta(seconds=20)
        self.session.execute(update(Observation).values(observed_at=before))
        self.session.commit()
        connection = cast("Engine", self.session.connection())
        observe(connection, self.store, ENVIRONMENT, clock=lambda: now() + dt.timedelta(seconds=ahead))
        self.session.expire_all()
