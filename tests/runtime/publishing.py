"""Releases in a store without a database behind it: what the worker would have written, by the worker's own functions."""

from collections.abc import Mapping
from typing import Any

from controlplane.releases.cards import cards
from controlplane.runtime import Pointer, canonical, snapshot
from controlplane.runtime.lookup.cards import Signs, seal
from controlplane.runtime.stores import ReleaseStore

Documents = Mapping[str, Mapping[str, Any]]
ENVIRONMENT = "production"


class Publisher:
    """Brings a store from one release to the next, writing what changed."""

    def __init__(self, store: ReleaseStore, *, signer: Any = None) -> None:
        self.store = store
        self.signer = signer
        self.release = 0
        self.live: dict[str, bytes] = {}

    def publish(self, documents: Documents, bodies: Mapping[str, str], *, move: bool = True) -> Pointer:
        """Make these documents live as the next release, or (`move`) do all but that."""
        pointer = self.write(documents, bodies)
        if move:
            assert self.store.move_pointer(pointer)
        return pointer

    def write(self, documents: Documents, bodies: Mapping[str, str]) -> Pointer:
        """Write everything of the next release but its pointer, and return that."""
        before, self.release = self.live, self.release + 1
        self.live = {key: canonical.dumps(document) for key, document in documents.items()}
        changed = sorted(
            key for key in before.keys() | self.live.keys() if before.get(key) != self.live.get(key)
        )
        touched = [
            (key, text)
            for key in changed
            for text in (before.get(key), self.live.get(key))
            if text is not None
        ]
        made = cards(self.live, touched if before else None)
        sealed = {key: None if card is None else self._seal(key, card) for key, card in made.items()}
        for sha256, body in bodies.items():
            self.store.write_prompt(sha256, body)
        data = snapshot.build(documents, bodies)
        self.store.write_snapshot(ENVIRONMENT, canonical.digest(data), data)
        written = {key: self.live.get(key) for key in changed}
        self.store.write_entries(ENVIRONMENT, self.release, {**written, **sealed})
        pointer = Pointer(
            environment=ENVIRONMENT, release=self.release, sha256=canonical.digest(data), size=len(data)
        )
        return self.signer.sign(pointer) if self.signer else pointer

    def _seal(self, key: str, card: Mapping[str, bytes]) -> bytes:
        signs: Signs | None = self.signer
        return seal(card, environment=ENVIRONMENT, key=key, release=self.release, signer=signs)
