"""What recorded calls leave in a store: packed batches, each written once, by the hour in which that was.

A protocol of its own, as for evidence: no reader of releases asks for any of it. Nothing lists the whole of it but clean-up,
by the hour, so that a reader's look costs the same however long calls have been recorded.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

FOLDER = "decisions"
ENDING = ".ndjson.gz"
_NAME = r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}"
_HOUR = r"\d{4}-\d\d-\d\d/\d\d"


@runtime_checkable
class DecisionLog(Protocol):
    """Where recorded calls are kept. Every method raises `StoreError` when the store cannot do it.

    An hour is aware, and on the hour.
    """

    def write_decisions(self, environment: str, hour: datetime, name: str, packed: bytes) -> None:
        """Keep a batch, packed already, under a name that only its writer uses."""

    def list_decisions(self, environment: str, hour: datetime) -> Iterator[str]:
        """The names of the batches of an hour, in any order."""

    def read_decisions(self, environment: str, hour: datetime, name: str, *, limit: int) -> bytes:
        """A batch, inflated; never more than `limit` bytes of it (`ObjectTooLargeError`).

        What is in it is untrusted input. Raises `ObjectMissingError` for one that is not there.
        """

    def list_decision_hours(self, environment: str) -> Iterator[datetime]:
        """The hours of which there are batches, each once, in order."""

    def delete_decisions(self, environment: str, hour: datetime, names: Iterable[str]) -> None:
        """Delete batches; one that is not there is deleted already."""


def hour_path(hour: datetime) -> str:
    """The folder of an hour, or a `ValueError`."""
    if hour.tzinfo is None or hour.minute or hour.second or hour.microsecond:
        raise ValueError(f"not an hour: {hour}")
    return f"{hour.astimezone(UTC):%Y-%m-%d/%H}"


def hour_of(path: str) -> datetime | None:
    """The hour of a folder; None for one that is none."""
    if not re.fullmatch(_HOUR, path, re.ASCII):
        return None
    try:
        return datetime.strptime(path, "%Y-%m-%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def check_batch(name: str) -> str:
    """The name of a batch, if it is one: names become paths."""
    if not is_batch(name):
        raise ValueError(f"not the name of a batch: {name!r}")
    return name


def is_batch(name: str) -> bool:
    """Whether this may be the name of a batch."""
    return re.fullmatch(_NAME, name, re.ASCII) is not None
