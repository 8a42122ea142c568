"""Reading what comes over a network, bounded in size and in time."""

import time
from typing import Protocol

from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores.base import ObjectTooLargeError

_SECONDS = 30.0
_CHUNK = 64 * 1024


class Body(Protocol):
    """Something that is read in pieces until there is an empty one."""

    def read(self, amount: int, /) -> bytes:
        """At most `amount` bytes more."""


def read_body(body: Body, *, limit: int, name: str) -> bytes:
    """The whole body, unless it has more than `limit` bytes or is not there within half a minute.

    A peer that drips a byte a second never runs into a socket's time-out.
    """
    deadline = time.monotonic() + _SECONDS
    data = bytearray()
    while chunk := body.read(_CHUNK):
        data += chunk
        if len(data) > limit:
            raise ObjectTooLargeError(f"{name} has more than {limit} bytes")
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"{name} did not arrive within {_SECONDS:.0f} s")
    return bytes(data)
