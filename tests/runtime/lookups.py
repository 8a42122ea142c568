"""What the tests of the look-up source share: a store that is watched, a clock that is set, and a release to look up."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from controlplane.runtime import Pointer, ReleaseStore
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.stores.memory import MemoryStore
from tests.clock import Clock
from tests.releases.faults import FaultyStore
from tests.runtime import releases
from tests.runtime.publishing import ENVIRONMENT, Publisher

COACHING = "COACHING_RESPONSE"
RENAMED = {"tier/free": {"name": "Gratis", "rank": 0}}
"""A change that touches every card."""


class LyingStore(FaultyStore):
    """Says of the pointer and of prompts what a test wants said."""

    pointer: Callable[[], Pointer | None] | None = None
    prompt: str | None = None

    def read_pointer(self, environment: str) -> Pointer | None:
        found = super().read_pointer(environment)
        return found if self.pointer is None else self.pointer()

    def read_prompt(self, sha256: str) -> str:
        return self.prompt or super().read_prompt(sha256)


class Bench:
    """A source on a store that is watched, with a release in it."""

    def __init__(self, *, release: bool = True, signer: Any = None, **options: Any) -> None:
        self.inner = MemoryStore()
        self.store = LyingStore(self.inner)
        self.publisher = Publisher(self.inner, signer=signer)
        if release:
            self.publish()
        self.clock = Clock()
        given = {"background": False, "environ": {}, "clock": self.clock, **options}
        self.source = LookupSource(self.store, ENVIRONMENT, **given)

    def publish(
        self, changes: Mapping[str, Any] | None = None, *, bodies: Mapping[str, str] | None = None
    ) -> Pointer:
        """Make the golden documents live, with these changed (None: taken away)."""
        documents = {**releases.documents(), **(changes or {})}
        found = {key: document for key, document in documents.items() if document is not None}
        return self.publisher.publish(found, {**releases.bodies(), **(bodies or {})})

    @property
    def reads(self) -> Counter[str]:
        """How often each of the store's methods was called since `forget`."""
        return Counter(self.store.calls)

    def points_to(self, pointer: Pointer | None) -> None:
        """Let the store name this pointer from now on."""
        self.store.pointer = lambda: pointer

    def forget(self) -> None:
        self.store.calls.clear()

    def fail(self, *methods: str, fault: Callable[[], None] | None = None) -> None:
        """Let these methods fail from now on."""
        for method in methods:
            self.store.faults[f"before {method}"] = fault or unreachable

    def heal(self) -> None:
        self.store.faults.clear()

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds


def unreachable() -> None:
    raise StoreUnavailable("nobody answers")


def take_away(store: ReleaseStore, release: int, *keys: str) -> None:
    """Make the store forget these items as of a release."""
    store.write_entries(ENVIRONMENT, release, dict.fromkeys(keys))
