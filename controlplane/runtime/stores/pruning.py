"""What clean-up asks of a store beyond what publishing and reading do: to list what is there, and to take things away.

A protocol of its own, so that a store which only publishes and reads owes none of it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from controlplane.runtime.stores.base import ReleaseStore


class StoredObject(NamedTuple):
    """A snapshot or a prompt's text that is there: its digest, when it was written last (aware), its bytes as kept."""

    sha256: str
    written_at: datetime
    size: int


class StoredEntry(NamedTuple):
    """What one release wrote of one entry or card; `gone` when it wrote that there is none any more."""

    key: str
    release: int
    gone: bool


@runtime_checkable
class PrunableStore(ReleaseStore, Protocol):
    """A release store whose content can be listed and deleted. Every method raises `StoreError` when it cannot.

    Deleting what is not there is fine: whoever was cut off half-way does it again.
    """

    def list_environments(self) -> list[str]:
        """The environments that have a pointer, sorted."""

    def list_snapshots(self, environment: str) -> Iterator[StoredObject]:
        """The snapshots of an environment, in any order."""

    def list_prompts(self) -> Iterator[StoredObject]:
        """The texts of prompts, which all environments share, in any order."""

    def list_entries(self, environment: str) -> Iterator[StoredEntry]:
        """What was ever written of an environment's entries and cards, in any order. May read the whole store."""

    def delete_snapshots(self, environment: str, names: Iterable[str]) -> None:
        """Take these snapshots away, by their digests."""

    def delete_prompts(self, names: Iterable[str]) -> None:
        """Take these texts away, by their digests."""

    def delete_entries(self, environment: str, entries: Iterable[tuple[str, int]]) -> None:
        """Take away what these releases wrote of these keys."""
