"""Measuring two ways of doing the same work against each other, in turns and in processor time.

A busy machine slows both alike, so a ratio taken from neighbouring moments stays true where a figure in microseconds does
not; and processor time passes over the moments in which somebody else had the processor.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

ItemT = TypeVar("ItemT")
Work = Callable[[ItemT], object]
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Pair:
    """What the two cost, in nanoseconds a call, and the median of the rounds' ratios."""

    subject: float
    floor: float
    ratio: float


def in_turns(
    subject: Callable[[], float], floor: Callable[[], float], *, rounds: int, warm: bool = True
) -> Pair:
    """Take a figure of each in every round, changing who goes first: the second often finds a warmer processor."""
    if warm:
        subject()
        floor()
    subjects: list[float] = []
    floors: list[float] = []
    gc.collect()  # not in every round: what others left is gone, and the collector's own work belongs to the figures
    for number in range(rounds):
        if number % 2:
            floors.append(floor())
            subjects.append(subject())
        else:
            subjects.append(subject())
            floors.append(floor())
    ratios = [ours / least for ours, least in zip(subjects, floors, strict=True)]
    return Pair(statistics.median(subjects), statistics.median(floors), statistics.median(ratios))


def per_call(work: Work[ItemT], items: Sequence[ItemT], *, clock: Clock = time.process_time_ns) -> float:
    """Return the nanoseconds of one call, over a whole batch: reading the clock costs more than a short call."""
    began = clock()
    for item in items:
        work(item)
    return max(1, clock() - began) / len(items)


def once(work: Callable[[], object], *, clock: Clock = time.process_time_ns) -> float:
    """Return the nanoseconds of work that is long enough to be timed by itself."""
    began = clock()
    work()
    return max(1, clock() - began)


def compare(
    subject: Work[ItemT],
    floor: Work[ItemT],
    items: Sequence[ItemT],
    *,
    rounds: int,
    clock: Clock = time.process_time_ns,
) -> Pair:
    """Compare two functions over the same items."""
    return in_turns(
        lambda: per_call(subject, items, clock=clock),
        lambda: per_call(floor, items, clock=clock),
        rounds=rounds,
    )


def each_call(work: Work[ItemT], items: Iterable[ItemT], *, clock: Clock = time.thread_time_ns) -> list[int]:
    """Return the nanoseconds of every single call, the clock's own included (some tenths of a microsecond)."""
    taken = []
    for item in items:
        began = clock()
        work(item)
        taken.append(clock() - began)
    return taken


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
