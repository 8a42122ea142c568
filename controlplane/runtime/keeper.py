"""What is served now, and how it is replaced: everything a `Client` does but for the threads it does it on."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from controlplane.runtime.acceptance import (
    EntriesRefused,
    PointerRefused,
    Trust,
    accept,
    check_pointer,
    complete,
)
from controlplane.runtime.disk import Copy, DiskCopy, from_file
from controlplane.runtime.errors import ControlPlaneRuntimeError, SnapshotRefused
from controlplane.runtime.isolation import hold_back
from controlplane.runtime.signing import Verifier
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.base import Pointer, ReleaseStore

_log = logging.getLogger(__name__)

Source = Literal["store", "disk", "bootstrap", "none"]


class Beginning(NamedTuple):
    """A release that is served, and since when: for whoever waits to see it arrive."""

    release: int
    at: datetime


class Quarantine(NamedTuple):
    """A release that was downloaded and refused, and why."""

    pointer: Pointer
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """How the keeping goes; replaced whole, so that whoever reads it sees one moment."""

    source: Source = "none"
    confirmed: float = 0.0
    began: Beginning | None = None
    error: str | None = None
    quarantine: Quarantine | None = None
    disk_error: str | None = None
    signed_by: str | None = None
    soaking_since: float | None = None
    """Since when the store has named what is served, without a refusal in between; None when that does not count."""
    promoted: bool = False
    held_back: Mapping[str, str] = field(default_factory=dict)
    """Entries that are served as the release before had them, and why; then `quarantine` names the release as it came."""


class _Arrival(NamedTuple):
    """A release that is served, and not on disk yet."""

    pointer: Pointer
    data: bytes


class Keeper:
    """Holds the release that is served; one thread at a time may look for another, any number may read.

    `snapshot` is a plain attribute, replaced whole: readers need no lock, and none is ever held while they read.
    """

    def __init__(
        self,
        store: ReleaseStore,
        environment: str,
        *,
        verifier: Verifier,
        disk: DiskCopy | None,
        bootstrap: Path | None,
        soak_seconds: float,
        isolate: bool,
        clock: Callable[[], float],
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.environment = environment
        self.status = Status()
        self.failures = 0
        """How many looks in a row the store did not answer as a store should."""
        self._store = store
        self._verifier = verifier
        self._disk = disk
        self._bootstrap = bootstrap
        self._soak_seconds = soak_seconds
        self._isolate = isolate
        self._clock = clock
        self._kept_loaded = False
        self._pointer: Pointer | None = None
        self._arrived: _Arrival | None = None
        self._renewed: Pointer | None = None
        self._settled: Snapshot | None = None
        self._unfit: set[str] = set()

    def load_kept(self) -> None:
        """Serve what was kept, where nothing is served yet; looks for it once."""
        if self.snapshot is not None or self._kept_loaded:
            return
        self._serve_kept()

    def _serve_kept(self) -> None:
        self._kept_loaded = True
        try:
            served = any(
                self._serve_copy(copy, "disk") for copy in (self._disk.copies() if self._disk else ())
            )
            bundle = from_file(self._bootstrap, own=False) if self._bootstrap and not served else None
            if bundle is not None:
                self._serve_copy(bundle, "bootstrap")
        except Exception as problem:  # whatever a file system does, the store is asked next
            _log.warning("%s: nothing kept could be read: %s", self.environment, problem)

    def look(self) -> None:
        """Compare what is served with the store, and note what came of it. Never raises."""
        try:
            self._look()
        except SnapshotRefused as refused:
            self.failures = 0  # the store works: no reason to ask it less often
            self.note(str(refused))
        except ControlPlaneRuntimeError as problem:
            self.failures += 1
            self.note(str(problem))
        except Exception as problem:  # a thread that dies would leave an ageing release in silence
            self.failures += 1
            self.note(f"unexpected {type(problem).__name__}: {problem}")
        else:
            self.failures = 0

    def settle(self) -> None:
        """Do what may be done while serving: check and compile the rest, keep it, call it good after a while."""
        arrived, self._arrived = self._arrived, None
        if self.snapshot is not None and self.snapshot is not self._settled:
            try:
                complete(self.snapshot)
            except Exception as problem:  # of a release that was believed without a look at every entry
                self._withdraw(self.snapshot, arrived, str(problem))
                return
            self._settled = self.snapshot
        if arrived is not None and not self._on_disk(lambda disk: disk.save(arrived.pointer, arrived.data)):
            self._arrived = arrived  # a disk that is full may not stay so
            return
        renewed, self._renewed = self._renewed, None
        if renewed is not None:
            self._on_disk(lambda disk: disk.renew(renewed))
        self._promote()

    def note(self, error: str) -> None:
        """Keep an error for whoever asks, and log it."""
        if error != self.status.error:  # said once, not every few seconds for as long as it lasts
            _log.warning("%s: %s", self.environment, error)
        self._set(error=error)

    def serving(self) -> None:
        """Called whenever there is something to serve."""

    def _look(self) -> None:
        current = self.snapshot
        pointer = self._store.read_pointer(self.environment)
        if pointer is None:
            raise PointerRefused("the store has no release of this environment")
        self._verifier.verify(pointer)
        refused = self.status.quarantine
        if refused is not None and _unsigned(refused.pointer) == _unsigned(pointer):
            if current is not None and current.release == pointer.release:  # without what is held back of it
                self._set(confirmed=self._clock())
            raise SnapshotRefused(refused.reason)
        check_pointer(pointer, environment=self.environment, current=current)
        if current is None or pointer.release != current.release:
            self._take(pointer, current)
        else:
            self._confirm(pointer)

    def _take(self, pointer: Pointer, current: Snapshot | None) -> None:
        asked = self._clock()
        data = self._store.read_snapshot(self.environment, pointer.sha256, limit=pointer.size)
        # Signed, and nothing else to serve: what remains to be looked at is looked at while it serves (`settle`).
        trust = Trust.SIGNED if self._verifier.required and current is None else Trust.NOTHING
        try:
            snapshot = accept(pointer, data, current=current, trust=trust)
        except SnapshotRefused as refused:
            # These are the very bytes that were published: they will not get better, whatever the store does.
            raise SnapshotRefused(self._refuse(pointer, refused, current, asked)) from None
        if self.snapshot is not current:  # a thread of an earlier start hung until now
            raise PointerRefused(f"release {pointer.release} came too late")
        self._serve(snapshot, "store", pointer, confirmed=asked)
        self._set(soaking_since=asked)
        self._arrived = _Arrival(pointer, data)

    def _refuse(
        self, pointer: Pointer, refused: SnapshotRefused, current: Snapshot | None, asked: float
    ) -> str:
        """Keep a release out, or only what is wrong in it; return why."""
        reason = str(refused)
        self._set(quarantine=Quarantine(pointer, reason), soaking_since=None)
        if not self._isolate or current is None or not isinstance(refused, EntriesRefused):
            return reason
        mixture = hold_back(refused, current)
        if mixture is not None and self.snapshot is current:
            reason += f"; {len(mixture.held_back)} entries stay as they were, the rest is served"
            self._serve(mixture.snapshot, "store", pointer, confirmed=asked)
            self._set(quarantine=Quarantine(pointer, reason), held_back=mixture.held_back)
        return reason

    def _confirm(self, pointer: Pointer) -> None:
        if pointer != self._pointer:  # signed anew, perhaps with another key
            self._pointer = self._renewed = pointer
            self._set(signed_by=self._signer_of(pointer))
        now, since = self._clock(), self.status.soaking_since
        if self.status.source != "store" and not self.status.promoted:
            since = now
        self._set(source="store", confirmed=now, error=None, quarantine=None, soaking_since=since)

    def _serve(self, snapshot: Snapshot, source: Source, pointer: Pointer, *, confirmed: float) -> None:
        self._pointer = pointer
        self._set(
            source=source,
            confirmed=confirmed,
            began=Beginning(snapshot.release, datetime.now(UTC)),
            error=None,
            quarantine=None,
            soaking_since=None,
            promoted=False,
            held_back={},
            signed_by=self._signer_of(pointer),
        )
        self.snapshot = snapshot  # last: what is served never has the age of what was not
        _log.info("%s: release %s from %s", self.environment, snapshot.release, source)
        self.serving()

    def _serve_copy(self, copy: Copy, source: Source) -> bool:
        if copy.pointer.sha256 in self._unfit:
            return False
        try:
            self._verifier.verify(copy.pointer)
            check_pointer(copy.pointer, environment=self.environment, current=None)
            trust = Trust.CHECKED if copy.checked else Trust.NOTHING
            snapshot = accept(copy.pointer, copy.data, trust=trust)
        except Exception as problem:  # whatever a damaged file makes happen, the next one is tried
            _log.warning("%s: a %s copy was passed over: %s", self.environment, source, problem)
            return False
        self._serve(snapshot, source, copy.pointer, confirmed=self._clock() - copy.age_seconds)
        self._set(promoted=copy.promoted)
        return True

    def _withdraw(self, snapshot: Snapshot, arrived: _Arrival | None, reason: str) -> None:
        """Stop serving what turned out, on a closer look, not to be fit for it; serve what was kept, if anything."""
        self._unfit.add(snapshot.sha256)
        # Until a copy is found the calls that its bad entries do not concern are still answered by it.
        self._serve_kept()
        if self.snapshot is snapshot:
            self.snapshot = None
            self._set(source="none", soaking_since=None, promoted=False, signed_by=None, held_back={})
        self._set(quarantine=Quarantine(arrived.pointer, reason) if arrived else None)
        self.note(reason)

    def _signer_of(self, pointer: Pointer) -> str | None:
        return pointer.key_id if self._verifier.required else None

    def _promote(self) -> None:
        since, snapshot = self.status.soaking_since, self.snapshot
        if since is None or snapshot is None or self._clock() - since < self._soak_seconds:
            return
        self._on_disk(lambda disk: self._set(promoted=disk.promote(snapshot.release)))
        self._set(soaking_since=None)

    def _on_disk(self, do: Callable[[DiskCopy], None]) -> bool:
        if self._disk is None:
            return True
        try:
            do(self._disk)
        except OSError as problem:
            error = problem.strerror or str(problem)  # the rest names a temporary file, another one each time
            if error != self.status.disk_error:
                _log.warning("%s: the disk copy could not be written: %s", self.environment, problem)
            self._set(disk_error=error)
            return False
        self._set(disk_error=None)
        return True

    def _set(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]


def _unsigned(pointer: Pointer) -> Pointer:
    """Return what a pointer says but for who signed it and when: a release that was refused is none the better for that."""
    return msgspec.structs.replace(pointer, key_id=None, signature=None, published_at="")
