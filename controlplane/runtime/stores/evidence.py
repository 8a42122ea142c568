"""What the record of changes leaves in a store: small objects that are written once and never again.

A protocol of its own, for the same reason as the one for clean-up. No reader of releases asks for any of it, and clean-up
touches nothing of it. Names are paths below a folder that no environment can be called like.
"""

import re
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from controlplane.runtime.stores.base import ReleaseStore

FOLDER = "_audit"
_NAME = r"(?:[a-z0-9][a-z0-9._-]{0,80}/){0,3}[a-z0-9][a-z0-9._-]{0,80}"


@runtime_checkable
class EvidenceStore(ReleaseStore, Protocol):
    """A release store that keeps evidence too. Every method raises `StoreError` when it cannot."""

    def create_evidence(self, name: str, data: bytes) -> bool:
        """Keep these bytes under a name that nothing has yet, and say whether they are what is kept there now.

        What is there already stays: True when it is the same, as after a reply that was lost; False when it is not.
        """

    def read_evidence(self, name: str, *, limit: int) -> bytes | None:
        """What is kept under the name; None when nothing is. Raises `ObjectTooLargeError` above `limit` bytes."""

    def list_evidence(self, folder: str) -> Iterator[str]:
        """The names below a folder, in any order."""


def check_evidence(name: str) -> str:
    """The name, if it is one: names become paths."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"not a name of evidence: {name!r}")
    return name
