"""`resolve` with a rollout active in every configuration, on releases of growing size.

Floor: the hand-written least for the same answer, one look-up in a dict and one fast hash of the unit. Both sides are called
straight from a loop, as an application calls them. "as an application calls it" makes the request and reads the clock as
well; the other lines are handed both.

Limits: the median at most 4 × the floor, one call in a hundred at most 20 µs, and the same on 10,000 configurations as on 10.
"The same" is taken as 1.5 ×: a larger release lies further from the processor, and the floor itself takes 2 to 3 × there.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from xxhash import xxh3_64_intdigest

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import (
    ENVIRONMENT,
    HALF,
    INTERACTION,
    SPLIT,
    configurations,
    key_of,
    load,
    registry,
    requests,
)
from bench.timing import Pair, each_call, in_turns, per_call, percentile
from controlplane.first_data import read
from controlplane.runtime import BUCKETS, Request, Snapshot, bucketing, canonical, resolve, snapshot

Asked = tuple[str, str]
Floor = Callable[[Asked], object]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_P50 = Limit(4)
_P99 = Limit(20, of="here")
_FLAT = Limit(1.5)


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    found: list[Figure] = []
    for size in effort.sizes:
        live = load(size)
        asked = requests(live, effort.calls)
        pair = _compare(live, asked, effort)
        found += [
            _median(f"resolve p50, {size:,} configurations (floor: dict + xxh3)", pair),
            _slowest(live, asked, size),
        ]
    return found + _flatness(effort) + _other_shapes(effort)


def hand_written(live: Snapshot, asked: Sequence[Request]) -> tuple[Floor, list[Asked]]:
    """Return the floor and what it is asked: a dict of what is needed and nothing else."""
    table: dict[str, tuple[bytes, object, object]] = {}
    for key in sorted(live.keys()):
        row = live.configuration(key) if key.startswith("configuration/") else None
        if row is not None:
            older, newer = row.variants
            table[key] = (row.hash_prefix, older, newer)

    def choose(item: Asked) -> object:
        key, unit = item
        prefix, older, newer = table[key]
        return newer if xxh3_64_intdigest(prefix + unit.encode()) % BUCKETS >= SPLIT else older

    return choose, [(key_of(request), request.unit or "") for request in asked]


def _compare(live: Snapshot, asked: Sequence[Request], effort: Effort) -> Pair:
    floor, items = hand_written(live, asked)
    return in_turns(lambda: _each(live, asked), lambda: per_call(floor, items), rounds=effort.rounds)


def _each(live: Snapshot, asked: Sequence[Request]) -> float:
    """Return the nanoseconds of one call."""
    began = time.process_time_ns()
    for request in asked:
        resolve(live, request, now=_NOW)
    return max(1, time.process_time_ns() - began) / len(asked)


def _median(name: str, pair: Pair, *, limit: Limit | None = _P50) -> Figure:
    return Figure(name, pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, limit)


def _slowest(live: Snapshot, asked: Sequence[Request], size: int) -> Figure:
    floor, items = hand_written(live, asked)
    ours = percentile(each_call(partial(resolve, live, now=_NOW), asked), 99)
    least = percentile(each_call(floor, items), 99)
    name = f"resolve p99, {size:,} configurations (with the clock's own time)"
    return Figure(name, ours / 1e3, "µs", least / 1e3, ours / least, _P99)


def _flatness(effort: Effort) -> list[Figure]:
    """Compare the largest release with the smallest, in turns: figures taken one after the other drift with the machine."""
    small, large = effort.sizes[0], effort.sizes[-1]
    sides = [(live, requests(live, effort.calls)) for live in (load(large), load(small))]
    ours = [partial(_each, live, asked) for live, asked in sides]
    least = [partial(per_call, *hand_written(live, asked)) for live, asked in sides]
    return [
        _median(
            f"resolve p50, {large:,} configurations (floor: {small})",
            in_turns(ours[0], ours[1], rounds=effort.rounds),
            limit=_FLAT,
        ),
        _median(
            f"the hand-written floor, {large:,} configurations (floor: {small})",
            in_turns(least[0], least[1], rounds=effort.rounds),
            limit=None,
        ),
    ]


def _other_shapes(effort: Effort) -> list[Figure]:
    size = effort.sizes[1]
    live = load(size)
    asked = requests(live, effort.calls)
    half_open = load(size, gates=HALF)
    return [
        _as_called(live, asked, effort),
        _median("… found in the default row, after three others", _in_default_row(live, asked, effort)),
        _median("… with a half-open gate: two hashes", _compare(half_open, asked, effort), limit=None),
        _median("… bucketed by SHA-256 (v1)", _compare(_load_first(size), asked, effort), limit=None),
    ]


def _as_called(live: Snapshot, asked: Sequence[Request], effort: Effort) -> Figure:
    floor, items = hand_written(live, asked)
    known = [(one.interaction, one.tier, one.tenant_id, one.unit) for one in asked]

    def calls() -> float:
        began = time.process_time_ns()
        for interaction, tier, tenant, unit in known:
            resolve(live, Request(interaction, tier, tenant, unit), now=datetime.now(UTC))
        return max(1, time.process_time_ns() - began) / len(known)

    pair = in_turns(calls, lambda: per_call(floor, items), rounds=effort.rounds)
    return _median("… as an application calls it", pair)


def _in_default_row(live: Snapshot, asked: Sequence[Request], effort: Effort) -> Pair:
    strangers = [Request(INTERACTION, one.tier, "nobody-special", one.unit) for one in asked]
    plain = [Request(INTERACTION, None, None, one.unit) for one in asked]
    floor, items = hand_written(live, plain)
    return in_turns(lambda: _each(live, strangers), lambda: per_call(floor, items), rounds=effort.rounds)


def _load_first(count: int) -> Snapshot:
    """Return a release as `load` makes it, bucketed by the first algorithm."""
    bodies = {canonical.digest(body.encode()): body for body in read.read_prompts().values()}
    documents = registry() | configurations(count)
    for document in documents.values():
        if "algorithm" in document:
            document["algorithm"] = bucketing.FIRST
    return Snapshot.load(snapshot.build(documents, bodies), release=1, environment=ENVIRONMENT)
