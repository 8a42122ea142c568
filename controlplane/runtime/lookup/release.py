"""What was read of one release. A new release begins a new one of these, so that nothing of two is ever put together."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Final

from controlplane.runtime.entries import ANY
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.lookup.cards import SHARED, Documents, card_key, unseal
from controlplane.runtime.lookup.readers import Readers
from controlplane.runtime.lookup.shelf import Cache, Clock, Held, Outage, Shelf
from controlplane.runtime.lookup.texts import PATIENCE, Texts
from controlplane.runtime.lookup.view import LookupView
from controlplane.runtime.lookup.waiting import Steps, Wait
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.base import Pointer, ReleaseStore

Place = tuple[str, str | None]
"""Whose part of a release: an interaction, and the tenant that may have rows of its own in it."""

NOBODY: Final[Place] = (ANY, None)
"""The place of an interaction that has no card: what the environment gives to all of them."""
SHORT_PATIENCE: Final = 0.5
"""How many seconds a call waits for what is newer than what it could be served."""


class HeldRelease:
    """Cards of one release as they are asked for, and the views made of them."""

    def __init__(
        self,
        pointer: Pointer,
        store: ReleaseStore,
        texts: Texts,
        *,
        readers: Readers,
        outage: Outage,
        verifier: Verifier,
        seconds: float,
        capacity: int,
        clock: Clock,
    ) -> None:
        self.pointer = pointer
        self.since = datetime.now(UTC)
        self.views: Cache[Place, LookupView] = Cache(capacity)
        self._store = store
        self._texts = texts
        self._outage = outage
        self._verifier = verifier
        self._clock = clock
        self._cards: Shelf[Place, Documents | None] = Shelf(
            self._read_card,
            readers=readers,
            outage=outage,
            seconds=seconds,
            capacity=2 * capacity,
            clock=clock,
        )

    @property
    def error(self) -> str | None:
        """Why a card of it was refused, or None."""
        return self._cards.error

    def find(self, place: Place, *, wait: bool) -> Steps[LookupView | None]:
        """Return the view of a place, or None when it cannot be had.

        `wait` says to wait for what is due to be read again, rather than to serve what is here and be newer next time.
        """
        held = self.views.get(place)
        yield from self._have(_cards_of(place), needed=held is None, wait=wait)
        general = self._cards.get((place[0], None))
        if general is not None and general.value is None:  # the release has no such interaction
            view = yield from self.find(NOBODY, wait=wait)
            if view is not None:
                self._put(place, view, general.expires)
            return view
        return self._make(place)

    def _make(self, place: Place) -> LookupView | None:
        """Return the view of a place out of its cards, making it where they are newer."""
        cards = [self._cards.get(card) for card in _cards_of(place)]
        held = self.views.get(place)
        here = [card for card in cards if card is not None]
        expires = min((card.expires for card in here), default=0.0)
        if len(here) < len(cards) or (held is not None and held.expires >= expires):
            return None if held is None else held.value
        documents = [card.value for card in here if card.value is not None]
        if place[1] is not None and len(documents) == 1:
            # A tenant without rows of its own is served what everybody is, out of the same memory.
            view = self._make((place[0], None))
        else:
            view = LookupView.of(self.pointer, *documents, texts=self._texts)
        if view is not None:
            self._put(place, view, expires)
        return view

    def _put(self, place: Place, view: LookupView, expires: float) -> None:
        self.views.put(place, Held(view, expires=expires, used=self._clock()))

    def _have(self, cards: Sequence[Place], *, needed: bool, wait: bool) -> Steps[None]:
        reads: list[Future[None]] = self._cards.reads(*cards)
        if not reads or not (needed or wait):
            return
        waiting = Wait(reads, PATIENCE if needed else SHORT_PATIENCE)
        yield waiting
        if not waiting.over:
            self._outage.failed(f"no card came within {waiting.seconds:g} s")

    def _read_card(self, place: Place) -> Documents | None:
        pointer, key = self.pointer, card_key(*place)
        data = self._store.read_entry(pointer.environment, key, at=pointer.release)
        if data is not None:
            return unseal(
                data, environment=pointer.environment, key=key, at=pointer.release, verifier=self._verifier
            )
        if key == SHARED:
            raise SnapshotRefused(
                f"release {pointer.release} has no cards: what published it does not write them yet"
            )
        return None


def _cards_of(place: Place) -> tuple[Place, ...]:
    interaction, tenant = place
    return (place,) if tenant is None else ((interaction, None), place)
