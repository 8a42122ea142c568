"""What every release store promises, the pointer, and the ways a store can fail."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import msgspec

from controlplane.runtime.canonical import digest
from controlplane.runtime.errors import StoreError

_log = logging.getLogger(__name__)
_SHA256 = r"[0-9a-f]{64}"
_ENVIRONMENT = r"[a-z0-9][a-z0-9_-]{0,62}"
_PROCESS = r"[\x21-\x7e]{1,256}"

SWITCHES_LIMIT = 64 * 1024
"""Bytes of a document of kill switches at most: it is read every few seconds by every process."""
HEARTBEAT_LIMIT = 64 * 1024
"""Bytes of one heartbeat at most."""
HEARTBEATS_READ = 2_000
"""Heartbeats of one environment that are read at most: whoever can write them must not fill a reader's memory."""


class ObjectMissingError(StoreError):
    """The store has no object of this name (yet): worth asking again."""


class ObjectTooLargeError(StoreError):
    """The object is larger than the reader agreed to hold; reading stopped at that size."""


class ObjectMismatchError(StoreError):
    """The object's bytes are not those that its name promises."""


class PointerUnreadableError(StoreError):
    """There is a pointer, but it does not say what a pointer must."""


class SwitchesUnreadableError(StoreError):
    """There is a document of kill switches, but nobody can read it; a whole one may be written over it."""


class PointerConflictError(StoreError):
    """The pointer already names this release with other content: two writers disagree about the past."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Which snapshot is live in an environment, and what a reader must know before it downloads it.

    `allow_shrink` tells readers that losing more than 30 % of the entries is meant.
    """

    environment: Annotated[str, msgspec.Meta(pattern=f"^{_ENVIRONMENT}$")]
    release: Annotated[int, msgspec.Meta(ge=1)]
    sha256: Annotated[str, msgspec.Meta(pattern=f"^{_SHA256}$")]
    size: Annotated[int, msgspec.Meta(ge=0)]
    schema: int = 1
    minimum_reader: int = 1
    published_at: str = ""
    allow_shrink: bool = False
    key_id: str | None = None
    signature: str | None = None

    @classmethod
    def from_document(cls, document: object) -> "Pointer":
        """The pointer that a decoded JSON document or table item describes."""
        try:
            return msgspec.convert(document, cls)
        except msgspec.ValidationError as problem:
            raise PointerUnreadableError(f"the pointer is unreadable: {problem}") from problem

    @classmethod
    def from_json(cls, data: bytes) -> "Pointer":
        """The pointer that these bytes of JSON describe."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as problem:
            raise PointerUnreadableError(f"the pointer is unreadable: {problem}") from problem

    def to_document(self) -> dict[str, Any]:
        """Plain values, for a JSON file or a table item."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def to_json(self) -> bytes:
        """The pointer as JSON bytes."""
        return msgspec.json.encode(self.to_document())


class ReleaseStore(Protocol):
    """What publishers write and readers read. Every method raises `StoreError` when the store cannot do it."""

    def read_pointer(self, environment: str) -> Pointer | None:
        """The live pointer, or None when nothing was ever published there."""

    def move_pointer(self, pointer: Pointer) -> bool:
        """Make this the live pointer unless a newer release is: one conditional write.

        True when the store's pointer is now this release (also when it was already: a repeated call whose first
        reply was lost must not look like a defeat). False when a newer release is live. Raises
        `PointerConflictError` when this very release is live with another content.
        """

    def replace_signature(self, pointer: Pointer) -> bool:
        """Put this pointer in place of the live one if that is of the same release and content: one conditional write.

        For a release that is to be signed with another key. True when the store's pointer is now this one; False when
        none is live, or another release, or this one with other content: then nothing was written.
        """

    def read_snapshot(self, environment: str, sha256: str, *, limit: int) -> bytes:
        """The snapshot's bytes, inflated; never more than `limit` of them (`ObjectTooLargeError`).

        The caller checks the digest: what a store hands over is untrusted input.
        """

    def write_snapshot(self, environment: str, sha256: str, data: bytes) -> None:
        """Keep a snapshot under its digest; writing it twice is fine, and heals an object that was damaged."""

    def read_prompt(self, sha256: str) -> str:
        """A prompt's body by the digest of its UTF-8 bytes."""

    def write_prompt(self, sha256: str, body: str) -> None:
        """Keep a prompt's body under its digest; writing it twice is fine."""

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        """Keep what a release changed, key by key; None says that the key is gone from this release on."""

    def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
        """The key's document as of release `at`: the newest at or below it; None when absent or gone."""

    def read_switches(self, environment: str) -> bytes | None:
        """The environment's document of kill switches, as it was written; None when none ever was.

        Raises `SwitchesUnreadableError` when the store has one that it cannot give back.
        """

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        """Make this the document of kill switches unless a later version is: one conditional write.

        True when the store's document is now this one (also when it was already). False when the version there is later,
        or is this very one with other content.
        """

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        """Keep what a process says of itself, in place of what it said before, for so many seconds.

        Raises `ObjectTooLargeError` above `HEARTBEAT_LIMIT` bytes.
        """

    def read_heartbeats(self, environment: str) -> dict[str, bytes]:
        """What each process said last, by the process; without those whose time has passed.

        Of more than `HEARTBEATS_READ` so many of them.
        """


def settle(current: Pointer | None, wanted: Pointer) -> bool | None:
    """What a conditional move comes to: None means "write it", the rest is `move_pointer`'s answer."""
    if current is None or current.release < wanted.release:
        return None
    if current.release > wanted.release:
        return False
    if current.sha256 != wanted.sha256:
        raise PointerConflictError(
            f"release {wanted.release} of {wanted.environment} is live with other content "
            f"({current.sha256[:12]}, not {wanted.sha256[:12]})"
        )
    return True


def is_same_release(current: Pointer | None, wanted: Pointer) -> bool:
    """Whether a live pointer names this release with this content, however it is signed."""
    return current is not None and (current.release, current.sha256) == (wanted.release, wanted.sha256)


def holds(read: Callable[[], bytes | str], wanted: bytes | str) -> bool:
    """Whether an object is there and right. One that is there and wrong may be written over: its name is its digest."""
    try:
        if read() == wanted:
            return True
    except ObjectMissingError:
        return False
    except (ObjectMismatchError, ObjectTooLargeError) as problem:
        _log.warning("a damaged object is written again: %s", problem)
        return False
    _log.warning("an object with other bytes than its name promises is written again")
    return False


def is_environment(environment: str) -> bool:
    """Whether this may be an environment's code: it becomes part of paths and of table keys."""
    return re.fullmatch(_ENVIRONMENT, environment) is not None


def check_environment(environment: str) -> str:
    """The environment's code, or a `ValueError`."""
    if not is_environment(environment):
        raise ValueError(f"not an environment code: {environment!r}")
    return environment


def check_name(sha256: str) -> str:
    """The digest, if it is one: names become paths."""
    if not re.fullmatch(_SHA256, sha256):
        raise ValueError(f"not a SHA-256 in hexadecimal: {sha256!r}")
    return sha256


def check_content(sha256: str, data: bytes) -> None:
    """Refuse to keep bytes under a name that is not theirs."""
    if digest(data) != check_name(sha256):
        raise ValueError(f"these bytes are not {sha256[:12]}")


def check_release(release: int) -> int:
    """The release number, if it fits the twelve digits that order it in a table."""
    if not 1 <= release < 10**12:
        raise ValueError(f"not a release number: {release}")
    return release


def is_process(process: str) -> bool:
    """Whether this may be the name of a process: printable ASCII without spaces, at most 256 characters."""
    return re.fullmatch(_PROCESS, process) is not None


def check_process(process: str) -> str:
    """The name of a process, or a `ValueError`."""
    if not is_process(process):
        raise ValueError(f"not the name of a process: {process!r}")
    return process


def check_version(version: int) -> int:
    """The version of a document of kill switches, if it is one."""
    if version < 1:
        raise ValueError(f"not a version: {version}")
    return version


def check_size(what: str, data: bytes, limit: int) -> bytes:
    """The bytes, if they are not too many to be kept."""
    if len(data) > limit:
        raise ObjectTooLargeError(f"{what} has {len(data)} bytes; {limit} are allowed")
    return data
