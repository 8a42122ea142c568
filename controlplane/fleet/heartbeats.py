"""What a heartbeat says, read as the untrusted input it is: whatever can write to the store can write one.

A part that is not what it should be is left out, and the rest is believed: processes of several versions write heartbeats.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

import msgspec

from controlplane.runtime.stores.base import HEARTBEAT_LIMIT

USUAL_SECONDS: Final = 10.0
"""Between two beats, of a process that does not say."""

_LONGEST_NAME: Final = 256
_LONGEST_PROBLEM: Final = 500
_MOST: Final = 20
_LARGEST: Final = 2**53

Value = TypeVar("Value")
Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
ReleaseNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Answers(msgspec.Struct):
    counts: list[Count] = []


class _Metrics(msgspec.Struct):
    call: _Answers = msgspec.field(default_factory=_Answers)
    errors: dict[str, Count] = {}


@dataclass(frozen=True)
class Beat:
    """One heartbeat; times are the process's own. `beat` differs from that of the one before."""

    host: str
    beat: str = ""
    started_at: dt.datetime | None = None
    interval_seconds: float = USUAL_SECONDS
    poll_seconds: float | None = None
    release: int | None = None
    sha256: str | None = None
    serving_since: dt.datetime | None = None
    held_back: int = 0
    quarantined: str | None = None
    source: str | None = None
    versions: dict[str, Any] = field(default_factory=dict)
    thrown: list[str] = field(default_factory=list)
    calls: int = 0
    errors: int = 0
    problem: str | None = None


def read(process: str, data: bytes) -> Beat:
    """Return what a process says of itself; `problem` tells when it cannot be read. Never raises."""
    host = line(process.rsplit(":", 2)[0], _LONGEST_NAME)
    try:
        if len(data) > HEARTBEAT_LIMIT:
            raise ValueError(f"has more than {HEARTBEAT_LIMIT} bytes")
        parts = _Parts(msgspec.json.decode(data, type=dict[str, msgspec.Raw]))
    except (ValueError, RecursionError):  # what msgspec raises is a ValueError
        return Beat(host=host, problem="Its heartbeat cannot be read.")
    metrics = parts.get("metrics", _Metrics) or _Metrics()
    return Beat(
        host=host,
        beat=line(parts.get("written", str) or "", 64),
        started_at=moment(parts.get("started", str)),
        interval_seconds=parts.get("seconds", Seconds) or USUAL_SECONDS,
        poll_seconds=parts.get("poll_seconds", Seconds),
        release=parts.get("release", ReleaseNumber),
        sha256=parts.get("sha256", Digest),
        serving_since=moment(parts.get("serving_since", str)),
        held_back=len(parts.get("held_back", dict[str, msgspec.Raw]) or ()),
        quarantined=parts.get("quarantined", Digest),
        source=line(parts.get("source", str) or "", 20) or None,
        versions=_few(parts.get("versions", dict[str, str]) or {}),
        thrown=[line(each, _LONGEST_NAME) for each in (parts.get("thrown", list[str]) or [])[:_MOST]],
        calls=min(sum(metrics.call.counts), _LARGEST),
        errors=min(sum(metrics.errors.values()), _LARGEST),
        problem=line(parts.get("last_error", str) or "", _LONGEST_PROBLEM) or None,
    )


class _Parts:
    """The fields of a heartbeat, each believed by itself."""

    def __init__(self, parts: dict[str, msgspec.Raw]) -> None:
        self._parts = parts

    def get(self, name: str, kind: type[Value]) -> Value | None:
        """Return the field if it is of this kind, else None."""
        raw = self._parts.get(name)
        try:
            return None if raw is None else msgspec.json.decode(raw, type=kind)
        except (ValueError, RecursionError):
            return None


def line(text: str, longest: int) -> str:
    """Return text as one line that can be kept and shown: nothing unseen in it, and no longer than this."""
    seen = "".join(each if each.isprintable() else " " for each in text[: 4 * longest])
    return " ".join(seen.split())[:longest]


def moment(text: str | None) -> dt.datetime | None:
    """Return the time that a process wrote, in UTC; None when it is none."""
    try:
        found = dt.datetime.fromisoformat(text or "")
        return found.astimezone(dt.UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _few(versions: dict[str, str]) -> dict[str, Any]:
    return {line(name, 40): line(value, 40) for name, value in list(versions.items())[:_MOST]}
