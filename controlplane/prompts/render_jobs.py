"""What the site and its render workers say to each other: jobs, how they end, and the frames that carry them.

A job has *units*: a set of values to render a template with, or a text to look at. Each is answered by itself. Frames on the
socket are a length of four bytes and as many bytes. A job is a head and JSON; an answer is a frame for each unit: one byte of
`Outcome`, then JSON where there is any.
"""

import enum
import socket
import struct
from typing import Any, Final

import msgspec

from controlplane.runtime.entries import Parameter

WALL_SECONDS: Final = 1.0
# For a save or a first start, where on a starved machine an answer a little later is better than a false "too slow".
# A template cannot sleep, so what keeps a hostile one short there is its second of processor time.
PATIENT_WALL_SECONDS: Final = 4.0
ANSWER_BYTES: Final = 4 * 1024 * 1024
JOB_BYTES: Final = 4 * 1024 * 1024
READY: Final = b"ready"
HEAD: Final = struct.Struct(">dI")  # before each job: the seconds it may take, and how many units it has
UNIT: Final = struct.Struct(">I")  # before the answer of each unit: its size


class Outcome(enum.Enum):
    """How a unit ended; the first byte of its answer."""

    ANSWERED = b"A"
    TOO_SLOW = b"T"
    TOO_MUCH_MEMORY = b"M"
    TOO_LONG = b"L"
    DIED = b"D"
    NOT_STARTED = b"N"  # said by the pool; no worker can


class Rendering(msgspec.Struct, frozen=True, tag=True):
    """A template to be rendered with each set of values; `texts` says whether the texts are wanted, or only the problems.

    With `samples` the last unit holds the text against the declaration; it learns from them, and from the values too.
    """

    source: str
    declared: tuple[Parameter, ...]
    values: tuple[dict[str, Any], ...]
    texts: bool = True
    samples: tuple[dict[str, Any], ...] | None = None


class Inspection(msgspec.Struct, frozen=True, tag=True):
    """Texts of which the runtime's rules want to know the names they use, and what is wrong with them."""

    sources: tuple[str, ...]


class Held(msgspec.Struct, frozen=True):
    """A text with what its interaction declares and is known by."""

    source: str
    declared: tuple[Parameter, ...]
    samples: tuple[dict[str, Any], ...] = ()


class Holding(msgspec.Struct, frozen=True, tag=True):
    """Texts to be held against the declarations of their interactions."""

    texts: tuple[Held, ...]


Job = Rendering | Inspection | Holding


def send(channel: socket.socket, payload: bytes) -> None:
    """Write one frame."""
    channel.sendall(struct.pack(">I", len(payload)) + payload)


def receive(channel: socket.socket, limit: int) -> bytes | None:
    """Read one frame; None when the other end is gone or sends more than `limit`."""
    head = _exactly(channel, 4)
    if head is None:
        return None
    (size,) = struct.unpack(">I", head)
    return _exactly(channel, size) if size <= limit else None


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        part = channel.recv(min(size - len(found), 1 << 16))
        if not part:
            return None
        found += part
    return bytes(found)
