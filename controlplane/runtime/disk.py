"""The last few good releases on disk, for a start while the store cannot be reached.

Pointer and snapshot lie in one file (a line of JSON, then the bytes), so that no crash can leave the one without the
other. Readers trust it no more than the store: whoever loads it checks it again.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from controlplane.runtime.errors import StoreError
from controlplane.runtime.snapshot import READ_LIMIT
from controlplane.runtime.stores.base import Pointer
from controlplane.runtime.stores.files import read_at_most, write_atomically

_GENERATIONS = 3
_POINTER_LIMIT = 64 * 1024


class Copy(NamedTuple):
    """A release as it was found on disk, and how long ago it was written."""

    pointer: Pointer
    data: bytes
    age_seconds: float


class DiskCopy:
    """A folder with the newest releases of one environment."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, pointer: Pointer, data: bytes) -> None:
        """Keep a release and forget all but the newest three; raises `OSError`."""
        write_atomically(
            self._directory / f"{pointer.release:012d}.release", pointer.to_json() + b"\n" + data
        )
        for path in self._newest_first()[_GENERATIONS:]:
            path.unlink(missing_ok=True)
        self._remove_leftovers()

    def copies(self) -> Iterator[Copy]:
        """What can be read, newest first; what cannot is passed over."""
        for path in self._newest_first():
            copy = _read(path)
            if copy is not None:
                yield copy

    def _remove_leftovers(self) -> None:
        """Remove temporary files of writers that were killed; a living one's is younger than a minute."""
        for path in self._directory.glob(".*.tmp"):
            if time.time() - path.stat(follow_symlinks=False).st_mtime > 60:
                path.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        try:
            return sorted(self._directory.glob("[0-9]*.release"), reverse=True)
        except OSError:
            return []


def _read(path: Path) -> Copy | None:
    try:
        content = read_at_most(path, READ_LIMIT + _POINTER_LIMIT)
        written = path.stat(follow_symlinks=False).st_mtime
    except OSError:
        return None
    if content is None:
        return None
    line, _, data = content.partition(b"\n")
    try:
        return Copy(Pointer.from_json(line), data, max(0.0, time.time() - written))
    except StoreError:
        return None
