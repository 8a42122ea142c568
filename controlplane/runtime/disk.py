"""The last good releases on disk, for a start while the store cannot be reached.

    000000000012.reader1.good       was live and used without trouble for a while: the first choice
    000000000013.reader1.release    was accepted, and not used for long yet

Pointer and snapshot lie in one file (a line of JSON, then the bytes), so that no crash can leave the one without the
other. Readers trust it no more than the store: whoever loads it checks it again. The line also says by whose rules the
release was accepted (`checked_by`): to the same rules, the hash alone is check enough.

What was only just accepted may still do harm later on, and then it must not have pushed out the last release that is known
to be good; so a release becomes good by use, not by being loaded.

Two versions of this library may share a folder. Each writes and removes files of its own number only, and reads those of
its own or a lower one.
"""

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from controlplane.runtime.acceptance import CHECKED_BY, READER
from controlplane.runtime.errors import StoreError
from controlplane.runtime.snapshot import READ_LIMIT
from controlplane.runtime.stores.base import Pointer
from controlplane.runtime.stores.files import sync_folder, write_atomically

_GENERATIONS: Final = 3
_POINTER_LIMIT: Final = 64 * 1024
_FILE_LIMIT: Final = READ_LIMIT + _POINTER_LIMIT
_LEFTOVER_SECONDS: Final = 60
_NAME: Final = re.compile(r"(\d{12})\.reader(\d{1,6})\.(release|good)", re.ASCII)


class Copy(NamedTuple):
    """A release as it was found in a file, and how long ago that was written."""

    pointer: Pointer
    data: bytes
    age_seconds: float
    checked: bool
    """Whether these very bytes were accepted before, by the very rules of this process."""
    promoted: bool = False


class _Line(msgspec.Struct, frozen=True):
    """What stands in the line besides the pointer's own fields."""

    checked_by: str = ""


class _File(NamedTuple):
    """A file by what its name says; sorts with the better ones last."""

    good: bool
    release: int
    reader: int
    path: Path


class DiskCopy:
    """A folder with the last releases of one environment.

    `reader` is the number under which this version of the library files them.
    """

    def __init__(self, directory: Path, *, reader: int = READER) -> None:
        self._directory = directory
        self._reader = reader

    def save(self, pointer: Pointer, data: bytes) -> None:
        """Keep a release, and of the older ones the last good one and as many as make three; raises `OSError`."""
        good = self._path(pointer.release, "good")
        kept = from_file(good)
        if kept is None or (kept.pointer, kept.data) != (pointer, data):
            content = to_bytes(pointer, data, checked_by=CHECKED_BY)
            write_atomically(self._path(pointer.release, "release"), content)
            good.unlink(missing_ok=True)  # damaged, or of another history
        self._remove_older()
        self._remove_leftovers()

    def renew(self, pointer: Pointer) -> None:
        """Put a pointer that was signed anew in the place of the one that is kept; raises `OSError`."""
        for kind in ("release", "good"):
            path = self._path(pointer.release, kind)
            copy = from_file(path)
            if copy is not None and copy.pointer.sha256 == pointer.sha256:
                checked_by = CHECKED_BY if copy.checked else ""
                write_atomically(path, to_bytes(pointer, copy.data, checked_by=checked_by))

    def promote(self, release: int) -> bool:
        """Call a kept release good; False when there is no such file any more. Raises `OSError`."""
        good = self._path(release, "good")
        try:
            self._path(release, "release").rename(good)
        except FileNotFoundError:
            return good.exists()  # another process of this application was quicker
        sync_folder(self._directory)
        self._remove_older()
        return True

    def copies(self) -> Iterator[Copy]:
        """What can be read, best first: good ones, then the others, each newest first; the rest is passed over."""
        for file in sorted(self._files(), reverse=True):
            if file.reader > self._reader:
                continue
            copy = from_file(file.path)
            # A flipped bit in the number could keep every real release out, as older ones.
            if copy is not None and copy.pointer.release == file.release:
                yield copy._replace(promoted=file.good)

    def _path(self, release: int, kind: str) -> Path:
        return self._directory / f"{release:012d}.reader{self._reader}.{kind}"

    def _files(self) -> list[_File]:
        try:
            paths = list(self._directory.iterdir())
        except OSError:
            return []
        named = [(path, _NAME.fullmatch(path.name)) for path in paths]
        return [
            _File(name[3] == "good", int(name[1]), int(name[2]), path)
            for path, name in named
            if name is not None
        ]

    def _remove_older(self) -> None:
        mine = sorted((file for file in self._files() if file.reader == self._reader), reverse=True)
        by_age = sorted(mine, key=lambda file: (file.release, file.good), reverse=True)
        best = mine[:1] if mine and mine[0].good else []
        kept = [*best, *(file for file in by_age if file not in best)][:_GENERATIONS]
        for file in mine:
            if file not in kept:
                file.path.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove temporary files of writers that were killed; a living one's is younger than a minute."""
        for path in self._directory.glob(".*.tmp"):
            try:
                if time.time() - path.stat(follow_symlinks=False).st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue  # another process of this application was quicker


def to_bytes(pointer: Pointer, data: bytes, *, checked_by: str = "") -> bytes:
    """A release as one file: its pointer on a line, then its bytes."""
    line = {**pointer.to_document(), **({"checked_by": checked_by} if checked_by else {})}
    return msgspec.json.encode(line) + b"\n" + data


def from_bytes(content: bytes, *, age_seconds: float) -> Copy | None:
    """The release in a file's bytes; None when they do not begin with a pointer."""
    line, _, data = content.partition(b"\n")
    try:
        pointer, more = Pointer.from_json(line), msgspec.json.decode(line, type=_Line)
    except (StoreError, msgspec.DecodeError):
        return None
    return Copy(pointer, data, max(0.0, age_seconds), checked=more.checked_by == CHECKED_BY)


def from_file(path: Path, *, own: bool = True) -> Copy | None:
    """The release in a file; None when it cannot be read as one.

    With `own`, only a plain file counts that belongs to this user or to root: whoever else can write into a shared folder
    must not decide what is served. A file that is named by whoever runs the application may be anybody's, and a link:
    what mounts files into a container makes links.
    """
    try:
        content = read_own(path, _FILE_LIMIT) if own else read_plain(path, _FILE_LIMIT)
        age = time.time() - path.stat().st_mtime
    except OSError:
        return None
    return None if content is None else from_bytes(content, age_seconds=age)


def read_own(path: Path, limit: int) -> bytes | None:
    """The bytes of a plain file of ours or of root's; None for any other and for one over the limit.

    Raises `OSError` for what cannot be read, `FileNotFoundError` aside: that is None as well.
    """
    try:
        return _read(path, limit, flags=os.O_NOFOLLOW, owners={os.geteuid(), 0})
    except FileNotFoundError:
        return None


def read_plain(path: Path, limit: int) -> bytes | None:
    """The bytes of a plain file, whoever's it is; None for a folder, a pipe and the like, and over the limit.

    Raises `OSError`.
    """
    return _read(path, limit, flags=0)


def _read(path: Path, limit: int, *, flags: int, owners: set[int] | None = None) -> bytes | None:
    # Without O_NONBLOCK a pipe of this name would keep the reader waiting for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or (owners is not None and about.st_uid not in owners):
            return None
        data = file.read(limit + 1)
    return None if len(data) > limit else data
