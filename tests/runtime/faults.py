"""Releases in a store that can be made to lie, to hang and to fail."""

import threading
from collections.abc import Callable
from typing import Any

from controlplane.runtime import snapshot
from controlplane.runtime.canonical import digest
from controlplane.runtime.stores import Pointer
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime import releases


def pointer_to(data: bytes, release: int, environment: str = "production", **others: Any) -> Pointer:
    named = {"sha256": digest(data), "size": len(data), "published_at": "2026-11-22T10:00:00Z", **others}
    return Pointer(environment=environment, release=release, **named)


def release_bytes(temperature: float = 0.5, *, entries: releases.Documents | None = None) -> bytes:
    """A valid release that differs from others by the temperature of its default configuration."""
    documents = releases.documents() if entries is None else entries
    key = "configuration/*/default/*"
    if key in documents:
        documents[key]["variants"][0]["temperature"] = temperature
    return snapshot.build(documents, releases.bodies())


class FaultyStore(MemoryStore):
    """A store whose answers can be replaced; None means that it tells the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.pointer_fault: Callable[[], Pointer | None] | None = None
        self.object_fault: Callable[[], bytes] | None = None
        self.downloads = 0

    def publish(self, release: int, data: bytes, **others: Any) -> Pointer:
        pointer = pointer_to(data, release, **others)
        self._snapshots["production", pointer.sha256] = data  # unchecked: what is published may be wrong
        assert self.move_pointer(pointer)
        return pointer

    def read_pointer(self, environment: str) -> Pointer | None:
        return self.pointer_fault() if self.pointer_fault else super().read_pointer(environment)

    def read_snapshot(self, environment: str, sha256: str, *, limit: int) -> bytes:
        self.downloads += 1
        return (
            self.object_fault()
            if self.object_fault
            else super().read_snapshot(environment, sha256, limit=limit)
        )

    def heal(self) -> None:
        self.pointer_fault = self.object_fault = None


class Hang:
    """An answer that does not come before it is let go."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self._let_go = threading.Event()

    def __call__(self) -> bytes:
        self.waiting.set()
        self._let_go.wait(30)
        return b""

    def let_go(self) -> None:
        self._let_go.set()


def raises(problem: Exception) -> Callable[[], bytes]:
    def answer() -> bytes:
        raise problem

    return answer
