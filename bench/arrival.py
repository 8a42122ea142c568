"""From "Publish" to "effective in a running process", with the real worker, stores over HTTP and a polling client.

The clock starts before the transaction and stops when a client that polls at the default of five seconds serves the release.

Floor: the poll alone. A change that was in the store at once would wait half of it on average, and the whole of it at worst.

Limits: at most the poll and one second; half of all at most three seconds.
"""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from bench.effort import Effort
from bench.figures import Figure, Limit
from controlplane.accounts.actor import Actor
from controlplane.db import make_engine, transaction
from controlplane.local.ports import any_free
from controlplane.local.postgres import temporary
from controlplane.releases.history import latest_release
from controlplane.releases.saved import live_entries
from controlplane.releases.services import publish_entries
from controlplane.runtime import Client
from controlplane.runtime.stores.build import store_from_environment
from controlplane.web.cli import load_first_data, migrate

_ACTOR = Actor.system("bench", via="command line")
_ENVIRONMENT = "staging"
_KEY = "tier/premium"


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    poll = effort.poll_seconds
    with temporary() as url:
        migrate(url)
        engine = make_engine(url)
        try:
            load_first_data(engine)
            with _running(url, poll) as client:
                waits = [_wait(engine, client, poll, number) for number in range(effort.arrivals)]
        finally:
            engine.dispose()
    return [
        _figure(
            "publish to effective, half of them", statistics.median(waits), poll / 2, Limit(3, of="here")
        ),
        _figure("publish to effective, the slowest", max(waits), poll, Limit(poll + 1, of="here")),
    ]


@contextmanager
def _running(database_url: str, poll: float) -> Iterator[Client]:
    """A client that serves the first release, with an emulator and a worker behind it."""
    port = any_free()
    environ = {**os.environ, "DATABASE_URL": database_url, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    programs = (("controlplane.local.aws", "--port", str(port)), ("controlplane.worker",))
    started = [
        subprocess.Popen([sys.executable, "-m", *program], env=environ, stdout=subprocess.DEVNULL)
        for program in programs
    ]
    client = Client(store_from_environment(environ), _ENVIRONMENT, poll_seconds=poll)
    try:
        client.start()
        if not client.wait_ready(60):
            raise RuntimeError(f"no release arrived: {client.state.last_error}")
        yield client
    finally:
        client.close()
        for process in started:
            process.terminate()
            process.wait(10)


def _wait(engine: Engine, client: Client, poll: float, number: int) -> float:
    # At a moment of its own: right after the last arrival every publish would just have missed the poll.
    time.sleep(random.uniform(0, poll))
    began = time.perf_counter()
    release = _publish(engine, number)
    while client.snapshot is None or client.snapshot.release < release:
        time.sleep(0.002)
    return time.perf_counter() - began


def _publish(engine: Engine, number: int) -> int:
    with transaction(engine) as session:
        document: dict[str, Any] = dict(live_entries(session, _ENVIRONMENT)[_KEY])
        publish_entries(
            session,
            _ENVIRONMENT,
            {_KEY: {**document, "name": f"Premium {number}"}},
            reason="A benchmark",
            actor=_ACTOR,
            action="release.published",
            sentence="published a name",
            source_name="saved",
        )
        latest = latest_release(session, _ENVIRONMENT)
    if latest is None:
        raise RuntimeError("nothing was published")
    return latest.number


def _figure(name: str, seconds: float, floor: float, limit: Limit) -> Figure:
    return Figure(name, seconds, "s", floor, seconds / floor, limit)
