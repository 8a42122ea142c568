"""A few threads that read for everybody, so that what many ask for at once is asked of the store once."""

import contextlib
import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import NamedTuple, TypeVar, cast

_log = logging.getLogger(__name__)
_NAME = "controlplane-lookup"

ResultT = TypeVar("ResultT")


class _Job(NamedTuple):
    key: Hashable
    flight: "Future[object]"
    work: Callable[[], object]


class Readers:
    """Bounded, started when first needed, and daemons: a store that hangs must not hold up the end of a process.

    An executor would join its threads at exit. Reads never wait for one another, so a bound cannot stop them for good.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.renew()

    def renew(self) -> None:
        """Begin anew, as a forked child must: threads stay behind in the parent, locks may have been taken by them."""
        self._lock = threading.Lock()
        self._flying: dict[Hashable, Future[object]] = {}
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._closed = False

    def read(self, key: Hashable, work: Callable[[], ResultT]) -> "Future[ResultT | None]":
        """Return the read of `key` that is under way, or begin it. It never raises: whatever `work` raises gives None."""
        with self._lock:
            flight = self._flying.get(key)
            if flight is None:
                flight = Future()
                flight.set_running_or_notify_cancel()  # nobody who waits may cancel what others wait for
                self._begin(_Job(key, flight, work))
        return cast("Future[ResultT | None]", flight)

    def close(self) -> None:
        """End the threads when they have nothing to do."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _begin(self, job: _Job) -> None:
        if self._closed:
            job.flight.set_result(None)
            return
        self._flying[job.key] = job.flight
        if len(self._flying) > self._threads < self._size:
            # At the end of a process no thread starts any more; those there are may still do it.
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._run, args=(self._jobs,), name=_NAME, daemon=True).start()
                self._threads += 1
        if self._threads:
            self._jobs.put(job)
        else:
            del self._flying[job.key]
            job.flight.set_result(None)

    def _run(self, jobs: "SimpleQueue[_Job | None]") -> None:
        while job := jobs.get():
            result: object = None
            try:
                result = job.work()
            except Exception:  # a reader that dies would leave everybody waiting
                _log.exception("reading %s", job.key)
            with self._lock:
                self._flying.pop(job.key, None)
            job.flight.set_result(result)
            del job, result  # an idle thread must not keep a whole release alive
