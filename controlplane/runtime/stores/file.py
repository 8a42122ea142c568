"""A release store in a folder: for one machine, for bundles shipped with an application, and for tests."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from controlplane.runtime.canonical import digest
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores import base, decisions, evidence
from controlplane.runtime.stores.files import create_atomically, read_at_most, write_atomically
from controlplane.runtime.stores.packing import pack, packed_ceiling, unpack
from controlplane.runtime.stores.pruning import StoredEntry, StoredObject

_POINTER_LIMIT = 64 * 1024
_PROMPT_LIMIT = 1024 * 1024
_ENTRY_LIMIT = 4 * 1024 * 1024
_KEY_LIMIT = 64 * 1024
_KEY_NAME = "key.txt"
_KEPT_LIMIT = 256 * 1024  # what is kept under a version or for a time, with the base64 it is written in


class _Switches(msgspec.Struct, frozen=True):
    version: int
    document: bytes


class _Heartbeat(msgspec.Struct, frozen=True):
    process: str
    expires: float
    document: bytes


class FileStore:
    """A `PrunableStore`, `EvidenceStore` and `DecisionLog` in a folder.

        <folder>/<environment>/pointer.json
        <folder>/<environment>/snapshots/<sha256>.json.gz
        <folder>/<environment>/entries/<sha256 of the key>/<release>.json     empty when the key is gone
        <folder>/<environment>/entries/<sha256 of the key>/key.txt            the key
        <folder>/<environment>/switches.json
        <folder>/<environment>/heartbeats/<sha256 of the process>.json
        <folder>/prompts/<sha256>.jinja
        <folder>/_audit/<name>
        <folder>/<environment>/decisions/<date>/<hour>/<name>.ndjson.gz

    Keys are hashed because two keys may differ in case alone, which some file systems do not tell apart.
    """

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)

    def read_pointer(self, environment: str) -> base.Pointer | None:
        """See `ReleaseStore.read_pointer`."""
        data = self._read(self._pointer_path(environment), _POINTER_LIMIT)
        return None if data is None else base.Pointer.from_json(data)

    def move_pointer(self, pointer: base.Pointer) -> bool:
        """See `ReleaseStore.move_pointer`; a lock on a file of its own makes reading and writing one step."""
        with self._failures(), self._locked(pointer.environment):
            outcome = base.settle(self.read_pointer(pointer.environment), pointer)
            if outcome is None:
                write_atomically(self._pointer_path(pointer.environment), pointer.to_json())
            return outcome is not False

    def replace_signature(self, pointer: base.Pointer) -> bool:
        """See `ReleaseStore.replace_signature`; under the same lock."""
        with self._failures(), self._locked(pointer.environment):
            same = base.is_same_release(self.read_pointer(pointer.environment), pointer)
            if same:
                write_atomically(self._pointer_path(pointer.environment), pointer.to_json())
            return same

    def read_snapshot(self, environment: str, sha256: str, *, limit: int) -> bytes:
        """See `ReleaseStore.read_snapshot`."""
        packed = self._read(self._snapshot_path(environment, sha256), packed_ceiling(limit))
        if packed is None:
            raise base.ObjectMissingError(f"{environment} has no snapshot {sha256[:12]}")
        return unpack(packed, limit=limit)

    def write_snapshot(self, environment: str, sha256: str, data: bytes) -> None:
        """See `ReleaseStore.write_snapshot`."""
        base.check_content(sha256, data)
        if not base.holds(lambda: self.read_snapshot(environment, sha256, limit=len(data)), data):
            with self._failures():
                write_atomically(self._snapshot_path(environment, sha256), pack(data))

    def read_prompt(self, sha256: str) -> str:
        """See `ReleaseStore.read_prompt`."""
        data = self._read(self._prompt_path(sha256), _PROMPT_LIMIT)
        if data is None:
            raise base.ObjectMissingError(f"there is no prompt {sha256[:12]}")
        if digest(data) != sha256:
            raise base.ObjectMismatchError(f"prompt {sha256[:12]} is there with other bytes")
        return data.decode()

    def write_prompt(self, sha256: str, body: str) -> None:
        """See `ReleaseStore.write_prompt`."""
        base.check_content(sha256, body.encode())
        if not base.holds(lambda: self.read_prompt(sha256), body):
            with self._failures():
                write_atomically(self._prompt_path(sha256), body.encode())

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        """See `ReleaseStore.write_entries`."""
        name = f"{base.check_release(release):012d}.json"
        with self._failures():
            for key, document in documents.items():
                folder = self._entry_folder(environment, key)
                if not (folder / _KEY_NAME).exists():
                    write_atomically(folder / _KEY_NAME, key.encode())
                write_atomically(folder / name, document or b"")

    def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
        """See `ReleaseStore.read_entry`."""
        folder = self._entry_folder(environment, key)
        with self._failures():
            releases = [int(path.stem) for path in folder.glob("[0-9]*.json")] if folder.exists() else []
        newest = max((release for release in releases if release <= at), default=None)
        if newest is None:
            return None
        return self._read(folder / f"{newest:012d}.json", _ENTRY_LIMIT) or None

    def read_switches(self, environment: str) -> bytes | None:
        """See `ReleaseStore.read_switches`."""
        current = self._switches(environment)
        return None if current is None else current.document

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        """See `ReleaseStore.write_switches`; under the same lock as the pointer."""
        base.check_size("the document of kill switches", data, base.SWITCHES_LIMIT)
        wanted = _Switches(base.check_version(version), bytes(data))
        with self._failures(), self._locked(environment):
            try:
                current = self._switches(environment)
            except base.SwitchesUnreadableError:
                current = None  # nobody can read what is there: a whole document is better
            if current is None or current.version < version:
                write_atomically(self._switches_path(environment), msgspec.json.encode(wanted))
                current = wanted
        return current == wanted

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        """See `ReleaseStore.write_heartbeat`; removes the heartbeats whose time has passed."""
        base.check_size("a heartbeat", data, base.HEARTBEAT_LIMIT)
        folder = self._heartbeat_folder(environment)
        beat = _Heartbeat(base.check_process(process), time.time() + seconds, bytes(data))
        with self._failures():
            write_atomically(folder / f"{digest(process.encode())}.json", msgspec.json.encode(beat))
            for path, other in self._heartbeats(environment):
                if other.expires <= time.time():
                    # Written anew in this very moment, it is lost, and comes again with the process's next beat.
                    path.unlink(missing_ok=True)

    def read_heartbeats(self, environment: str) -> dict[str, bytes]:
        """See `ReleaseStore.read_heartbeats`."""
        now = time.time()
        with self._failures():
            found = (beat for _, beat in self._heartbeats(environment) if beat.expires > now)
            return {beat.process: beat.document for beat in islice(found, base.HEARTBEATS_READ)}

    def list_environments(self) -> list[str]:
        """See `PrunableStore.list_environments`."""
        with self._failures():
            return sorted(path.parent.name for path in self._directory.glob("*/pointer.json"))

    def list_snapshots(self, environment: str) -> Iterator[StoredObject]:
        """See `PrunableStore.list_snapshots`."""
        return self._objects(self._environment(environment) / "snapshots", ".json.gz")

    def list_prompts(self) -> Iterator[StoredObject]:
        """See `PrunableStore.list_prompts`."""
        return self._objects(self._directory / "prompts", ".jinja")

    def list_entries(self, environment: str) -> Iterator[StoredEntry]:
        """See `PrunableStore.list_entries`."""
        for path in self._environment(environment).glob("entries/*/[0-9]*.json"):
            key = self._read(path.parent / _KEY_NAME, _KEY_LIMIT)
            if key is not None:  # a folder from before keys were noted: the next write of its entry notes it
                with self._failures():
                    yield StoredEntry(key.decode(), int(path.stem), path.stat().st_size == 0)

    def delete_snapshots(self, environment: str, names: Iterable[str]) -> None:
        """See `PrunableStore.delete_snapshots`."""
        self._delete(self._snapshot_path(environment, name) for name in names)

    def delete_prompts(self, names: Iterable[str]) -> None:
        """See `PrunableStore.delete_prompts`."""
        self._delete(self._prompt_path(name) for name in names)

    def delete_entries(self, environment: str, entries: Iterable[tuple[str, int]]) -> None:
        """See `PrunableStore.delete_entries`."""
        self._delete(
            self._entry_folder(environment, key) / f"{base.check_release(release):012d}.json"
            for key, release in entries
        )

    def create_evidence(self, name: str, data: bytes) -> bool:
        """See `EvidenceStore.create_evidence`."""
        with self._failures():
            created = create_atomically(self._evidence_path(name), data)
        return created or self.read_evidence(name, limit=len(data) + 1) == data

    def read_evidence(self, name: str, *, limit: int) -> bytes | None:
        """See `EvidenceStore.read_evidence`."""
        return self._read(self._evidence_path(name), limit)

    def list_evidence(self, folder: str) -> Iterator[str]:
        """See `EvidenceStore.list_evidence`."""
        top = self._evidence_path(folder)
        with self._failures():
            for path in sorted(top.rglob("[!.]*")):
                if path.is_file():
                    yield f"{folder}/{path.relative_to(top).as_posix()}"

    def write_decisions(self, environment: str, hour: datetime, name: str, packed: bytes) -> None:
        """See `DecisionLog.write_decisions`."""
        with self._failures():
            write_atomically(self._decisions_path(environment, hour, name), packed)

    def list_decisions(self, environment: str, hour: datetime) -> Iterator[str]:
        """See `DecisionLog.list_decisions`."""
        folder = self._decisions_folder(environment) / decisions.hour_path(hour)
        with self._failures():
            for path in sorted(folder.glob(f"*{decisions.ENDING}")):
                name = path.name.removesuffix(decisions.ENDING)
                if decisions.is_batch(name):
                    yield name

    def read_decisions(self, environment: str, hour: datetime, name: str, *, limit: int) -> bytes:
        """See `DecisionLog.read_decisions`."""
        packed = self._read(self._decisions_path(environment, hour, name), packed_ceiling(limit))
        if packed is None:
            raise base.ObjectMissingError(f"{environment} has no batch {name}")
        return unpack(packed, limit=limit)

    def list_decision_hours(self, environment: str) -> Iterator[datetime]:
        """See `DecisionLog.list_decision_hours`."""
        top = self._decisions_folder(environment)
        with self._failures():
            for path in sorted(top.glob("*/*")):
                hour = decisions.hour_of(path.relative_to(top).as_posix())
                if hour is not None and any(path.glob(f"*{decisions.ENDING}")):
                    yield hour

    def delete_decisions(self, environment: str, hour: datetime, names: Iterable[str]) -> None:
        """See `DecisionLog.delete_decisions`."""
        self._delete(self._decisions_path(environment, hour, name) for name in names)
        folder = self._decisions_folder(environment) / decisions.hour_path(hour)
        for empty in (folder, folder.parent):
            with contextlib.suppress(OSError):  # it is not: then it stays
                empty.rmdir()

    def _objects(self, folder: Path, ending: str) -> Iterator[StoredObject]:
        with self._failures():
            for path in folder.glob(f"[0-9a-f]*{ending}"):
                stat = path.stat()
                written_at = datetime.fromtimestamp(stat.st_mtime, UTC)
                yield StoredObject(path.name.removesuffix(ending), written_at, stat.st_size)

    def _delete(self, paths: Iterable[Path]) -> None:
        with self._failures():
            for path in paths:
                path.unlink(missing_ok=True)

    def _switches(self, environment: str) -> _Switches | None:
        data = self._read(self._switches_path(environment), _KEPT_LIMIT)
        try:
            return None if data is None else msgspec.json.decode(data, type=_Switches)
        except msgspec.DecodeError as problem:
            message = f"the kill switches of {environment} are unreadable: {problem}"
            raise base.SwitchesUnreadableError(message) from problem

    def _heartbeats(self, environment: str) -> Iterator[tuple[Path, _Heartbeat]]:
        for path in sorted(self._heartbeat_folder(environment).glob("*.json")):
            data = self._read(path, _KEPT_LIMIT)
            try:
                if data is not None:  # else it was removed since the folder was listed
                    yield path, msgspec.json.decode(data, type=_Heartbeat)
            except msgspec.DecodeError:
                continue  # one that nobody can read must not hide the others

    def _environment(self, environment: str) -> Path:
        return self._directory / base.check_environment(environment)

    def _pointer_path(self, environment: str) -> Path:
        return self._environment(environment) / "pointer.json"

    def _switches_path(self, environment: str) -> Path:
        return self._environment(environment) / "switches.json"

    def _heartbeat_folder(self, environment: str) -> Path:
        return self._environment(environment) / "heartbeats"

    def _snapshot_path(self, environment: str, sha256: str) -> Path:
        return self._environment(environment) / "snapshots" / f"{base.check_name(sha256)}.json.gz"

    def _prompt_path(self, sha256: str) -> Path:
        return self._directory / "prompts" / f"{base.check_name(sha256)}.jinja"

    def _evidence_path(self, name: str) -> Path:
        return self._directory / evidence.FOLDER / evidence.check_evidence(name)

    def _decisions_folder(self, environment: str) -> Path:
        return self._environment(environment) / decisions.FOLDER

    def _decisions_path(self, environment: str, hour: datetime, name: str) -> Path:
        folder = self._decisions_folder(environment) / decisions.hour_path(hour)
        return folder / f"{decisions.check_batch(name)}{decisions.ENDING}"

    def _entry_folder(self, environment: str, key: str) -> Path:
        return self._environment(environment) / "entries" / digest(key.encode())

    def _read(self, path: Path, limit: int) -> bytes | None:
        with self._failures():
            try:
                data = read_at_most(path, limit)
            except FileNotFoundError:
                return None
        if data is None:
            raise base.ObjectTooLargeError(f"{path.name} has more than {limit} bytes")
        return data

    @contextmanager
    def _locked(self, environment: str) -> Iterator[None]:
        folder = self._environment(environment)
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "pointer.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise StoreUnavailable(f"the folder {self._directory} cannot be used: {problem}") from problem
