"""Counting what a cache had and what it lacked."""

from typing import Protocol


class CacheMetrics(Protocol):
    """What a source tells metrics; `Metrics` has it."""

    def cache(self, name: str, *, hit: bool) -> None:
        """Count one look into a cache."""


class Tally:
    """Hits and misses of one cache, for `state`; two threads that count in the same moment may count once."""

    __slots__ = ("_metrics", "_name", "hits", "misses")

    def __init__(self, name: str, metrics: CacheMetrics | None) -> None:
        self.hits = 0
        self.misses = 0
        self._name = name
        self._metrics = metrics

    def count(self, *, hit: bool) -> None:
        """Count one look."""
        if hit:
            self.hits += 1
        else:
            self.misses += 1
        if self._metrics is not None:
            self._metrics.cache(self._name, hit=hit)
