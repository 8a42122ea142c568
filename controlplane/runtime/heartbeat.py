"""Each process tells the store every few seconds what it serves and how its calls go; the control plane reads that.

It is how a release page knows that "12 of 12 processes run it", and how a guard sees the error rate of one variant.
"""

import contextlib
import logging
import math
import os
import platform
import random
import threading
import time
import weakref
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Protocol

import msgspec

from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.process import process_name
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from controlplane.runtime.telling import Lately, most_that_fit
from controlplane.runtime.ticking import Pace, Ticker

_log = logging.getLogger(__name__)

SCHEMA: Final = 1
_DISTRIBUTION: Final = "llm-controlplane"
_MISSED_BEATS: Final = 6
"""So many may be missed in a row before a process counts as gone: a minute, at one every ten seconds."""
_FIRST_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 1.0
_GOODBYE_SECONDS: Final = 2.0
_ERROR_LENGTH: Final = 1_000
UNITS_LIMIT: Final = 24 * 1_024
"""Bytes of a heartbeat that sketches of units may take; the rest is for what the variants' calls did."""


class Observed(Protocol):
    """What serves releases, as far as a heartbeat tells of it: a `Client` or a `LookupSource`."""

    @property
    def environment(self) -> str:
        """The code of the environment."""

    @property
    def state(self) -> Any:
        """A dataclass: release, age and source of what is served, and what is wrong with it."""


class HeartbeatStore(Protocol):
    """The part of a `ReleaseStore` that is written to."""

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        """See `ReleaseStore.write_heartbeat`."""


class Heartbeat:
    """Writes what this process does in one environment, from a thread of its own.

        heartbeat = Heartbeat(store, client, metrics).start()
        heartbeat.close()

    A new release, a refused one and a thrown switch are told within a second, because somebody waits to see them arrive.
    A store that cannot be written to costs nobody anything: it is said once in the log, and tried less often. `process`
    is the host, the process id and a random part; a forked child has its own.
    """

    def __init__(
        self, store: HeartbeatStore, source: Observed, metrics: Metrics, *, seconds: float = 10.0
    ) -> None:
        if not seconds > 0:  # also true of nan
            raise ValueError(f"seconds must be more than 0, not {seconds}")
        self._store = store
        self._source = source
        self._metrics = metrics
        self._seconds = seconds
        self._keep_seconds = max(1, math.ceil(seconds * _MISSED_BEATS))
        self._running = False
        self._news: tuple[object, ...] | None = None
        self._failures = 0
        self._error: str | None = None
        self._pace = Pace(seconds)
        self._look = Pace(min(_LOOK_SECONDS, seconds))
        self._ticker = Ticker(
            f"heartbeat-{source.environment}", self._tick, first=self._first, pause=self._pause
        )
        self._begin()
        _heartbeats.add(self)

    def start(self) -> "Heartbeat":
        """Begin to tell; the first beat follows within a second."""
        if not self._running:
            self._running = True
            self._ticker.start(at_once=False)
        return self

    def close(self) -> None:
        """Stop, and have the store forget this process; waits two seconds for that at most."""
        if not self._running:
            return
        self._running = False
        self._ticker.stop()
        self._ticker.join(_GOODBYE_SECONDS)
        if self._error is None:
            goodbye = threading.Thread(target=self._tell, args=(0,), daemon=True)
            goodbye.start()
            goodbye.join(_GOODBYE_SECONDS)

    def beat(self) -> bool:
        """Tell now, in this thread; False when the store could not be written to."""
        told = self._tell(self._keep_seconds)
        self._due = time.monotonic() + self._pace.next(self._failures)
        return told

    def document(self) -> bytes:
        """What is told, as JSON of at most 64 KiB; where it would be more, variants are left out, by `telling`'s order."""
        metrics = self._metrics.totals()
        told: dict[str, Any] = {
            "schema": SCHEMA,
            "process": self.process,
            "started": self._started,
            "written": _now(),
            "seconds": self._seconds,
            "poll_seconds": getattr(self._source, "poll_seconds", None),
            "versions": _versions(),
            **self._state(),
            "metrics": metrics,
            "variants_left_out": 0,
            "units": self._metrics.units.told(UNITS_LIMIT),
        }
        variants = self._lately.order(metrics["variants"])

        def with_first(count: int) -> bytes:
            metrics["variants"], told["variants_left_out"] = variants[:count], len(variants) - count
            return msgspec.json.encode(told)

        data = with_first(len(variants))
        if len(data) > HEARTBEAT_LIMIT:
            data = with_first(
                most_that_fit(variants, lambda count: len(with_first(count)) <= HEARTBEAT_LIMIT)
            )
        if len(data) > HEARTBEAT_LIMIT:
            told["metrics"] = told["units"] = {}  # names so long that even the sums do not fit
            return msgspec.json.encode(told)
        return data

    @property
    def error(self) -> str | None:
        """Why the last beat was not written; None when it was."""
        return self._error

    def _state(self) -> dict[str, Any]:
        state = asdict(self._source.state)
        snapshot = getattr(self._source, "snapshot", None)
        return {
            "sha256": getattr(snapshot, "sha256", None),
            **{name: _brief(value) for name, value in state.items()},
        }

    def _what_people_wait_for(self) -> tuple[object, ...] | None:
        try:
            state = self._source.state
        except Exception:  # it is told by the beat that is due next, which meets it too
            return None
        return tuple(getattr(state, name, None) for name in ("serving_since", "quarantined", "thrown"))

    def _tell(self, keep_seconds: int) -> bool:
        try:
            data = self.document()
            self._store.write_heartbeat(self._source.environment, self.process, data, seconds=keep_seconds)
        except ControlPlaneRuntimeError as problem:
            self._failed(str(problem))
        except Exception as problem:  # a thread that dies would make a process look as if it had ended
            self._failed(f"unexpected {type(problem).__name__}: {problem}")
        else:
            self._failures, self._error = 0, None
        return self._error is None

    def _failed(self, error: str) -> None:
        self._failures += 1
        if error != self._error:  # said once, not every few seconds for as long as it lasts
            _log.warning("%s: no heartbeat: %s", self._source.environment, error)
        self._error = error

    def _first(self) -> float:
        return random.uniform(0, min(_FIRST_SECONDS, self._seconds))  # noqa: S311 - not a secret

    def _pause(self) -> float:
        return max(0.0, min(self._look.next(), self._due - time.monotonic()))

    def _tick(self) -> None:
        """Tell when a beat is due or there is news. News that the store did not take wait for the next beat with the rest."""
        news = self._what_people_wait_for()
        if news != self._news or time.monotonic() >= self._due:
            self._news = news
            self.beat()

    def _begin(self) -> None:
        self.process = process_name()
        self._started = _now()
        self._due = 0.0
        self._news = None
        self._lately = Lately()

    def _after_fork(self) -> None:
        """Another process: another name, and a thread of its own."""
        self._begin()
        self._ticker.after_fork(restart=self._running)


def _now() -> str:
    return _moment(datetime.now(UTC))


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _brief(value: object) -> object:
    if isinstance(value, datetime):
        return _moment(value)
    return value[:_ERROR_LENGTH] if isinstance(value, str) else value


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in (_DISTRIBUTION, "jinja2", "msgspec"):
        with contextlib.suppress(PackageNotFoundError):  # run from a checkout, we may not be installed
            found[name] = version(name)
    return found


_heartbeats: "weakref.WeakSet[Heartbeat]" = weakref.WeakSet()


def _restart_after_fork() -> None:
    for heartbeat in list(_heartbeats):
        heartbeat._after_fork()  # noqa: SLF001 - the hook belongs to the class; it stands here to be registered once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
