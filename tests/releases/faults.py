"""A store that fails where a test wants it to."""

from collections.abc import Callable, Mapping

from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores import Pointer, ReleaseStore

Fault = Callable[[], None]


def unavailable() -> None:
    raise StoreUnavailable("cannot reach the store: it did not answer")


class FaultyStore:
    """Passes everything on to `inner`, and calls `faults["before write_entries"]` and the like around it."""

    def __init__(self, inner: ReleaseStore) -> None:
        self.inner = inner
        self.faults: dict[str, Fault] = {}
        self.calls: list[str] = []

    def _around(self, name: str, *, after: bool = False) -> None:
        if not after:
            self.calls.append(name)
        fault = self.faults.get(f"{'after' if after else 'before'} {name}")
        if fault is not None:
            fault()

    def read_pointer(self, environment: str) -> Pointer | None:
        self._around("read_pointer")
        return self.inner.read_pointer(environment)

    def move_pointer(self, pointer: Pointer) -> bool:
        self._around("move_pointer")
        moved = self.inner.move_pointer(pointer)
        self._around("move_pointer", after=True)
        return moved

    def replace_signature(self, pointer: Pointer) -> bool:
        self._around("replace_signature")
        return self.inner.replace_signature(pointer)

    def read_snapshot(self, environment: str, sha256: str, *, limit: int) -> bytes:
        self._around("read_snapshot")
        return self.inner.read_snapshot(environment, sha256, limit=limit)

    def write_snapshot(self, environment: str, sha256: str, data: bytes) -> None:
        self._around("write_snapshot")
        self.inner.write_snapshot(environment, sha256, data)
        self._around("write_snapshot", after=True)

    def read_prompt(self, sha256: str) -> str:
        self._around("read_prompt")
        return self.inner.read_prompt(sha256)

    def write_prompt(self, sha256: str, body: str) -> None:
        self._around("write_prompt")
        self.inner.write_prompt(sha256, body)

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        self._around("write_entries")
        self.inner.write_entries(environment, release, documents)
        self._around("write_entries", after=True)

    def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
        self._around("read_entry")
        return self.inner.read_entry(environment, key, at=at)

    def read_switches(self, environment: str) -> bytes | None:
        return self.inner.read_switches(environment)

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        return self.inner.write_switches(environment, data, version=version)

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        self.inner.write_heartbeat(environment, process, data, seconds=seconds)

    def read_heartbeats(self, environment: str) -> dict[str, bytes]:
        return self.inner.read_heartbeats(environment)
