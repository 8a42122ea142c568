"""The prompt texts that are at hand, for all views of all releases: a text is named by its hash and never changes."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from controlplane.runtime.errors import TemplateNotFoundError
from controlplane.runtime.lookup.readers import Readers
from controlplane.runtime.lookup.shelf import Clock, Outage, Shelf
from controlplane.runtime.lookup.tally import Tally
from controlplane.runtime.lookup.view import LookupView, Text, read_text
from controlplane.runtime.lookup.waiting import Steps, Wait, in_thread
from controlplane.runtime.stores.base import ReleaseStore

PATIENCE: Final = 2.0
"""How many seconds a call waits for what it cannot do without."""


class TextUnavailableError(TemplateNotFoundError):
    """The release names this text, but it cannot be read now; a call takes it like a text that is not there."""

    def __init__(self, sha256: str, reason: str) -> None:
        super().__init__(sha256)
        self.args = (f"The prompt text {sha256[:12]} cannot be read now: {reason}.",)


class Texts:
    """Prompt texts by hash, compiled when they are read."""

    def __init__(
        self,
        store: ReleaseStore,
        *,
        readers: Readers,
        seconds: float,
        capacity: int,
        tally: Tally,
        clock: Clock = time.monotonic,
    ) -> None:
        self.outage = Outage(clock)
        self.count = tally.count
        self._shelf: Shelf[str, Text] = Shelf(
            lambda sha256: read_text(store, sha256),
            readers=readers,
            outage=self.outage,
            seconds=seconds,
            capacity=capacity,
            clock=clock,
        )

    def __len__(self) -> int:
        """Return how many texts are at hand."""
        return len(self._shelf)

    @property
    def error(self) -> str | None:
        """Why a text could not be had, or None."""
        return self.outage.error or self._shelf.error

    def get(self, sha256: str) -> Text | None:
        """Return a text if it is at hand."""
        held = self._shelf.get(sha256)
        return None if held is None else held.value

    def complete(self, view: LookupView) -> Steps[None]:
        """Give a view the texts that it lacks, reading those that are not at hand."""
        yield from self._have(view.named, view.take())
        view.take()

    def wait_for(self, sha256: str) -> Text:
        """Return a text, reading it in this thread's time; raises `TextUnavailableError`."""
        in_thread(self._have([sha256], [sha256]))
        found = self.get(sha256)
        if found is None:
            reason = self._shelf.refused(sha256) or self.outage.error or "it is not there yet"
            raise TextUnavailableError(sha256, reason)
        return found

    def _have(self, wanted: Sequence[str], missing: Sequence[str]) -> Steps[None]:
        reads: list[Future[None]] = self._shelf.reads(*wanted)
        if reads and missing:  # else all of them are here, and only due to be read again
            wait = Wait(reads, PATIENCE)
            yield wait
            if not wait.over:
                self.outage.failed(f"no prompt text came within {PATIENCE:g} s")
