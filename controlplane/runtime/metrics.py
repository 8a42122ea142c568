"""What calls cost and how they went, counted without a lock on the way.

Each thread counts in a shard of its own, which only it writes; whoever reads adds the shards up. A lock there would make
threads wait for each other on every call of the application.
"""

import os
import threading
import weakref
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import inf
from operator import add
from typing import Any, Final

from controlplane.runtime.exposition import Distribution, Family, Labels, prometheus_text
from controlplane.runtime.units import Units

SHORT_BOUNDS: Final = (
    *(1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4),
    *(1e-3, 5e-3, 0.025, 0.1, 0.5, 2.5),
)
"""Seconds; for what takes microseconds from memory and tenths of a second over a network."""
LONG_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""Seconds; for calls of models."""
SERIES_LIMIT: Final = 1_000
"""Different labels of one kind of figure at most. What comes after is counted under `OTHER`."""
OTHER: Final = "other"

_LONGEST_LABEL: Final = 128
_SUBJECT: Final = ("interaction", "tier", "model", "variant")
# What went well or badly is told apart by the row of configuration too: rows number their versions each for itself.
_ROW: Final = (*_SUBJECT, "configuration")
_ANSWER: Final = (*_ROW, "path")
# Where an answer's cell has what. Every cell of a histogram begins with the sum of seconds and ends with the buckets.
_AMOUNTS: Final = {"input_tokens": 1, "output_tokens": 2, "cost": 3, "calls_without_cost": 4}
# With what stands before the buckets, so that the place found is the place in the cell: indices from a list's end, or
# ones that are added up first, cost a call half as much again.
_SHORT: Final = (-inf, *SHORT_BOUNDS)
_LONG: Final = (*(-inf,) * (1 + len(_AMOUNTS)), *LONG_BOUNDS)
_DESCRIPTIONS: Final = {
    "input_tokens": "Tokens sent, as providers counted them.",
    "output_tokens": "Tokens received, as providers counted them.",
    "cost": "What calls cost, in the currency of the registry's prices.",
    "calls_without_cost": "Calls whose cost is not known.",
}

Key = tuple[object, ...]
Cells = dict[Key, list[float]]


class Metrics:
    """The figures of one process, for one environment.

        metrics = Metrics("production")
        metrics.lookup("COACHING_RESPONSE", "premium", "CLAUDE_3_5_SONNET", 7, seconds)
        print(metrics.prometheus())

    `model` is the registry's code and `variant` the configuration's version, `configuration` the row that it is a version
    of (`premium/*`, say); all are None where there is none, as on the legacy path. A forked child begins at nought: what
    its parent counted is its parent's to tell.

    `units` counts how many different users, tenants or conversations that were; only heartbeats tell it.
    """

    units: Units

    def __init__(self, environment: str | None = None) -> None:
        self.environment = environment
        self._begin()
        _all_metrics.add(self)

    def lookup(
        self, interaction: str, tier: str | None, model: str | None, variant: int | None, seconds: float
    ) -> None:
        """A configuration was resolved, in so many seconds."""
        key = (interaction, tier, model, variant)
        cells = self._mine.lookups
        try:
            cell = cells[key]
        except KeyError:
            cell = self._cell(cells, "lookup", key, len(_SHORT) + 1)
        cell[bisect_left(_SHORT, seconds)] += 1
        cell[0] += seconds

    def render(
        self, interaction: str, tier: str | None, model: str | None, variant: int | None, seconds: float
    ) -> None:
        """A prompt was rendered, in so many seconds."""
        # The body of `lookup` once more: a call to share it would cost a sixth of what this takes.
        key = (interaction, tier, model, variant)
        cells = self._mine.renders
        try:
            cell = cells[key]
        except KeyError:
            cell = self._cell(cells, "render", key, len(_SHORT) + 1)
        cell[bisect_left(_SHORT, seconds)] += 1
        cell[0] += seconds

    def answered(
        self,
        interaction: str,
        tier: str | None,
        model: str | None,
        variant: int | None,
        *,
        path: str,
        seconds: float,
        input_tokens: int | None,
        output_tokens: int | None,
        cost: float | None,
        configuration: str | None = None,
    ) -> None:
        """A model has answered; None says that a count or a price is not known."""
        key = (interaction, tier, model, variant, configuration, path)
        cells = self._mine.answers
        try:
            cell = cells[key]
        except KeyError:
            cell = self._cell(cells, "answer", key, len(_LONG) + 1)
        cell[bisect_left(_LONG, seconds)] += 1
        cell[0] += seconds
        if input_tokens is not None:
            cell[1] += input_tokens
        if output_tokens is not None:
            cell[2] += output_tokens
        if cost is None:
            cell[4] += 1
        else:
            cell[3] += cost

    def error(
        self,
        interaction: str,
        kind: str,
        *,
        tier: str | None = None,
        model: str | None = None,
        variant: int | None = None,
        configuration: str | None = None,
    ) -> None:
        """A call ended without an answer, or with one that cannot be read; `kind` is the error's."""
        self._count(self._mine.errors, "error", (interaction, tier, model, variant, configuration, kind))

    def fallback(
        self,
        interaction: str,
        step: str,
        reason: str,
        *,
        tier: str | None = None,
        model: str | None = None,
        variant: int | None = None,
        configuration: str | None = None,
    ) -> None:
        """A call stepped down; `reason` is one of few words, never the text of an error."""
        key = (interaction, tier, model, variant, configuration, step, reason)
        self._count(self._mine.fallbacks, "fallback", key)

    def cache(self, name: str, *, hit: bool) -> None:
        """A cache was asked."""
        self._count(self._mine.caches, "cache", (name, "hit" if hit else "miss"))

    def path(self, interaction: str, path: str) -> None:
        """A call took this path."""
        self._count(self._mine.paths, "path", (interaction, path))

    def deprecated_call(self, interaction: str) -> None:
        """A call did not say which interaction it means."""
        self._count(self._mine.deprecated, "deprecated_call", (interaction,))

    def prometheus(self) -> str:
        """All figures in Prometheus' text format."""
        return prometheus_text(self.families())

    def families(self) -> Iterator[Family]:
        """All figures, each name once."""
        read = self._shards.read()
        yield self._times("lookup", "Time to resolve a configuration.", read.lookups, SHORT_BOUNDS, _SUBJECT)
        yield self._times("render", "Time to render a prompt.", read.renders, SHORT_BOUNDS, _SUBJECT)
        yield self._times("call", "Time until a model had answered.", read.answers, LONG_BOUNDS, _ANSWER)
        for name, place in _AMOUNTS.items():
            yield self._sums(name, _DESCRIPTIONS[name], read.answers, _ANSWER, at=place)
        yield self._sums("errors", "Failed calls, and unreadable answers.", read.errors, (*_ROW, "kind"))
        yield self._sums("fallbacks", "Steps down.", read.fallbacks, (*_ROW, "step", "reason"))
        yield self._sums("cache_requests", "Questions to caches.", read.caches, ("cache", "result"))
        yield self._sums("paths", "Calls by the path they took.", read.paths, ("interaction", "path"))
        yield self._sums("deprecated_calls", "Calls of the old shape.", read.deprecated, _SUBJECT[:1])

    def counts(self) -> dict[str, dict[str, int]]:
        """How often each path, step down, error and call of the old shape came, whatever the interaction."""
        return _counts(self._shards.read())

    def totals(self) -> dict[str, Any]:
        """The figures as plain values for a heartbeat: sums over everything, and `variants` one by one, busiest first."""
        read = self._shards.read()
        return {
            "lookup": _whole(SHORT_BOUNDS, read.lookups.values()),
            "render": _whole(SHORT_BOUNDS, read.renders.values()),
            "call": _whole(LONG_BOUNDS, read.answers.values()),
            **_counts(read),
            "caches": _sums(read.caches, at=slice(0, None)),
            "variants": _variants(read),
        }

    @property
    def threads(self) -> int:
        """How many threads are counting; those that have ended are not among them."""
        return self._shards.live()

    def _times(
        self, name: str, description: str, cells: Cells, bounds: Sequence[float], labels: Sequence[str]
    ) -> Family:
        samples = [(self._labels(labels, key), _distribution(bounds, cell)) for key, cell in _ordered(cells)]
        return Family(f"controlplane_{name}_seconds", "histogram", description, samples)

    def _sums(
        self, name: str, description: str, cells: Cells, labels: Sequence[str], *, at: int = 0
    ) -> Family:
        samples = [(self._labels(labels, key), cell[at]) for key, cell in _ordered(cells)]
        return Family(f"controlplane_{name}_total", "counter", description, samples)

    def _labels(self, names: Sequence[str], key: Key) -> Labels:
        where = (("environment", self.environment),) if self.environment else ()
        return (*where, *((name, _text(value)) for name, value in zip(names, key, strict=True)))

    def _count(self, cells: Cells, kind: str, key: Key) -> None:
        try:
            cells[key][0] += 1
        except KeyError:
            self._cell(cells, kind, key, 1)[0] += 1

    def _cell(self, cells: Cells, kind: str, key: Key, size: int) -> list[float]:
        """A new series in this thread's shard; the common one when there are too many."""
        if not self._admit(kind, key):
            key = (OTHER,) * len(key)
        return cells.setdefault(key, [0] * size)

    def _admit(self, kind: str, key: Key) -> bool:
        admitted = self._admitted.setdefault(kind, set())
        if key in admitted:
            return True
        # Two threads may pass this at once and both be let in: a few more than the limit do no harm, a lock would.
        if len(admitted) >= SERIES_LIMIT or any(len(_text(value)) > _LONGEST_LABEL for value in key):
            return False
        admitted.add(key)
        return True

    def _begin(self) -> None:
        self.units = Units(self.environment)
        self._admitted: dict[str, set[Key]] = {}
        self._shards = _Shards()
        self._mine = _Mine(self._shards)


class _Shard:
    """What one thread counted. Only that thread adds keys or changes cells."""

    __slots__ = ("answers", "caches", "deprecated", "errors", "fallbacks", "lookups", "paths", "renders")

    def __init__(self) -> None:
        # A cell is the sum of a histogram and its buckets; `answers` have the amounts between the two. The others hold
        # one number.
        self.lookups: Cells = {}
        self.renders: Cells = {}
        self.answers: Cells = {}
        self.errors: Cells = {}
        self.fallbacks: Cells = {}
        self.caches: Cells = {}
        self.paths: Cells = {}
        self.deprecated: Cells = {}

    def add(self, other: "_Shard") -> None:
        for name in self.__slots__:
            mine: Cells = getattr(self, name)
            # Copies, which are made in one step: the thread may be adding a key or changing a cell at this moment.
            for key, cell in getattr(other, name).copy().items():
                known = mine.get(key)
                mine[key] = cell.copy() if known is None else list(map(add, known, cell))


class _Owner:
    """Lives in a thread's own storage, and so exactly as long as the thread."""

    __slots__ = ("__weakref__",)


class _Shards:
    """All shards. The lock is taken when a thread counts for the first time and when somebody reads."""

    def __init__(self) -> None:
        # One that its holder may take again: a finalizer that runs while we read may be somebody's first count.
        self._lock = threading.RLock()
        self._ended = _Shard()
        self._living: list[tuple[weakref.ref[_Owner], _Shard]] = []

    def open(self, owner: _Owner) -> _Shard:
        with self._lock:
            self._fold()
            shard = _Shard()
            self._living.append((weakref.ref(owner), shard))
            return shard

    def read(self) -> _Shard:
        with self._lock:
            self._fold()
            total = _Shard()
            for shard in (self._ended, *(shard for _, shard in self._living)):
                total.add(shard)
            return total

    def live(self) -> int:
        with self._lock:
            self._fold()
            return len(self._living)

    def _fold(self) -> None:
        """Add what ended threads counted to one shard: neither lost, nor kept for every thread there ever was."""
        over = [entry for entry in self._living if entry[0]() is None]
        for entry in over:
            self._living.remove(entry)
            self._ended.add(entry[1])


class _Mine(threading.local):
    """The calling thread's shard, opened when it is first asked for."""

    def __init__(self, shards: _Shards) -> None:
        self.owner = _Owner()
        shard = shards.open(self.owner)
        self.lookups = shard.lookups
        self.renders = shard.renders
        self.answers = shard.answers
        self.errors = shard.errors
        self.fallbacks = shard.fallbacks
        self.caches = shard.caches
        self.paths = shard.paths
        self.deprecated = shard.deprecated


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _ordered(cells: Cells) -> list[tuple[Key, list[float]]]:
    return sorted(cells.items(), key=lambda item: tuple(map(_text, item[0])))


def _distribution(bounds: Sequence[float], cell: Sequence[float]) -> Distribution:
    return Distribution(bounds, [int(count) for count in cell[-len(bounds) - 1 :]], cell[0])


def _whole(bounds: Sequence[float], cells: Iterable[list[float]]) -> dict[str, object]:
    found = [_distribution(bounds, cell) for cell in cells]
    counts = [sum(column) for column in zip(*(one.counts for one in found), strict=True)]
    return {
        "bounds": list(bounds),
        "counts": counts or [0] * (len(bounds) + 1),
        "seconds": sum(one.total for one in found),
    }


def _sums(cells: Cells, *, at: int | slice) -> dict[str, int]:
    """How often, by a part of the key: its words with a slash between them."""
    sums: dict[str, int] = {}
    for key, cell in _ordered(cells):
        part = key[at]
        name = "/".join(map(_text, part)) if isinstance(part, tuple) else _text(part)
        sums[name] = sums.get(name, 0) + int(cell[0])
    return sums


def _counts(read: _Shard) -> dict[str, dict[str, int]]:
    return {
        "paths": _sums(read.paths, at=-1),
        "fallbacks": _sums(read.fallbacks, at=slice(-2, None)),
        "errors": _sums(read.errors, at=-1),
        "deprecated_calls": _sums(read.deprecated, at=-1),
    }


def _variants(read: _Shard) -> list[dict[str, Any]]:
    """Calls, errors and steps down of each interaction, tier, model and variant of a row; the latter two by their kinds."""
    found: dict[Key, dict[str, Any]] = {}
    subject = len(_ROW)
    for key in chain(read.answers, read.errors, read.fallbacks):
        found.setdefault(key[:subject], _no_calls(key[:subject]))
    for key, cell in read.answers.items():
        one = found[key[:subject]]
        one["counts"] = list(map(add, one["counts"], _distribution(LONG_BOUNDS, cell).counts))
        one["calls"] = sum(one["counts"])
        for name, place in {**_AMOUNTS, "seconds": 0}.items():
            one[name] += cell[place]
    for name, kinds, cells in (("errors", "kinds", read.errors), ("fallbacks", "steps", read.fallbacks)):
        for key, cell in cells.items():
            one, kind = found[key[:subject]], _text(key[subject])
            one[name] += int(cell[0])
            one[kinds][kind] = one[kinds].get(kind, 0) + int(cell[0])
    # By all that was asked: the one whose every call fails must not be the first that there is no room for.
    return sorted(found.values(), key=lambda one: (-one["calls"] - one["errors"], str(one)))


def _no_calls(subject: Key) -> dict[str, Any]:
    noughts = dict.fromkeys(("calls", "errors", "fallbacks", *_AMOUNTS, "seconds"), 0)
    return {
        **dict(zip(_ROW, subject, strict=True)),
        **noughts,
        "kinds": {},
        "steps": {},
        "counts": [0] * (len(LONG_BOUNDS) + 1),
    }


_all_metrics: "weakref.WeakSet[Metrics]" = weakref.WeakSet()


def _begin_after_fork() -> None:
    for metrics in list(_all_metrics):
        metrics._begin()  # noqa: SLF001 - the hook belongs to the class; it stands here to be registered once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_after_fork)
