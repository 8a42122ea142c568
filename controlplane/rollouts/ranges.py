"""Who owns which of the 100,000 buckets: pure, integers only.

A variant's buckets are a stack, kept as pairs in the order in which they came. A pair [a, b] with a < b was acquired
ascending, a to b - 1; with a > b descending, a - 1 down to b. Whoever shrinks gives up what came last; whoever grows
takes what was given up, in that order. From this follows what people count on: only the difference moves, a variant
that grows keeps everybody, and with two variants those on the newer one at a share are always the same, whatever was
set in between. Cumulative ranges, the usual way, promise none of this with three variants.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from controlplane.runtime.bucketing import BUCKETS, size

Ranges = list[list[int]]
Stacks = list[Ranges]

EVERYBODY: Final = ((0, BUCKETS),)
STEPS_IN_A_PERCENT: Final = BUCKETS // 100

# Buckets as they were acquired, one step at a time: the first and the last of them, in either direction.
_Run = tuple[int, int]


@dataclass(frozen=True)
class Moved:
    """How many buckets one variant gains and loses."""

    gained: int
    lost: int

    @property
    def counts(self) -> tuple[int, int]:
        """Both, the gain first."""
        return self.gained, self.lost


@dataclass(frozen=True)
class Candidate:
    """A version to be rolled out, and how many buckets it begins with."""

    version: int
    share: int


def reallocate(current: Sequence[Sequence[Sequence[int]]], shares: Sequence[int]) -> Stacks:
    """Return the stacks after a move to these shares, in buckets. Raises `ValueError` when the shares do not fit."""
    stacks = [_runs(ranges) for ranges in current]
    held = [_length(stack) for stack in stacks]
    if len(shares) != len(held) or min(shares, default=0) < 0 or sum(shares) != sum(held):
        raise ValueError(f"the shares {list(shares)} do not divide what {held} hold together")
    given: list[_Run] = []
    for stack, has, wants in zip(stacks, held, shares, strict=True):
        given += _pop(stack, has - wants)
    # Turned round as a whole, so that taking from the end of it takes what was given up first.
    given = [(last, first) for first, last in reversed(given)]
    for stack, has, wants in zip(stacks, held, shares, strict=True):
        stack.extend(_pop(given, wants - has))
    return [_pairs(stack) for stack in stacks]


def moved(before: Sequence[Sequence[Sequence[int]]], after: Sequence[Sequence[Sequence[int]]]) -> list[Moved]:
    """Return for each variant what it gains and loses; `before` and `after` name the same variants in the same order."""
    kept = [_shared(old, new) for old, new in zip(before, after, strict=True)]
    return [
        Moved(gained=size(new) - both, lost=size(old) - both)
        for old, new, both in zip(before, after, kept, strict=True)
    ]


def rest_of(ranges: Iterable[Sequence[int]]) -> Ranges:
    """Return what a single owner does not hold, as the stack of "nobody": the lowest bucket is given back first."""
    rest: list[_Run] = []
    edge = 0
    for start, end in sorted((min(pair), max(pair)) for pair in ranges):
        if edge < start:
            rest.append((start - 1, edge))
        edge = max(edge, end)
    if edge < BUCKETS:
        rest.append((BUCKETS - 1, edge))
    return _pairs(rest[::-1])


def parse_share(text: str) -> int:
    """Read a percentage as it is typed and return it in buckets: "12.345" is 12345. Raises `ValueError` in plain words.

    Read digit by digit, because a float would lose the last step of some shares.
    """
    typed = text.strip().removesuffix("%").rstrip()
    if not typed:
        raise ValueError("Enter a share from 0 to 100.")
    if re.fullmatch("[0-9]+,[0-9]+", typed):
        raise ValueError(f"Write a point, not a comma: {typed.replace(',', '.')}.")
    if re.fullmatch("-[0-9]+([.][0-9]+)?", typed):
        raise ValueError("Enter 0 or more.")
    number = re.fullmatch("([0-9]+)(?:[.]([0-9]+))?", typed)
    if number is None:
        raise ValueError("Enter a share from 0 to 100 in plain digits, such as 12.5.")
    whole, places = number[1].lstrip("0"), number[2] or ""
    if len(places) > 3:
        raise ValueError("Use at most three decimals: shares move in steps of 0.001 %.")
    # Compared by length first: a thousand digits need not become a number to be too large.
    share = BUCKETS + 1 if len(whole) > 3 else int(f"{whole or 0}{places:0<3}")
    if share > BUCKETS:
        raise ValueError("Enter 100 or less.")
    return share


def format_share(buckets: int) -> str:
    """Return buckets as a percentage for a field, exactly: 12345 is "12.345", 10000 is "10"."""
    whole, places = divmod(buckets, STEPS_IN_A_PERCENT)
    return f"{whole}.{places:03}".rstrip("0").rstrip(".") if places else str(whole)


def share_words(buckets: int) -> str:
    """Return buckets as a percentage in a sentence: "12.345 %"."""
    return f"{format_share(buckets)} %"


def _runs(ranges: Iterable[Sequence[int]]) -> list[_Run]:
    return [(a, b - 1) if a < b else (a - 1, b) for a, b in ranges if a != b]


def _pairs(runs: Iterable[_Run]) -> Ranges:
    """Write runs as pairs, neighbours merged: the same buckets in the same order always have the same bytes."""
    merged: list[_Run] = []
    for run in runs:
        joined = _joined(merged[-1], run) if merged else None
        if joined is None:
            merged.append(run)
        else:
            merged[-1] = joined
    return [[first, last + 1] if first <= last else [first + 1, last] for first, last in merged]


def _joined(left: _Run, right: _Run) -> _Run | None:
    step = right[0] - left[1]
    # A single bucket has no direction of its own and goes with either.
    fits = abs(step) == 1 and all((last - first) * step >= 0 for first, last in (left, right))
    return (left[0], right[1]) if fits else None


def _length(runs: Iterable[_Run]) -> int:
    return sum(abs(last - first) + 1 for first, last in runs)


def _pop(stack: list[_Run], count: int) -> list[_Run]:
    """Take `count` buckets off the end (none when it is not positive), the last one first."""
    taken: list[_Run] = []
    while count > 0:
        first, last = stack.pop()
        length = abs(last - first) + 1
        if length > count:
            step = 1 if first <= last else -1
            cut = last - step * count
            stack.append((first, cut))
            first = cut + step
        taken.append((last, first))
        count -= length
    return taken


def _shared(left: Iterable[Sequence[int]], right: Iterable[Sequence[int]]) -> int:
    others = [(min(pair), max(pair)) for pair in right]
    return sum(max(0, min(max(pair), end) - max(min(pair), start)) for pair in left for start, end in others)
