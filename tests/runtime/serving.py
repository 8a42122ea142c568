"""What a client's tests have in common: two good releases, what a request would be told, and patience."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controlplane.runtime import Client, Request, resolve, snapshot
from controlplane.runtime.canonical import digest
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores import ReleaseStore
from tests.runtime import releases
from tests.runtime.faults import FaultyStore, pointer_to, raises, release_bytes

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GOOD = release_bytes(0.5)
NEXT = release_bytes(0.6)


def temperature(client: Client) -> float | None:
    """What a request would be told now."""
    assert client.snapshot is not None, client.state
    return resolve(client.snapshot, Request("UNCONFIGURED"), now=NOW).variant.temperature


def gone(store: FaultyStore) -> FaultyStore:
    """The same store, which nobody can reach."""
    store.pointer_fault = raises(StoreUnavailable("gone"))  # type: ignore[assignment]
    return store


def publish(store: ReleaseStore, release: int, data: bytes, **others: Any) -> None:
    """Make a release live, as far as a client sees."""
    pointer = pointer_to(data, release, **others)
    store.write_snapshot(pointer.environment, pointer.sha256, data)
    assert store.move_pointer(pointer)


def stamped(release: int) -> bytes:
    """A release that says its number in a configuration and in a prompt."""
    body = f"This is release {release} speaking."
    sha256 = digest(body.encode())
    documents = releases.documents()
    documents["prompt/coaching_response"] |= {"sha256": sha256, "size": len(body), "version": release}
    documents["configuration/*/default/*"]["variants"][0]["max_tokens"] = release
    return snapshot.build(documents, {**releases.bodies(), sha256: body})


def torn(client: Client) -> object | None:
    """What a request would see of two stamped releases at once; None when it sees one."""
    live = client.view("UNCONFIGURED")
    assert live is not None
    found = resolve(live, Request("UNCONFIGURED"), now=NOW)
    if found.release == live.release == found.variant.max_tokens:
        text = live.body(found.prompt.sha256)
        return None if f"release {live.release} " in text else (live.release, text)
    return found.release, live.release, found.variant.max_tokens


def eventually(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
