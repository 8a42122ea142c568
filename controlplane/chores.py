"""What the worker does besides exporting releases: chores, each over and over for every environment in use.

A chore is level-triggered: it looks at what is wanted and at what is there, and may be done again at any time. Each has a thread
and a listening connection of its own, so that a long one never holds up another.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Thread

import psycopg
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from controlplane.db import transaction
from controlplane.registry.models import Environment

_log = logging.getLogger(__name__)

CHANNEL = "controlplane_chores"
_SHORTEST_PAUSE = 0.05
_RECONNECT_SECONDS = 1.0


def wake(session: Session, environment: str) -> None:
    """Have the chores of an environment done at once: when this transaction commits, and only if it does."""
    session.execute(select(func.pg_notify(CHANNEL, environment)))


@dataclass(frozen=True)
class Chore:
    """Something to do for each environment at most every `seconds`, and at once when somebody calls `wake`."""

    name: str
    seconds: float
    do: Callable[[str], object]


@dataclass
class Turns:
    """Whose turn it is with one chore. What goes wrong in one environment is told once and holds up no other."""

    engine: Engine
    chore: Chore
    clock: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)

    def round(self, woken: Iterable[str] = ()) -> list[str]:
        """Do the chore for every environment that is due or woken; return those for which it went well."""
        for environment in woken:
            self._due[environment] = 0.0
        with transaction(self.engine) as session:
            in_use = select(Environment.code).where(Environment.archived_at.is_(None))
            known = session.scalars(in_use.order_by(Environment.position, Environment.code)).all()
        self._due = {environment: self._due.get(environment, 0.0) for environment in known}
        return [environment for environment in known if self._is_due(environment) and self._do(environment)]

    def pause(self) -> float:
        """Return for how many seconds nothing is due."""
        next_due = min(self._due.values(), default=self.clock() + self.chore.seconds)
        return min(max(next_due - self.clock(), _SHORTEST_PAUSE), self.chore.seconds)

    def _is_due(self, environment: str) -> bool:
        return self._due[environment] <= self.clock()

    def _do(self, environment: str) -> bool:
        try:
            self.chore.do(environment)
        except Exception as problem:  # whatever it is: the next turn tries again, and the others go on
            self._tell(environment, f"{type(problem).__name__}: {problem}".partition("\n")[0])
            return False
        finally:
            self._due[environment] = self.clock() + self.chore.seconds
        if self._problems.pop(environment, None):
            _log.info("%s: %s: well again", environment, self.chore.name)
        return True

    def _tell(self, environment: str, problem: str) -> None:
        if self._problems.get(environment) != problem:  # once, not every few seconds for as long as it lasts
            _log.warning("%s: %s: %s", environment, self.chore.name, problem)
        self._problems[environment] = problem


def start(chores: Iterable[Chore], engine: Engine, database_url: str) -> list[Thread]:
    """Do each chore for ever, on a thread of its own that ends with the process."""
    threads = [
        Thread(target=_keep_on, args=(Turns(engine, chore), database_url), name=chore.name, daemon=True)
        for chore in chores
    ]
    for thread in threads:
        thread.start()
    return threads


def _keep_on(turns: Turns, database_url: str) -> None:
    """Listen and take turns for ever. A lost database connection is made again."""
    while True:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                # Before the first round, or a call between would wait.
                connection.execute(f"LISTEN {CHANNEL}")
                woken: set[str] = set()
                while True:
                    turns.round(woken)
                    notices = connection.notifies(timeout=turns.pause(), stop_after=1)
                    woken = {notice.payload for notice in notices}
        except Exception as problem:  # a thread that ended would not be missed until a switch does nothing
            told = f"{type(problem).__name__}: {problem}".partition("\n")[0]
            _log.warning("%s: the database does not answer: %s", turns.chore.name, told)
            time.sleep(_RECONNECT_SECONDS)
