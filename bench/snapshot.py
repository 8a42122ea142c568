"""A release of 10,000 configurations on its way in: how soon it is ready, how long others wait, what it holds.

`Snapshot.load` only reads bytes. `accept` is what a client runs before it serves a release, in each of its grades: a
release that follows one that is served and differs in one entry; the copy on disk, accepted before by the same code; a
first release whose pointer is signed; and a first release of which nothing is known. The last one looks at every entry
and compiles every prompt before anything is served, which no lazy index does: it has no limit here, and takes place
only in a process that has no copy on disk and is given no key. For the two before it the client does that work later on,
in the background, where it stalls others as little as the last one does.

Floor: a lazy index, made by hand. Hash the bytes, cut them by key, decode an entry when it is asked for. "Ready" is up to
the first answer. A stall is the longest time between two answers, by the wall's clock, in a thread that asks without a
pause while another loads; "nobody loads" shows what the machine itself does to such a thread. Memory is what Python
allocates, the bytes that came in included for as long as anything refers to them.

Limits: each at most 2 × the lazy index.
"""

import gc
import hashlib
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec
from jinja2 import Environment

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import ENVIRONMENT, INTERACTION, key_of, load, release, requests, with_many_prompts
from bench.timing import Pair, in_turns, once
from controlplane.runtime import Pointer, Request, Snapshot, canonical, resolve, snapshot
from controlplane.runtime.acceptance import Trust, accept
from controlplane.runtime.entries import configuration_key

Load = Callable[[bytes], object]

_LIMIT = Limit(2)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Index(msgspec.Struct):
    entries: dict[str, msgspec.Raw]
    prompts: dict[str, msgspec.Raw]


_INDEX = msgspec.json.Decoder(_Index)


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    data = release(effort.large)
    first = requests(load(effort.large), 1)[0]
    ways = _ways(data, first)
    least = _indexing(data, first)
    slow = "accept, nothing known"
    found = [
        _ready(name, way, least, data, effort, limit=None if name == slow else _LIMIT)
        for name, way in ways.items()
    ]
    found += [_stall(name, way, least, data, effort) for name, way in ways.items()]
    found.append(_quiet(least, data, effort))
    for name, way in ways.items():
        found += _memory(name, way, least, data)
    return [*found, *_prompts(max(1, effort.large // 20))]


def _ways(data: bytes, first: Request) -> dict[str, Load]:
    current = accept(_pointer(_with_one_changed(data)), _with_one_changed(data))
    pointer = _pointer(data)

    def loading(data: bytes) -> Snapshot:
        return Snapshot.load(data, release=1, environment=ENVIRONMENT)

    def asked(way: Callable[[bytes], Snapshot]) -> Load:
        def work(data: bytes) -> Snapshot:
            found = way(data)
            resolve(found, first, now=_NOW)
            return found

        return work

    return {
        "Snapshot.load": asked(loading),
        "accept, one entry differs": asked(lambda data: accept(pointer, data, current=current)),
        "accept, accepted before": asked(lambda data: accept(pointer, data, trust=Trust.CHECKED)),
        "accept, signed": asked(lambda data: accept(pointer, data, trust=Trust.SIGNED)),
        "accept, nothing known": asked(lambda data: accept(pointer, data)),
    }


def _pointer(data: bytes) -> Pointer:
    return Pointer(environment=ENVIRONMENT, release=1, sha256=canonical.digest(data), size=len(data))


def _with_one_changed(data: bytes) -> bytes:
    found = Snapshot.load(data, release=1, environment=ENVIRONMENT)
    documents = found.documents()
    documents[configuration_key(INTERACTION)]["variants"][1]["temperature"] = 0.25
    return snapshot.build(documents, found.bodies())


def _prompts(count: int) -> list[Figure]:
    """Return what prompts cost, beside bare Jinja compiling the same: all of a first release, and one that is new."""
    older, newer = with_many_prompts(count), with_many_prompts(count, changed=1)
    current = accept(_pointer(older), older)
    known = current.bodies()
    new = [body for sha256, body in accept(_pointer(newer), newer).bodies().items() if sha256 not in known]
    return [
        _compiling(f"nothing known, {count} prompts", lambda: accept(_pointer(older), older), known.values()),
        _compiling(
            f"one of {count} prompts differs", lambda: accept(_pointer(newer), newer, current=current), new
        ),
    ]


def _compiling(name: str, work: Callable[[], object], bodies: Iterable[str]) -> Figure:
    bare = Environment()
    here, floor = once(work), once(lambda: [bare.compile(body) for body in bodies])
    return Figure(f"ready from bytes, accept, {name}", here / 1e6, "ms", floor / 1e6, here / floor)


def _indexing(data: bytes, first: Request) -> Load:
    name = hashlib.sha256(data).hexdigest()
    key = key_of(first)

    def work(data: bytes) -> _Index:
        if hashlib.sha256(data).hexdigest() != name:
            raise ValueError("these are other bytes")
        found = _INDEX.decode(data)
        msgspec.json.decode(found.entries[key])
        return found

    return work


def _ready(name: str, way: Load, least: Load, data: bytes, effort: Effort, *, limit: Limit | None) -> Figure:
    pair = in_turns(lambda: once(lambda: way(data)), lambda: once(lambda: least(data)), rounds=effort.loads)
    return _figure(f"ready from bytes, {name}", pair, limit=limit)


def _stall(name: str, way: Load, least: Load, data: bytes, effort: Effort) -> Figure:
    live = load(effort.sizes[0])
    asked = requests(live, 1)[0]
    pair = in_turns(
        lambda: _longest_wait(live, asked, lambda: way(data)),
        lambda: _longest_wait(live, asked, lambda: least(data)),
        rounds=effort.loads,
    )
    return _figure(f"longest stall while loading, {name}", pair)


def _quiet(least: Load, data: bytes, effort: Effort) -> Figure:
    live = load(effort.sizes[0])
    asked = requests(live, 1)[0]
    pair = in_turns(
        lambda: _longest_wait(live, asked, lambda: time.sleep(0.1)),
        lambda: _longest_wait(live, asked, lambda: least(data)),
        rounds=effort.loads,
    )
    return _figure("longest stall while nobody loads", pair, limit=None)


def _longest_wait(live: Snapshot, asked: Request, load: Callable[[], object]) -> float:
    """Return the longest time between two answers while another thread loads, in nanoseconds."""
    longest = 0
    loader = threading.Thread(target=load)
    resolve(live, asked, now=_NOW)
    last = time.perf_counter_ns()
    loader.start()
    loading = True
    while loading:
        loading = loader.is_alive()
        resolve(live, asked, now=_NOW)
        moment = time.perf_counter_ns()
        longest = max(longest, moment - last)
        last = moment
    loader.join()
    return longest


def _memory(name: str, way: Load, least: Load, data: bytes) -> list[Figure]:
    kept, peak = _allocated(way, data)
    least_kept, least_peak = _allocated(least, data)
    return [
        Figure(f"memory kept, {name}", kept, "MB", least_kept, kept / least_kept, _LIMIT),
        Figure(f"memory at the peak, {name}", peak, "MB", least_peak, peak / least_peak),
    ]


def _allocated(way: Load, data: bytes) -> tuple[float, float]:
    """Return what stays allocated and the most that was, in megabytes."""
    way(data)  # what is made once for all releases does not belong to this one
    gc.collect()
    tracemalloc.start()
    try:
        kept = way(bytes(memoryview(data)))  # a copy that only the loader can keep alive
        gc.collect()
        now, peak = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return now / 1e6, peak / 1e6


def _figure(name: str, pair: Pair, *, limit: Limit | None = _LIMIT) -> Figure:
    return Figure(name, pair.subject / 1e6, "ms", pair.floor / 1e6, pair.ratio, limit)
