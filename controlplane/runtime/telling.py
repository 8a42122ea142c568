"""Which variants' figures a heartbeat tells first, where it has not room for all of them.

A guard needs both versions of a rollout, and the newer one is by its nature called little. So rows in which several versions
were called of late come first; then what was called of late at all; last, what only an older release used. Of each the
busiest first.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

LATELY: Final = 900.0
"""Seconds. A version that has one call in so long is one that a guard learns something of."""
_ROW: Final = ("interaction", "tier", "configuration")
_SERIES: Final = (*_ROW, "model", "variant")


class Lately:
    """Knows since when each series has counted nothing new."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[Any, ...], tuple[float, float]] = {}

    def order(self, variants: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same variants in the order in which they are told."""
        at = self._clock()
        seen = {_key(each, _SERIES): self._read(each, at) for each in variants}
        self._seen = seen
        called: dict[tuple[Any, ...], set[Any]] = {}
        for each in variants:
            if at - seen[_key(each, _SERIES)][1] < LATELY:
                called.setdefault(_key(each, _ROW), set()).add(each["variant"])

        def rank(each: dict[str, Any]) -> int:
            if at - seen[_key(each, _SERIES)][1] >= LATELY:
                return 2
            several = each["variant"] is not None and len(called[_key(each, _ROW)] - {None}) > 1
            return 0 if several else 1

        return sorted(variants, key=rank)

    def _read(self, each: dict[str, Any], at: float) -> tuple[float, float]:
        """How much was counted, and when that was first so."""
        count = each["calls"] + each["errors"] + each["fallbacks"]
        before = self._seen.get(_key(each, _SERIES))
        return before if before is not None and before[0] == count else (count, at)


def most_that_fit(variants: Sequence[dict[str, Any]], fits: Callable[[int], bool]) -> int:
    """How many of them, from the first on, there is room for."""
    least, most = 0, len(variants)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(middle) else (least, middle - 1)
    return least


def _key(each: dict[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(each[name] for name in names)
