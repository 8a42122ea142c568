"""Processes with real clients and real heartbeats, on a store that a test can make lie."""

import datetime as dt
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.fleet.models import Process
from controlplane.fleet.observing import observe
from controlplane.fleet.standing import Confirmation, confirmation
from controlplane.runtime import Client
from controlplane.runtime.canonical import digest
from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.stores import ReleaseStore
from tests.runtime.faults import FaultyStore, release_bytes

ENVIRONMENT = "production"


class Clock:
    """The observer's clock: the real one, and as much ahead as a test says."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.ahead

    def pass_seconds(self, seconds: float) -> None:
        self.ahead += dt.timedelta(seconds=seconds)


class Running:
    """A process: a client that looks at the store when it is told to, and its heartbeat."""

    def __init__(self, store: ReleaseStore, **options: Any) -> None:
        self.client = Client(store, ENVIRONMENT, environ={}, **options)
        self.metrics = Metrics(ENVIRONMENT)
        self.heartbeat = Heartbeat(store, self.client, self.metrics)
        self.name = self.heartbeat.process

    def look(self) -> "Running":
        """Take up what the store has, and tell."""
        self.client.refresh()
        assert self.heartbeat.beat()
        return self


class Fleet:
    """A store with releases, and what the worker makes of the heartbeats in it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = FaultyStore()
        self.clock = Clock()
        self.sha256: dict[int, str] = {}

    def publish(self, release: int, data: bytes | None = None, *, temperature: float = 0.5) -> None:
        data = release_bytes(temperature) if data is None else data
        self.sha256[release] = digest(data)
        self.store.publish(release, data)

    def process(self, **options: Any) -> Running:
        return Running(self.store, **options)

    def tell(self, process: str, document: bytes) -> None:
        self.store.write_heartbeat(ENVIRONMENT, process, document, seconds=60)

    def observe(self, *, after: float = 11) -> None:
        """Look at the heartbeats so many seconds later."""
        self.clock.pass_seconds(after)
        observe(self.engine, self.store, ENVIRONMENT, clock=self.clock)

    def confirmation(self, release: int, *, made_at: dt.datetime | None = None) -> Confirmation:
        with Session(self.engine) as session:
            return confirmation(session, ENVIRONMENT, release, self.sha256[release], made_at=made_at)

    def rows(self) -> dict[str, Process]:
        with Session(self.engine) as session:
            return {row.process: row for row in session.scalars(select(Process))}

    def row(self, process: str) -> Process:
        return self.rows()[process]
