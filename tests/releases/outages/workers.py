"""Workers as processes of their own, to be killed or to race: forked from one that has imported everything.

    python -m tests.releases.outages.workers kill DATABASE_URL AWS_URL NAME
    python -m tests.releases.outages.workers race DATABASE_URL AWS_URL NAME ENVIRONMENT

`kill` reads the place to be killed at from each line of its input, exports as a worker does until a SIGKILL ends it there,
and prints how it ended. `race` runs eight workers until its input ends. Starting a Python for each would take a second.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn

from sqlalchemy import Engine

from controlplane.db import make_engine
from controlplane.releases.export import reconcile
from controlplane.runtime.stores.aws import AwsStore
from tests.releases.faults import FaultyStore
from tests.runtime.emulator import make_store

WORKERS = 8
HALF = "half of write_entries"


class Deadly(FaultyStore):
    """A store at which the process is killed: around a call, or when half of the entries are written."""

    def __init__(self, inner: AwsStore, place: str) -> None:
        super().__init__(inner)
        self.place = place
        self.faults[place] = kill

    def _around(self, name: str, *, after: bool = False) -> None:
        # Reads that only compare come before the first write; those that check come after it.
        if f"checking {name}" == self.place and not after and "write_entries" in self.calls:
            kill()
        super()._around(name, after=after)

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        if self.place == HALF:
            half = dict(list(documents.items())[: len(documents) // 2])
            self.inner.write_entries(environment, release, half)
            kill()
        super().write_entries(environment, release, documents)


class Stalling(FaultyStore):
    """A store whose writers are held up now and then, longest just before the pointer is moved."""

    def _around(self, name: str, *, after: bool = False) -> None:
        super()._around(name, after=after)
        if not after and name == "move_pointer":
            time.sleep(random.choice((0, 0, 0.01, 0.1, 0.4)))
        elif random.random() < 0.1:
            time.sleep(random.uniform(0, 0.05))


def kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit("still alive")


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(1)


def export(engine: Engine, store: AwsStore, place: str) -> None:
    own(engine, store)
    reconcile(engine, Deadly(store, place), "production")
    os._exit(0)


def race(engine: Engine, store: AwsStore, environment: str) -> None:
    own(engine, store)
    random.seed(os.getpid())
    slow = Stalling(store)
    while True:
        reconcile(engine, slow, environment)


def warm_up(engine: Engine, store: AwsStore, environment: str) -> None:
    """Go once through everything, so that no child has to make ready what it can inherit; connections are closed."""
    reconcile(engine, store, environment)
    engine.dispose()
    store.dynamodb.close()
    store.s3.close()


def own(engine: Engine, store: AwsStore) -> None:
    """Take over what the parent made ready."""
    engine.dispose(close=False)
    store._made_by = os.getpid()


def main(how: str, database_url: str, aws_url: str, name: str, environment: str = "production") -> None:
    engine, store = make_engine(database_url, pool_size=1), make_store(aws_url, name)
    warm_up(engine, store, environment)
    print("ready", flush=True)
    if how == "kill":
        for line in sys.stdin:
            child = forked(partial(export, engine, store, line.strip()))
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        return
    children = [forked(partial(race, engine, store, environment)) for _ in range(WORKERS)]
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
