"""A million units and a hundred moves: nobody leaves a variant that does not shrink, and the runtime says the same."""

import random
from datetime import UTC, datetime

import pytest

from controlplane.rollouts.ranges import Stacks, reallocate
from controlplane.runtime.bucketing import BUCKETS, hash_of, prefix
from controlplane.runtime.resolver import Request, resolve
from tests.runtime import releases

UNITS = 1_000_000
STEPS = 100
KEY = "configuration/ROLLOUT/default/*"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def placed() -> list[int]:
    """The bucket of every unit."""
    hashed, before = hash_of("v2"), prefix("v2", releases.documents()[KEY]["salt"], "user")
    return [hashed(before + b"user-%d" % number) * BUCKETS >> 64 for number in range(UNITS)]


@pytest.fixture(scope="module")
def held(placed: list[int]) -> list[int]:
    """How many units each bucket holds."""
    counts = [0] * BUCKETS
    for number in placed:
        counts[number] += 1
    return counts


def owned(stacks: Stacks, variant: int) -> int:
    """The buckets of a variant, one byte of a whole number for each."""
    mask = bytearray(BUCKETS)
    for pair in stacks[variant]:
        start, end = min(pair), max(pair)
        mask[start:end] = b"\x01" * (end - start)
    return int.from_bytes(mask, "little")


def units_in(mask: int, held: list[int]) -> int:
    return sum(held[place] for place, inside in enumerate(mask.to_bytes(BUCKETS, "little")) if inside)


def shares_of(variants: int, drawn: random.Random, step: int) -> list[int]:
    """A rise step by step for two; anything at all for more."""
    cuts = sorted(drawn.randrange(BUCKETS + 1) for _ in range(variants - 1))
    if variants == 2:
        cuts = [BUCKETS - BUCKETS * step // STEPS]
    edges = [0, *cuts, BUCKETS]
    return [edges[place + 1] - edges[place] for place in range(variants)]


@pytest.mark.parametrize("variants", [2, 4])
def test_of_a_million_units_none_flips_in_a_hundred_moves(
    variants: int, placed: list[int], held: list[int]
) -> None:
    drawn = random.Random(variants)
    stacks: Stacks = [[[0, BUCKETS]], *([] for _ in range(variants - 1))]
    flips = moved = 0
    for step in range(1, STEPS + 1):
        before, shares = stacks, shares_of(variants, drawn, step)
        stacks = reallocate(before, shares)
        for place, share in enumerate(shares):
            old, new = owned(before, place), owned(stacks, place)
            left = old & ~new
            if share >= old.bit_count():
                flips += units_in(left, held) if left else 0
            else:
                moved += left.bit_count()
                assert left.bit_count() == old.bit_count() - share
        assert_the_runtime_agrees(stacks, placed, drawn)
    assert flips == 0
    assert moved >= BUCKETS
    assert sum(held) == UNITS


def assert_the_runtime_agrees(stacks: Stacks, placed: list[int], drawn: random.Random) -> None:
    documents = releases.documents()
    entry = documents[KEY]
    variant = entry["variants"][0]
    entry["algorithm"] = "v2"
    entry["variants"] = [
        {**variant, "version": place, "ranges": each} for place, each in enumerate(stacks, 1)
    ]
    live = releases.load(documents)
    for number in drawn.sample(range(UNITS), 30):
        found = resolve(live, Request("ROLLOUT", unit=f"user-{number}"), now=NOW)
        assert found.bucket == placed[number]
        (owner,) = [
            place
            for place, stack in enumerate(stacks, 1)
            if any(min(pair) <= placed[number] < max(pair) for pair in stack)
        ]
        assert found.variant.version == owner
