"""Exporting as the worker does it: every environment in its turn, for ever.

Woken by a notice from Postgres when a release is made, and by a clock in case a notice is lost or a store was emptied. A
kill at any moment is harmless: everything it does may be done again.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import psycopg
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from controlplane.db import transaction
from controlplane.registry.models import Environment
from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.services import CHANNEL
from controlplane.runtime.signing import Signer
from controlplane.runtime.stores import ReleaseStore

_log = logging.getLogger(__name__)

CLOCK_SECONDS = 2.0
THOROUGH_SECONDS = 60.0
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 60.0
_RECONNECT_SECONDS = 1.0


def backoff(failures: int, *, chance: Callable[[], float] = random.random) -> float:
    """Return how long to wait after so many failures in a row: full jitter, so that workers do not march in step."""
    return chance() * min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures, 16))


@dataclass
class _Turn:
    """When an environment is due again, and since when it fails."""

    due: float = 0.0
    failures: int = 0
    thorough_due: float = 0.0


@dataclass
class Worker:
    """Reconciles every environment, each with its own back-off, so that one in trouble does not hold up another.

    `prepare` makes table and bucket where they are missing; it runs at the start and again after every failure, because
    what fails may be that somebody took them away.
    """

    engine: Engine
    store: ReleaseStore
    prepare: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    signer: Signer | None = None
    _turns: dict[str, _Turn] = field(default_factory=dict)
    _prepared: bool = False

    def round(self, woken: Iterable[str] = ()) -> dict[str, Outcome | None]:
        """Reconcile all environments that are due, and the woken ones in any case; None stands for a failure."""
        # A person who publishes waits for it: their notice is not held up by the back-off.
        for environment in woken:
            self._turn(environment).due = 0.0
        with transaction(self.engine) as session:
            known = session.scalars(
                select(Environment.code).order_by(Environment.position, Environment.code)
            ).all()
        due = [environment for environment in known if self._turn(environment).due <= self.clock()]
        return {environment: self._reconcile(environment) for environment in due}

    def pause(self) -> float:
        """Return for how many seconds nothing is due."""
        next_due = min((turn.due for turn in self._turns.values()), default=0.0) - self.clock()
        return min(max(next_due, 0.05), CLOCK_SECONDS)

    def _turn(self, environment: str) -> _Turn:
        return self._turns.setdefault(environment, _Turn())

    def _reconcile(self, environment: str) -> Outcome | None:
        turn = self._turn(environment)
        try:
            if not self._prepared:
                self.prepare()
                self._prepared = True
            thorough = turn.thorough_due <= self.clock()
            outcome = reconcile(self.engine, self.store, environment, thorough=thorough, signer=self.signer)
        except DBAPIError:
            raise  # without the database there is nothing to reconcile with, for any environment
        except Exception as problem:  # whatever it is: it is told on the release, and tried again
            self._prepared = False
            turn.failures += 1
            turn.due = self.clock() + backoff(turn.failures)
            _log.warning("%s: not exported (%d in a row): %s", environment, turn.failures, problem)
            return None
        turn.failures = 0
        turn.due = self.clock() + CLOCK_SECONDS
        if thorough:
            turn.thorough_due = self.clock() + THOROUGH_SECONDS
        return outcome


def run(worker: Worker, database_url: str, *, ready: Callable[[], None]) -> None:
    """Listen and reconcile for ever. A lost database connection is made again."""
    while True:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(
                    f"LISTEN {CHANNEL}"
                )  # before the first round, or a release between would wait
                ready()
                woken: set[str] = set()
                while True:
                    worker.round(woken)
                    woken = {
                        notice.payload for notice in connection.notifies(timeout=worker.pause(), stop_after=1)
                    }
        except (psycopg.OperationalError, DBAPIError) as problem:
            _log.warning("the database does not answer: %s", str(problem).partition("\n")[0])
            time.sleep(_RECONNECT_SECONDS)
