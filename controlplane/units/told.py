"""The sketches in a heartbeat, read as the untrusted input they are: whatever can write to the store can write one. Pure."""

import binascii
import datetime as dt
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from controlplane.runtime.sketch import EMPTY, union, unpacked
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from controlplane.runtime.units import HOUR

_LARGEST: Final = 2**53
_LAST_HOUR: Final = 2**22  # some four hundred years on, which a moment still holds

Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
# The keys of entries are printable; what else a forger writes need not be shown on any page.
Key = Annotated[str, msgspec.Meta(max_length=400, pattern=r"^(configuration|gate)/[^\x00-\x1f\x7f]+\Z")]


class _Series(msgspec.Struct, array_like=True):
    hour: Annotated[int, msgspec.Meta(ge=0, le=_LAST_HOUR)]
    key: Key
    unit: Annotated[str, msgspec.Meta(pattern=r"^(user|tenant|conversation)\Z")]
    version: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    calls: Count
    without: Count
    data: str


class _Units(msgspec.Struct):
    series: list[msgspec.Raw] = []


class _Heartbeat(msgspec.Struct):
    units: _Units = msgspec.field(default_factory=_Units)


@dataclass(frozen=True, order=True)
class Subject:
    """What one sketch is of."""

    hour: dt.datetime
    key: str
    unit: str
    version: int


@dataclass(frozen=True)
class Told:
    """What is known of a subject: registers, and the calls of the busiest process."""

    registers: bytes = EMPTY
    calls: int = 0
    without: int = 0

    def with_(self, other: "Told") -> "Told":
        """Return both put together; the same again changes nothing."""
        calls, without = max((self.calls, self.without), (other.calls, other.without))
        return Told(union(self.registers, other.registers), calls, without)


def read(data: bytes) -> Iterator[tuple[Subject, Told]]:
    """Yield what a heartbeat tells; what cannot be read of it is left out. Never raises."""
    if len(data) > HEARTBEAT_LIMIT:
        return
    try:
        found = msgspec.json.decode(data, type=_Heartbeat).units.series
    except (ValueError, RecursionError):  # what msgspec raises is a ValueError
        return
    for raw in found:
        try:
            one = msgspec.json.decode(raw, type=_Series)
            registers = unpacked(b64decode(one.data, validate=True))
        except (ValueError, RecursionError, binascii.Error):
            continue
        hour = dt.datetime.fromtimestamp(one.hour * HOUR, dt.UTC)
        told = Told(registers, one.calls, min(one.without, one.calls))
        yield Subject(hour, one.key, one.unit, one.version), told
