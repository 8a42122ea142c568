"""The live release read in parts, as calls need them: for functions that live for a moment, and for more tenants than
fit in memory.

    source = LookupSource(store, "production")
    view = source.view("COACHING_RESPONSE", "acme")     # a small Snapshot, or None when there is nothing to serve
    found = resolve(view, Request("COACHING_RESPONSE", tenant_id="acme", unit="u-17"), now=datetime.now(UTC))

The first call reads the pointer and one card, or two at once for a tenant; see `cards.py`. After that a call is answered
from memory until the pointer moves, which drops everything that was read, or a card is five minutes old.

The pointer is looked at when calls come, since a function that is frozen between calls has no clock to rely on: a call
never trusts one older than `poll_seconds` if the store answers. Where calls keep coming nobody waits for that: a little
earlier one call has it read in the background.

Stores that fail are served around: what is held goes on being served, however old (`state` says how old), and while the
cards of a new release cannot be had, the last one that could be goes on. What was never read is None, and the call takes the
legacy path. A store that is down is asked by one call at a time, after pauses that grow to 30 seconds.
"""

import logging
import os
import time
import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from controlplane.runtime.acceptance import PointerRefused, check_pointer
from controlplane.runtime.errors import ControlPlaneRuntimeError, StoreUnavailable
from controlplane.runtime.lookup.cards import has_card, own_tenant
from controlplane.runtime.lookup.readers import Readers
from controlplane.runtime.lookup.release import NOBODY, SHORT_PATIENCE, HeldRelease, Place
from controlplane.runtime.lookup.shelf import Cache, Clock, Outage
from controlplane.runtime.lookup.tally import CacheMetrics, Tally
from controlplane.runtime.lookup.texts import PATIENCE, Texts
from controlplane.runtime.lookup.view import LookupView
from controlplane.runtime.lookup.waiting import Steps, Wait, in_thread, on_loop
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.base import Pointer, ReleaseStore
from controlplane.runtime.switchboard import Switchboard
from controlplane.runtime.switches import SWITCHES_FILE, KillSwitches

_log = logging.getLogger(__name__)
_THREADS: Final = 8
_TEXTS: Final = 512
_EARLY: Final = 0.8
_FROZEN: Final = "AWS_LAMBDA_FUNCTION_NAME"


@dataclass(frozen=True, slots=True)
class LookupState:
    """How a source is doing, for health checks and metrics; the first fields are those of `ClientState`."""

    environment: str
    release: int | None
    age_seconds: float | None
    """Since the store last confirmed that this release is live."""
    serving_since: datetime | None
    """When this process began to serve the release, by its own clock, in UTC."""
    source: Literal["lookup"]
    last_error: str | None
    """What could not be read or used when it was last tried; None when all was well."""
    thrown: tuple[str, ...]
    """The kill switches that are thrown: `everything`, or codes of interactions."""
    switches_version: int | None
    switches_error: str | None
    """Why the last look at the kill switches changed nothing that it should have; None when all was well."""
    sha256: str | None
    """The digest of the release's whole content, as its pointer names it."""
    views: int
    """Places of the release at hand: an interaction, or one of a tenant."""
    texts: int
    hits: int
    """Calls answered from memory; counted without a lock, so a few may be missing."""
    misses: int


class LookupSource:
    """A `ReleaseSource` that holds only what was asked for lately; see the text above.

    `configuration_seconds` and `prompt_seconds` say when something held is read again. `capacity` bounds how many
    interactions, or tenants in one, are held. `background` says whether threads may run between calls; left out, they
    may unless this is a Lambda function. As for a `Client`, public keys and kill switches also come from `environ`.
    """

    def __init__(
        self,
        store: ReleaseStore,
        environment: str,
        *,
        poll_seconds: float = 5.0,
        configuration_seconds: float = 300.0,
        prompt_seconds: float = 600.0,
        capacity: int = 4096,
        background: bool | None = None,
        verifier: Verifier | None = None,
        switches_file: Path | None = None,
        metrics: CacheMetrics | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        for name, value in (
            ("poll_seconds", poll_seconds),
            ("configuration_seconds", configuration_seconds),
            ("prompt_seconds", prompt_seconds),
            ("capacity", capacity),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be more than 0, not {value}")
        self.environment = environment
        self._store = store
        self.poll_seconds = poll_seconds
        self._configuration_seconds = configuration_seconds
        self._capacity = capacity
        environ = os.environ if environ is None else environ
        self._background = _FROZEN not in environ if background is None else background
        self._verifier = verifier or Verifier.from_environment(environ)
        self._clock = clock
        self._readers = Readers(_THREADS)
        self._outage = Outage(clock)
        self._tally = Tally("configuration", metrics)
        self._texts = Texts(
            store,
            readers=self._readers,
            seconds=prompt_seconds,
            capacity=_TEXTS,
            tally=Tally("prompt", metrics),
            clock=clock,
        )
        named = environ.get(SWITCHES_FILE)
        self._board = Switchboard(
            environment,
            verifier=self._verifier,
            file=switches_file or (Path(named) if named else None),
            environ=environ,
        )
        self._live: HeldRelease | None = None
        self._earlier: Cache[Place, LookupView] = Cache(capacity)
        self._confirmed = 0.0
        self._early = self._late = clock()
        self._pointer_error: str | None = None
        weakref.finalize(self, self._readers.close).atexit = False
        _sources.add(self)

    def start(self) -> "LookupSource":
        """Look at the store once, so that the first call need not; returns within two seconds and never raises."""
        self.refresh()
        return self

    def refresh(self) -> bool:
        """Look at the pointer and the switches now; True when the release is known to be the live one."""
        in_thread(self._look(PATIENCE))
        return self._pointer_error is None and self._outage.error is None and self._live is not None

    def close(self) -> None:
        """Read nothing any more; what is held stays there to be asked for."""
        self._readers.close()

    def view(self, interaction: str, tenant_id: str | None = None) -> LookupView | None:
        """Return the part of the live release for one call, from its start to its end; None when there is nothing to serve.

        Reads what is not held. A prompt's text is read when it is first asked for.
        """
        view = self._held(interaction, tenant_id)
        if view is not None:
            self._tally.count(hit=True)
            return view
        self._tally.count(hit=False)
        return in_thread(self._find(interaction, tenant_id))

    async def view_async(self, interaction: str, tenant_id: str | None = None) -> LookupView | None:
        """Return the same without blocking the loop, with the texts of all prompts that the call may need."""
        view = self._held(interaction, tenant_id)
        if view is not None and view.complete:
            self._tally.count(hit=True)
            return view
        self._tally.count(hit=False)
        return await on_loop(self._find_complete(interaction, tenant_id))

    @property
    def switches(self) -> KillSwitches:
        """What is thrown, as of the last look; `view` and `view_async` look again when that is due."""
        return self._board.current

    @property
    def state(self) -> LookupState:
        """How this source is doing."""
        live = self._live
        return LookupState(
            environment=self.environment,
            release=live.pointer.release if live else None,
            age_seconds=max(0.0, self._clock() - self._confirmed) if live else None,
            serving_since=live.since if live else None,
            source="lookup",
            last_error=next(self._errors(live), None),
            thrown=self._board.current.names(),
            switches_version=self._board.version,
            switches_error=self._board.error,
            sha256=live.pointer.sha256 if live else None,
            views=len(live.views) if live else 0,
            texts=len(self._texts),
            hits=self._tally.hits,
            misses=self._tally.misses,
        )

    def _errors(self, live: HeldRelease | None) -> Iterator[str]:
        found = (self._pointer_error, self._outage.error, live and live.error, self._texts.error)
        return (error for error in found if error)

    def _held(self, interaction: str, tenant_id: str | None) -> LookupView | None:
        """Return the view that is at hand, if nothing is due to be looked at: the way that nearly every call takes."""
        moment = self._clock()
        live = self._live
        if moment >= self._early or live is None:
            return None
        held = live.views.get((interaction, tenant_id))
        if held is None or moment >= held.expires:
            return None
        held.used = moment
        return held.value

    def _find(self, interaction: str, tenant_id: str | None) -> Steps[LookupView | None]:
        yield from self._look_if_due()
        live = self._live
        if live is None:
            return None
        place = _place(interaction, tenant_id)
        view = yield from live.find(place, wait=not self._background)
        earlier = self._earlier.get(place) if view is None else None
        return view if earlier is None else earlier.value

    def _find_complete(self, interaction: str, tenant_id: str | None) -> Steps[LookupView | None]:
        view = yield from self._find(interaction, tenant_id)
        if view is None or view.complete:
            return view
        yield from self._texts.complete(view)
        earlier = None if view.complete else self._earlier.get(_place(interaction, tenant_id))
        return earlier.value if earlier is not None and earlier.value.complete else view

    def _look_if_due(self) -> Steps[None]:
        moment = self._clock()
        if moment < self._early:
            return
        if self._live is None:
            yield from self._look(PATIENCE)
        elif moment >= self._late or not self._background:
            yield from self._look(SHORT_PATIENCE)
        else:
            self._begin_look()

    def _look(self, seconds: float) -> Steps[None]:
        reads = self._begin_look()
        if reads:
            wait = Wait(reads, seconds)
            yield wait
            if not wait.over:
                self._outage.failed(f"the pointer did not come within {seconds:g} s")

    def _begin_look(self) -> "list[Future[None]]":
        if not self._outage.asks():
            return []
        return [
            self._readers.read("pointer", self._read_pointer),
            self._readers.read("switches", self._look_at_switches),
        ]

    def _look_at_switches(self) -> None:
        self._board.look_local()
        self._board.look(self._store)

    def _read_pointer(self) -> None:
        asked = self._clock()
        try:
            pointer = self._store.read_pointer(self.environment)
        except StoreUnavailable as problem:
            self._outage.failed(str(problem))
            return
        except Exception as problem:  # a look that fails in any way must not come again with the next call
            self._outage.failed(_words(problem))
            return
        self._outage.worked()
        try:
            self._serve(pointer)
        except PointerRefused as refused:
            self._note(str(refused))
        else:
            self._confirmed = asked
            self._note(None)
        self._late = asked + self.poll_seconds
        self._early = asked + self.poll_seconds * _EARLY

    def _serve(self, pointer: Pointer | None) -> None:
        """Begin anew with the release of this pointer, unless it is the one that is served."""
        if pointer is None:
            raise PointerRefused("the store has no release of this environment")
        self._verifier.verify(pointer)
        live = self._live
        check_pointer(pointer, environment=self.environment, current=live.pointer if live else None)
        if live is not None and pointer.release == live.pointer.release:
            return
        if live is not None:
            self._keep(live.views)
        self._live = HeldRelease(
            pointer,
            self._store,
            self._texts,
            readers=self._readers,
            outage=self._outage,
            verifier=self._verifier,
            seconds=self._configuration_seconds,
            capacity=self._capacity,
            clock=self._clock,
        )
        _log.info("%s: release %s, to be looked up", self.environment, pointer.release)

    def _keep(self, views: Cache[Place, LookupView]) -> None:
        """Remember what a release could serve for as long as later ones cannot be had, however many these are."""
        for place, held in views.items():
            kept = self._earlier.get(place)
            if held.value.complete or kept is None or not kept.value.complete:
                self._earlier.put(place, held)

    def _note(self, error: str | None) -> None:
        if error is not None and error != self._pointer_error:  # said once, not for as long as it lasts
            _log.warning("%s: %s", self.environment, error)
        self._pointer_error = error

    def _after_fork(self) -> None:
        self._readers.renew()
        self._outage.renew()
        self._texts.outage.renew()
        self._board.after_fork()


def _place(interaction: str, tenant_id: str | None) -> Place:
    """Return the place of a request; names that no release can hold are not asked for: callers may pass anything."""
    return (interaction, own_tenant(tenant_id)) if has_card(interaction) else NOBODY


def _words(problem: Exception) -> str:
    if isinstance(problem, ControlPlaneRuntimeError):
        return str(problem)
    return f"unexpected {type(problem).__name__}: {problem}"


_sources: "weakref.WeakSet[LookupSource]" = weakref.WeakSet()


def _restart_after_fork() -> None:
    for source in list(_sources):
        source._after_fork()  # noqa: SLF001 - the hook belongs to the class; it stands here to be registered once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
