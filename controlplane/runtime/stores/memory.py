"""A release store in this process: for tests, and for trying things out."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

from controlplane.runtime.stores import base, decisions, evidence
from controlplane.runtime.stores.packing import unpack
from controlplane.runtime.stores.pruning import StoredEntry, StoredObject

_PROMPTS = ""  # where an environment's code would stand


class MemoryStore:
    """A `PrunableStore`, `EvidenceStore` and `DecisionLog` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pointers: dict[str, base.Pointer] = {}
        self._snapshots: dict[tuple[str, str], bytes] = {}
        self._prompts: dict[str, str] = {}
        self._written: dict[tuple[str, str], datetime] = {}
        self._entries: dict[tuple[str, str], dict[int, bytes | None]] = {}
        self._switches: dict[str, tuple[int, bytes]] = {}
        self._heartbeats: dict[tuple[str, str], tuple[float, bytes]] = {}
        self._evidence: dict[str, bytes] = {}
        self._decisions: dict[tuple[str, str, str], bytes] = {}

    def read_pointer(self, environment: str) -> base.Pointer | None:
        """See `ReleaseStore.read_pointer`."""
        return self._pointers.get(base.check_environment(environment))

    def move_pointer(self, pointer: base.Pointer) -> bool:
        """See `ReleaseStore.move_pointer`."""
        with self._lock:
            outcome = base.settle(self._pointers.get(pointer.environment), pointer)
            if outcome is None:
                self._pointers[base.check_environment(pointer.environment)] = pointer
            return outcome is not False

    def replace_signature(self, pointer: base.Pointer) -> bool:
        """See `ReleaseStore.replace_signature`."""
        with self._lock:
            same = base.is_same_release(self.read_pointer(pointer.environment), pointer)
            if same:
                self._pointers[pointer.environment] = pointer
            return same

    def read_snapshot(self, environment: str, sha256: str, *, limit: int) -> bytes:
        """See `ReleaseStore.read_snapshot`."""
        data = self._snapshots.get((environment, base.check_name(sha256)))
        if data is None:
            raise base.ObjectMissingError(f"{environment} has no snapshot {sha256[:12]}")
        if len(data) > limit:
            raise base.ObjectTooLargeError(f"snapshot {sha256[:12]} has more than {limit} bytes")
        return data

    def write_snapshot(self, environment: str, sha256: str, data: bytes) -> None:
        """See `ReleaseStore.write_snapshot`."""
        base.check_content(sha256, data)
        with self._lock:
            self._snapshots[base.check_environment(environment), sha256] = bytes(data)
            self._written[environment, sha256] = datetime.now(UTC)

    def read_prompt(self, sha256: str) -> str:
        """See `ReleaseStore.read_prompt`."""
        body = self._prompts.get(base.check_name(sha256))
        if body is None:
            raise base.ObjectMissingError(f"there is no prompt {sha256[:12]}")
        return body

    def write_prompt(self, sha256: str, body: str) -> None:
        """See `ReleaseStore.write_prompt`."""
        base.check_content(sha256, body.encode())
        with self._lock:
            self._prompts[sha256] = body
            self._written[_PROMPTS, sha256] = datetime.now(UTC)

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        """See `ReleaseStore.write_entries`."""
        base.check_environment(environment)
        base.check_release(release)
        with self._lock:
            for key, document in documents.items():
                self._entries.setdefault((environment, key), {})[release] = document

    def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
        """See `ReleaseStore.read_entry`."""
        with self._lock:
            history = self._entries.get((environment, key), {})
            newest = max((release for release in history if release <= at), default=None)
            return None if newest is None else history[newest]

    def read_switches(self, environment: str) -> bytes | None:
        """See `ReleaseStore.read_switches`."""
        _, data = self._switches.get(base.check_environment(environment), (0, None))
        return data

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        """See `ReleaseStore.write_switches`."""
        base.check_size("the document of kill switches", data, base.SWITCHES_LIMIT)
        wanted = (base.check_version(version), bytes(data))
        with self._lock:
            current = self._switches.get(base.check_environment(environment))
            if current is None or current[0] < version:
                self._switches[environment] = wanted
            return self._switches[environment] == wanted

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        """See `ReleaseStore.write_heartbeat`."""
        base.check_size("a heartbeat", data, base.HEARTBEAT_LIMIT)
        key = (base.check_environment(environment), base.check_process(process))
        with self._lock:
            self._heartbeats[key] = (time.time() + seconds, bytes(data))
            self._heartbeats = {key: kept for key, kept in self._heartbeats.items() if kept[0] > time.time()}

    def read_heartbeats(self, environment: str) -> dict[str, bytes]:
        """See `ReleaseStore.read_heartbeats`."""
        base.check_environment(environment)
        now = time.time()
        with self._lock:
            found = (
                (process, data)
                for (where, process), (expires, data) in self._heartbeats.items()
                if where == environment and expires > now
            )
            return dict(islice(found, base.HEARTBEATS_READ))

    def list_environments(self) -> list[str]:
        """See `PrunableStore.list_environments`."""
        with self._lock:
            return sorted(self._pointers)

    def list_snapshots(self, environment: str) -> Iterator[StoredObject]:
        """See `PrunableStore.list_snapshots`."""
        with self._lock:
            found = {name: data for (where, name), data in self._snapshots.items() if where == environment}
            return iter([self._object(environment, name, data) for name, data in found.items()])

    def list_prompts(self) -> Iterator[StoredObject]:
        """See `PrunableStore.list_prompts`."""
        with self._lock:
            return iter([self._object(_PROMPTS, name, body.encode()) for name, body in self._prompts.items()])

    def list_entries(self, environment: str) -> Iterator[StoredEntry]:
        """See `PrunableStore.list_entries`."""
        with self._lock:
            return iter(
                [
                    StoredEntry(key, release, document is None)
                    for (where, key), history in self._entries.items()
                    for release, document in history.items()
                    if where == environment
                ]
            )

    def delete_snapshots(self, environment: str, names: Iterable[str]) -> None:
        """See `PrunableStore.delete_snapshots`."""
        with self._lock:
            for name in names:
                self._snapshots.pop((environment, base.check_name(name)), None)

    def delete_prompts(self, names: Iterable[str]) -> None:
        """See `PrunableStore.delete_prompts`."""
        with self._lock:
            for name in names:
                self._prompts.pop(base.check_name(name), None)

    def delete_entries(self, environment: str, entries: Iterable[tuple[str, int]]) -> None:
        """See `PrunableStore.delete_entries`."""
        with self._lock:
            for key, release in entries:
                self._entries.get((environment, key), {}).pop(release, None)

    def create_evidence(self, name: str, data: bytes) -> bool:
        """See `EvidenceStore.create_evidence`."""
        with self._lock:
            return self._evidence.setdefault(evidence.check_evidence(name), bytes(data)) == data

    def read_evidence(self, name: str, *, limit: int) -> bytes | None:
        """See `EvidenceStore.read_evidence`."""
        data = self._evidence.get(evidence.check_evidence(name))
        return None if data is None else base.check_size(name, data, limit)

    def list_evidence(self, folder: str) -> Iterator[str]:
        """See `EvidenceStore.list_evidence`."""
        prefix = f"{evidence.check_evidence(folder)}/"
        with self._lock:
            return iter([name for name in self._evidence if name.startswith(prefix)])

    def _object(self, where: str, name: str, data: bytes) -> StoredObject:
        # What a test put there by another way was written just now, so that nobody prunes it.
        return StoredObject(name, self._written.get((where, name)) or datetime.now(UTC), len(data))

    def write_decisions(self, environment: str, hour: datetime, name: str, packed: bytes) -> None:
        """See `DecisionLog.write_decisions`."""
        where = (base.check_environment(environment), decisions.hour_path(hour), decisions.check_batch(name))
        with self._lock:
            self._decisions[where] = bytes(packed)

    def list_decisions(self, environment: str, hour: datetime) -> Iterator[str]:
        """See `DecisionLog.list_decisions`."""
        folder = (environment, decisions.hour_path(hour))
        yield from [name for *where, name in list(self._decisions) if tuple(where) == folder]

    def read_decisions(self, environment: str, hour: datetime, name: str, *, limit: int) -> bytes:
        """See `DecisionLog.read_decisions`."""
        packed = self._decisions.get((environment, decisions.hour_path(hour), decisions.check_batch(name)))
        if packed is None:
            raise base.ObjectMissingError(f"{environment} has no batch {name}")
        return unpack(packed, limit=limit)

    def list_decision_hours(self, environment: str) -> Iterator[datetime]:
        """See `DecisionLog.list_decision_hours`."""
        hours = {
            decisions.hour_of(folder) for where, folder, _ in list(self._decisions) if where == environment
        }
        yield from sorted(hour for hour in hours if hour is not None)

    def delete_decisions(self, environment: str, hour: datetime, names: Iterable[str]) -> None:
        """See `DecisionLog.delete_decisions`."""
        with self._lock:
            for name in names:
                self._decisions.pop(
                    (environment, decisions.hour_path(hour), decisions.check_batch(name)), None
                )
