"""Keeps the live release of one environment at hand: a thread asks the store, everybody else reads one attribute."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from controlplane.runtime.disk import DiskCopy
from controlplane.runtime.keeper import Keeper, Source
from controlplane.runtime.signing import Verifier
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.base import ReleaseStore, check_environment
from controlplane.runtime.switchboard import Switchboard
from controlplane.runtime.switches import SWITCHES_FILE, KillSwitches
from controlplane.runtime.ticking import Pace, Ticker

_START_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ClientState:
    """How a client is doing, for health checks and metrics."""

    environment: str
    release: int | None
    age_seconds: float | None
    """Since the store last confirmed that what is served is live; for a copy in a file, since that was written."""
    serving_since: datetime | None
    """When this process began to serve the release, by its own clock, in UTC."""
    source: Source
    last_error: str | None
    """Why the last look at the store changed nothing that it should have; None when all was well."""
    quarantined: str | None
    """The SHA-256 of a release that was downloaded and refused; it is not tried again until the pointer changes."""
    held_back: Mapping[str, str]
    """With `isolate`: what is served as the release before had it, and why; the release as it came is `quarantined`."""
    disk_error: str | None
    signed_by: str | None
    """The id of the key that signed what is served; None where signatures are not asked for."""
    promoted: bool
    """Whether what is served has proved itself: on disk it is the first choice for a start without the store."""
    thrown: tuple[str, ...]
    """The kill switches that are thrown: `everything`, or codes of interactions."""
    switches_version: int | None
    switches_error: str | None
    """Why the last look at the kill switches changed nothing that it should have; None when all was well."""


class Client(Keeper):
    """The live release of one environment, kept fresh in the background: a `ReleaseSource`.

        client = Client(store, "production", disk=Path("/var/cache/my-app")).start()
        snapshot = client.snapshot          # None until the first release arrived
        client.close()

    Nothing here raises for what a store does: the last good release goes on being served, and `state` says so. A request
    reads `snapshot` once and uses that to its end, so that configuration and prompt are of one release.

    Without the store, a start takes the newest release on disk that had been live and used for `soak_seconds`, else the
    newest on disk, else the file `bootstrap` (see `controlplane.runtime.bootstrap`).

    With `isolate`, a release of which only some entries or prompts are wrong is not refused as a whole: what is wrong in it
    stays as the release before had it, where that makes a whole that is right (`controlplane.runtime.isolation`).

    From `environ` (that of the process) come the public keys (`CONTROLPLANE_PUBLIC_KEYS`), unless `verifier` has them,
    and kill switches (`CONTROLPLANE_KILL`, `CONTROLPLANE_SWITCHES_FILE`). Raises `ValueError` when a key cannot be used,
    an interval is none, or the environment's code is none. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        store: ReleaseStore,
        environment: str,
        *,
        poll_seconds: float = 5.0,
        disk: Path | None = None,
        bootstrap: Path | None = None,
        soak_seconds: float = 300.0,
        isolate: bool = False,
        switches_seconds: float = 5.0,
        switches_file: Path | None = None,
        verifier: Verifier | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, seconds in (("poll_seconds", poll_seconds), ("switches_seconds", switches_seconds)):
            if not seconds > 0:  # also true of nan
                raise ValueError(f"{name} must be more than 0, not {seconds}")
        check_environment(environment)
        environ = os.environ if environ is None else environ
        verifier = verifier or Verifier.from_environment(environ)
        folder = disk / environment if disk else None
        super().__init__(
            store,
            environment,
            verifier=verifier,
            disk=DiskCopy(folder) if folder else None,
            bootstrap=bootstrap,
            soak_seconds=soak_seconds,
            isolate=isolate,
            clock=clock,
        )
        named = environ.get(SWITCHES_FILE)
        self._switches_file = switches_file or (Path(named) if named else None)
        self._board = Switchboard(
            environment,
            verifier=verifier,
            file=self._switches_file,
            kept=folder / "switches.json" if folder else None,
            environ=environ,
        )
        self.poll_seconds = poll_seconds
        self._pace = Pace(poll_seconds)
        self._switches_pace = Pace(switches_seconds)
        self._store_answers = True
        self._running = False
        self._make_primitives()
        _clients.add(self)

    @property
    def switches(self) -> KillSwitches:
        """The kill switches that are thrown now."""
        return self._board.current

    def view(self, interaction: str, tenant_id: str | None = None) -> Snapshot | None:  # noqa: ARG002 - a whole release
        """The release to use for one call, from its start to its end; in memory, so that nothing is waited for."""
        return self.snapshot

    async def view_async(self, interaction: str, tenant_id: str | None = None) -> Snapshot | None:
        """The same; there is nothing to wait for."""
        return self.view(interaction, tenant_id)

    def start(self) -> "Client":
        """Begin to keep fresh; returns when the store was asked once, or after two seconds. Never raises.

        What is served then is the store's release when it answered in time, else what was kept.
        """
        if not self._running:
            self._running = True
            self._make_primitives()
            try:
                self._launch(at_once=True)
            except RuntimeError as problem:  # no more threads: what was kept is better than nothing
                self.load_kept()
                self.note(f"nothing is kept fresh: {problem}")
                self._mark_looked()
        deadline = time.monotonic() + _START_SECONDS
        for looked in (self._looked, self._switches_looked):
            looked.wait(max(0.0, deadline - time.monotonic()))
        return self

    async def start_async(self) -> "Client":
        """Begin to keep fresh without blocking the loop."""
        import asyncio  # an application with a loop has paid for it; for a script it would be half of our import

        return await asyncio.to_thread(self.start)

    def close(self) -> None:
        """Stop asking the store; the snapshot stays readable."""
        self._running = False
        for ticker in self._tickers:
            ticker.stop()
        deadline = time.monotonic() + _START_SECONDS
        for ticker in self._tickers:
            ticker.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> "Client":
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    async def __aenter__(self) -> "Client":
        """Start without blocking the loop."""
        return await self.start_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close without blocking the loop."""
        import asyncio

        await asyncio.to_thread(self.close)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until there is a release to serve; False when there was none in time."""
        return self._ready.wait(timeout)

    def refresh(self) -> bool:
        """Look at the store now, in this thread; True when what is served is known to be live.

        For scripts and functions that run for a moment only; a started client does this by itself.
        """
        self._look_at_switches()
        with self._refreshing:
            self.load_kept()
            self.look()
            self.settle()
            return self.status.error is None

    def pause(self) -> float:
        """For how many seconds a started client would wait now before it asks for the release again."""
        return self._pace.next(self.failures)

    @property
    def state(self) -> ClientState:
        """How this client is doing."""
        status, snapshot = self.status, self.snapshot
        # Read a moment apart, the two may be of two releases.
        began = (
            status.began if status.began and snapshot and status.began.release == snapshot.release else None
        )
        return ClientState(
            environment=self.environment,
            release=snapshot.release if snapshot else None,
            age_seconds=max(0.0, self._clock() - status.confirmed) if snapshot else None,
            serving_since=began.at if began else None,
            source=status.source,
            last_error=status.error,
            quarantined=status.quarantine.pointer.sha256 if status.quarantine else None,
            held_back=status.held_back,
            disk_error=status.disk_error,
            signed_by=status.signed_by,
            promoted=status.promoted,
            thrown=self.switches.names(),
            switches_version=self._board.version,
            switches_error=self._board.error,
        )

    def serving(self) -> None:
        """Let go whoever waits for a first release."""
        self._ready.set()

    def _tick(self) -> None:
        with self._refreshing:
            self.load_kept()
            self.look()
            self._looked.set()
            self.settle()

    def _tick_switches(self) -> None:
        answered_before = self._store_answers
        if self._look_at_switches() and not answered_before and self.failures:
            self._tickers[0].wake()  # the store is back: no reason to sit out a back-off of minutes
        self._switches_looked.set()

    def _look_at_switches(self) -> bool:
        self._board.look_local()
        self._store_answers = self._board.look(self._store)
        return self._store_answers

    def _make_primitives(self) -> None:
        self._looked = threading.Event()
        self._switches_looked = threading.Event()
        self._ready = threading.Event()
        if self.snapshot is not None:
            self._ready.set()
        self._refreshing = threading.Lock()
        name = f"controlplane-{self.environment}"
        pace = self._switches_pace
        self._tickers = [
            Ticker(name, self._tick, first=self._pace.first, pause=self.pause),
            # On threads of their own: a store that hangs must not keep anybody from throwing a switch.
            Ticker(f"{name}-switches", self._tick_switches, first=pace.first, pause=pace.next),
        ]
        if self._switches_file is not None:
            look = self._board.look_local
            self._tickers.append(Ticker(f"{name}-file", look, first=pace.first, pause=pace.next))

    def _mark_looked(self) -> None:
        self._looked.set()
        self._switches_looked.set()

    def _launch(self, *, at_once: bool) -> None:
        for ticker in self._tickers:
            ticker.start(at_once=at_once)

    def _after_fork(self) -> None:
        """Only the forking thread lives on in a child: ours are gone, and may have left their locks taken."""
        self._make_primitives()
        self._board.after_fork()
        if self._running:
            if self.snapshot is not None:
                self._mark_looked()
            self._launch(at_once=self.snapshot is None)


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _restart_after_fork() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001 - the hook belongs to the class; it stands here to be registered once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
