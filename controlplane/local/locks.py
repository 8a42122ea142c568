"""A lock that a crash cannot leave behind: the kernel drops it with the process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """An exclusive `flock` on a small file that holds the owner's process id, for messages only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock now."""
        return self._descriptor is not None

    def take(self, *, wait: bool) -> bool:
        """Take the lock; without waiting, say false when somebody else has it."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def drop(self) -> None:
        """Give the lock up. The file stays: removing it would let two owners lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def owner(self) -> str:
        """The process id last written by an owner, or "?"."""
        try:
            return self._path.read_text().strip() or "?"
        except OSError:
            return "?"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for a block, waiting for it first."""
    lock = FileLock(path)
    lock.take(wait=True)
    try:
        yield
    finally:
        lock.drop()
