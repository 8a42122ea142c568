"""Keeps the live release of one environment at hand: a thread asks the store, everybody else reads one attribute."""

import logging
import os
import random
import threading
import time
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from controlplane.runtime.acceptance import PointerRefused, accept, check_pointer
from controlplane.runtime.disk import DiskCopy
from controlplane.runtime.errors import ControlPlaneRuntimeError, SnapshotRefused
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.base import Pointer, ReleaseStore

_log = logging.getLogger(__name__)
_START_SECONDS: Final = 2.0
_LONGEST_WAIT: Final = 300.0
_JITTER: Final = 0.2

Source = Literal["store", "disk", "none"]


class ReleaseSource(Protocol):
    """Whatever holds the release that is live now; None before there is one."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The release to use for one request, from its start to its end."""


@dataclass(frozen=True, slots=True)
class ClientState:
    """How a client is doing, for health checks and metrics."""

    environment: str
    release: int | None
    age_seconds: float | None
    """Since the store last confirmed that what is served is live; for a disk copy, since it was written."""
    source: Source
    last_error: str | None
    """Why the last look at the store changed nothing that it should have; None when all was well."""
    quarantined: str | None
    """The SHA-256 of a release that was downloaded and refused; it is not tried again until the pointer changes."""
    disk_error: str | None


class _Quarantine(NamedTuple):
    pointer: Pointer
    reason: str


@dataclass(frozen=True, slots=True)
class _Status:
    source: Source = "none"
    confirmed: float = 0.0
    error: str | None = None
    quarantine: _Quarantine | None = None
    disk_error: str | None = None


class Client:
    """The live release of one environment, kept fresh in the background.

        client = Client(store, "production", disk=Path("/var/cache/my-app")).start()
        snapshot = client.snapshot          # None until the first release arrived
        client.close()

    Nothing here raises for what a store does: the last good release goes on being served, and `state` says so. A request
    reads `snapshot` once and uses that to its end, so that configuration and prompt are of one release.
    """

    def __init__(
        self, source: ReleaseStore, environment: str, *, poll_seconds: float = 5.0, disk: Path | None = None
    ) -> None:
        if poll_seconds <= 0:
            raise ValueError(f"poll_seconds must be more than 0, not {poll_seconds}")
        # A plain attribute, replaced whole: readers need no lock, and none is ever held while they read.
        self.snapshot: Snapshot | None = None
        self.environment = environment
        self._source = source
        self._poll_seconds = poll_seconds
        self._disk = DiskCopy(disk / environment) if disk else None
        self._status = _Status()
        self._failures = 0
        self._running = False
        self._make_primitives()
        _clients.add(self)

    def start(self) -> "Client":
        """Begin to keep fresh; returns when there is a release, or after two seconds without one. Never raises."""
        if not self._running:
            self._running = True
            self._launch()
        self._attempted.wait(_START_SECONDS)
        return self

    def close(self) -> None:
        """Stop asking the store; the snapshot stays readable."""
        self._running = False
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_START_SECONDS)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until there is a release to serve; False when there was none in time."""
        return self._ready.wait(timeout)

    def refresh(self) -> bool:
        """Look at the store now, in this thread; True when what is served is known to be live.

        For scripts and functions that run for a moment only; a started client does this by itself.
        """
        with self._refreshing:
            try:
                self._refresh()
            except SnapshotRefused as refused:
                self._note(str(refused))  # the store works: no reason to ask it less often
            except ControlPlaneRuntimeError as problem:
                self._failures += 1
                self._note(str(problem))
            except Exception as problem:  # a thread that dies would leave an ageing release in silence
                self._failures += 1
                self._note(f"unexpected {type(problem).__name__}: {problem}")
            else:
                self._failures = 0
            return self._status.error is None

    @property
    def state(self) -> ClientState:
        """How this client is doing."""
        status, snapshot = self._status, self.snapshot
        return ClientState(
            environment=self.environment,
            release=snapshot.release if snapshot else None,
            age_seconds=max(0.0, time.monotonic() - status.confirmed) if snapshot else None,
            source=status.source,
            last_error=status.error,
            quarantined=status.quarantine.pointer.sha256 if status.quarantine else None,
            disk_error=status.disk_error,
        )

    def _refresh(self) -> None:
        current = self.snapshot
        pointer = self._source.read_pointer(self.environment)
        if pointer is None:
            raise PointerRefused("the store has no release of this environment")
        check_pointer(pointer, environment=self.environment, current=current)
        if self._status.quarantine and self._status.quarantine.pointer == pointer:
            raise SnapshotRefused(self._status.quarantine.reason)
        if current is None or pointer.release != current.release:
            self._take(pointer, current)
        else:
            self._set(source="store", confirmed=time.monotonic(), error=None, quarantine=None)

    def _take(self, pointer: Pointer, current: Snapshot | None) -> None:
        asked = time.monotonic()
        data = self._source.read_snapshot(self.environment, pointer.sha256, limit=pointer.size)
        try:
            snapshot = accept(pointer, data, current=current)
        except SnapshotRefused as refused:
            # These are the very bytes that were published: they will not get better, whatever the store does.
            self._set(quarantine=_Quarantine(pointer, str(refused)))
            raise
        self._serve(snapshot, "store", confirmed=asked)
        self._save(pointer, data)

    def _serve(self, snapshot: Snapshot, source: Source, *, confirmed: float) -> None:
        self.snapshot = snapshot
        self._set(source=source, confirmed=confirmed, error=None, quarantine=None)
        self._ready.set()
        _log.info("%s: release %s from %s", self.environment, snapshot.release, source)

    def _save(self, pointer: Pointer, data: bytes) -> None:
        if self._disk is None:
            return
        try:
            self._disk.save(pointer, data)
        except OSError as problem:
            _log.warning("%s: the disk copy could not be written: %s", self.environment, problem)
            self._set(disk_error=str(problem))
        else:
            self._set(disk_error=None)

    def _load_from_disk(self) -> None:
        for copy in self._disk.copies() if self._disk else ():
            try:
                check_pointer(copy.pointer, environment=self.environment, current=None)
                snapshot = accept(copy.pointer, copy.data)
            except Exception as problem:  # whatever a damaged file makes happen, the store is asked next
                _log.warning("%s: a disk copy was passed over: %s", self.environment, problem)
                continue
            self._serve(snapshot, "disk", confirmed=time.monotonic() - copy.age_seconds)
            return

    def _run(self) -> None:
        if self.snapshot is None:
            self._load_from_disk()
        if self.snapshot is None:
            self.refresh()
        self._attempted.set()
        # A random first phase: processes that started together must not ask together for ever.
        delay = random.uniform(0, self._poll_seconds)  # noqa: S311 - not a secret
        while not self._stop.wait(delay):
            self.refresh()
            delay = self._delay()

    def _delay(self) -> float:
        usual = self._poll_seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        if not self._failures:
            return usual
        longest = min(_LONGEST_WAIT, self._poll_seconds * 2 ** min(self._failures, 16))
        # Full jitter spreads the herd over the whole wait; never sooner than a healthy client would ask.
        return max(usual, random.uniform(0, longest))  # noqa: S311

    def _note(self, error: str) -> None:
        if error != self._status.error:  # said once, not every few seconds for as long as it lasts
            _log.warning("%s: %s", self.environment, error)
        self._set(error=error)

    def _set(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]

    def _make_primitives(self) -> None:
        self._stop = threading.Event()
        self._attempted = threading.Event()
        self._ready = threading.Event()
        self._refreshing = threading.Lock()
        self._thread: threading.Thread | None = None

    def _launch(self) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(), name=f"controlplane-{self.environment}", daemon=True
        )
        self._thread.start()

    def _after_fork(self) -> None:
        """Only the forking thread lives on in a child: ours is gone, and may have left its locks taken."""
        self._make_primitives()
        if self.snapshot is not None:
            self._ready.set()
        if self._running:
            self._launch()


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _restart_after_fork() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001 - the hook belongs to the class; it stands here to be registered once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
