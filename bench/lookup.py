"""The look-up source: how much of the store a call reads, and what a call costs once that was read.

Reads are counted, not timed. "A resolve" is everything before the prompt's text: one card, or two at once for a tenant.
From nothing the pointer and the kill switches come first, at once; a prompt's text is one read of its own.

Floor: the same calls on a snapshot of the whole release in memory.

Limits: a resolve at most 2 reads, and 10 µs where nothing is to be read.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import ENVIRONMENT, INTERACTION, Documents, configurations, registry, requests
from bench.timing import each_call, in_turns, per_call, percentile
from controlplane.first_data import read
from controlplane.releases.cards import cards
from controlplane.runtime import Pointer, Request, Snapshot, canonical, resolve, snapshot
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.lookup.cards import seal
from controlplane.runtime.stores.memory import MemoryStore

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_READS = Limit(2, of="here")
_WARM = Limit(10, of="here")


class CountingStore(MemoryStore):
    """A store that counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    def read_pointer(self, environment: str) -> Pointer | None:
        """See `ReleaseStore.read_pointer`."""
        self.reads["pointer"] += 1
        return super().read_pointer(environment)

    def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
        """See `ReleaseStore.read_entry`."""
        self.reads["entry"] += 1
        return super().read_entry(environment, key, at=at)

    def read_switches(self, environment: str) -> bytes | None:
        """See `ReleaseStore.read_switches`."""
        self.reads["switches"] += 1
        return super().read_switches(environment)

    def read_prompt(self, sha256: str) -> str:
        """See `ReleaseStore.read_prompt`."""
        self.reads["prompt"] += 1
        return super().read_prompt(sha256)


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    store, whole = _published(registry() | configurations(effort.sizes[-1]))
    asked = requests(whole, effort.calls)
    return [*_cold(store, asked[0]), *_warm(store, whole, asked, effort)]


def _published(documents: Documents) -> tuple[CountingStore, Snapshot]:
    bodies = {canonical.digest(body.encode()): body for body in read.read_prompts().values()}
    data = snapshot.build(documents, bodies)
    store = CountingStore()
    for sha256, body in bodies.items():
        store.write_prompt(sha256, body)
    store.write_entries(ENVIRONMENT, 1, _cards(documents))
    pointer = Pointer(environment=ENVIRONMENT, release=1, sha256=canonical.digest(data), size=len(data))
    store.move_pointer(pointer)
    return store, Snapshot.load(data, release=1, environment=ENVIRONMENT)


def _cards(documents: Documents) -> Mapping[str, bytes]:
    texts = {key: canonical.dumps(document) for key, document in documents.items()}
    return {
        key: seal(card or {}, environment=ENVIRONMENT, key=key, release=1)
        for key, card in cards(texts).items()
    }


def _source(store: CountingStore) -> LookupSource:
    # The pointer is looked at once, so that the figures are those of calls.
    return LookupSource(store, ENVIRONMENT, poll_seconds=10_000, capacity=100_000, environ={})


def _cold(store: CountingStore, request: Request) -> list[Figure]:
    found = []
    for whose, tenant in (("without a tenant", None), ("of a tenant", request.tenant_id)):
        view = partial(_view, tenant=tenant)
        counted = {
            "reads of a cold resolve": _reads(store, partial(view, _source(store).start())),
            "… from nothing, with pointer and switches": _reads(store, partial(view, _source(store))),
            "… and with prompts ready to render": _reads(store, partial(_ready, _source(store), tenant)),
        }
        found += [
            Figure(f"{name}, {whose}", reads, "", 1, reads, None if name.startswith("…") else _READS)
            for name, reads in counted.items()
        ]
    return found


def _reads(store: CountingStore, work: Callable[[], object]) -> int:
    store.reads.clear()
    work()
    return store.reads.total()


def _view(source: LookupSource, tenant: str | None) -> None:
    if source.view(INTERACTION, tenant) is None:
        raise RuntimeError("nothing to serve")


def _ready(source: LookupSource, tenant: str | None) -> None:
    view = asyncio.run(source.view_async(INTERACTION, tenant))
    if view is None or not view.complete:
        raise RuntimeError("nothing to serve")


def _resolve(source: LookupSource, request: Request) -> object:
    view = source.view(request.interaction, request.tenant_id)
    if view is None:
        raise RuntimeError("nothing to serve")
    return resolve(view, request, now=_NOW)


def _warm(store: CountingStore, whole: Snapshot, asked: list[Request], effort: Effort) -> list[Figure]:
    source = _source(store)
    work = partial(_resolve, source)
    floor = partial(resolve, whole, now=_NOW)
    pair = in_turns(lambda: per_call(work, asked), lambda: per_call(floor, asked), rounds=effort.rounds)
    slowest, least = (percentile(each_call(one, asked), 99) for one in (work, floor))
    return [
        Figure("resolve p50, warm", pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, _WARM),
        Figure(
            "resolve p99, warm (with the clock's own time)",
            slowest / 1e3,
            "µs",
            least / 1e3,
            slowest / least,
            _WARM,
        ),
    ]
