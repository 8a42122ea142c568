"""The worker: `python -m controlplane.worker` keeps the stores up to date until it is told to end.

Wiring and nothing else: the releases' exporter on the main thread, and the chores of the other features beside it. A kill at
any moment is harmless: everything that is done here may be done again.
"""

import logging
import os
import signal
import sys
from types import FrameType

from sqlalchemy import Engine

from controlplane import chores
from controlplane.audit.checks import look_after
from controlplane.chores import Chore
from controlplane.config import Settings, SettingsError
from controlplane.db import make_engine
from controlplane.decisions.checking import check_recorded
from controlplane.decisions.reading import Bounds, read_recorded
from controlplane.fleet.observing import observe
from controlplane.guards.watching import watch
from controlplane.plans.services import advance
from controlplane.proposals.schedule import publish_due
from controlplane.releases.worker import Worker, run
from controlplane.runtime.signing import Signer, SigningKeyError, Verifier
from controlplane.runtime.stores import DecisionLog, ReleaseStore
from controlplane.runtime.stores.build import store_from_environment
from controlplane.switches.export import bring_up

# A reader asks for its switches every five seconds; this is what the worker may add to that when a notice is lost.
_SECONDS = 2.0
# An anchor may come so long after its release; what it costs is a look at the newest events.
_RECORD_SECONDS = 10.0
# A minute that is over is looked at so much later at most.
_GUARD_SECONDS = 10.0
# Recorded calls are looked at afterwards, by people and against what was published: half a minute is soon enough.
_CALLS_SECONDS = 30.0
_CONNECTIONS = 10


def chores_of(
    engine: Engine,
    store: ReleaseStore,
    signer: Signer | None,
    verifier: Verifier | None = None,
    bounds: Bounds | None = None,
) -> list[Chore]:
    """Return what is to be done for every environment besides exporting its releases."""
    chores = [
        Chore("kill switches", _SECONDS, lambda code: bring_up(engine, store, code, signer)),
        Chore("processes", _SECONDS, lambda code: observe(engine, store, code)),
        Chore("guards", _GUARD_SECONDS, lambda code: watch(engine, code)),
        Chore("plans", _SECONDS, lambda code: advance(engine, code)),
        Chore("schedules", _SECONDS, lambda code: publish_due(engine, code)),
        Chore(
            "record",
            _RECORD_SECONDS,
            lambda code: look_after(engine, store, code, signer, verifier or Verifier()),
        ),
    ]
    if isinstance(store, DecisionLog):
        kept = bounds or Bounds()
        chores += [
            Chore("recorded calls", _CALLS_SECONDS, lambda code: read_recorded(engine, store, code, kept)),
            Chore("replay", _CALLS_SECONDS, lambda code: check_recorded(engine, code)),
        ]
    return chores


def end_when_told() -> None:
    """End this process at once when it is told to, wherever it is: every step may be done again."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Not `sys.exit`, which waits for threads that read from the store: one that does not answer takes a quarter of a minute.
    logging.shutdown()
    os._exit(0)


def main() -> None:
    """Run the worker on what the environment names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    end_when_told()
    try:
        settings = Settings.from_environment(os.environ)
        signer, verifier = Signer.from_environment(os.environ), Verifier.from_environment(os.environ)
    except (SettingsError, SigningKeyError) as problem:
        sys.exit(str(problem))
    if settings.database_url is None:
        sys.exit("DATABASE_URL is not set: start everything with ./run, or point it at a Postgres.")
    store = store_from_environment(os.environ)
    engine = make_engine(settings.database_url, pool_size=_CONNECTIONS)
    worker = Worker(engine, store, prepare=getattr(store, "ensure", lambda: None), signer=signer)
    bounds = Bounds(days=settings.recorded_days, rows=settings.recorded_calls)
    chores.start(chores_of(engine, store, signer, verifier, bounds), engine, settings.database_url)
    run(worker, settings.database_url, ready=lambda: print("ready", flush=True))


if __name__ == "__main__":
    main()
