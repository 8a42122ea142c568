import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime import sketch
from controlplane.runtime.sketch import (
    EMPTY,
    ERROR,
    LARGEST_RANK,
    REGISTERS,
    add,
    estimate,
    packed,
    union,
    unpacked,
)

REGISTERS_OF_ANY = st.binary(min_size=REGISTERS, max_size=REGISTERS).map(
    lambda drawn: bytes(each % (LARGEST_RANK + 1) for each in drawn)
)


def seen(count: int, *, seed: int = 0) -> bytes:
    """The sketch of so many different things, the same for the same seed."""
    registers, drawn = bytearray(REGISTERS), random.Random(seed)
    for _ in range(count):
        add(registers, drawn.getrandbits(64))
    return bytes(registers)


def test_nothing_seen_is_none() -> None:
    assert estimate(EMPTY) == 0


@pytest.mark.parametrize("count", [1, 2, 12, 100])
def test_few_are_counted_nearly_exactly(count: int) -> None:
    assert abs(estimate(seen(count)) - count) <= max(0.5, 0.05 * count)


@pytest.mark.parametrize("count", [300, 1_000, 2_500, 5_000, 20_000])
def test_the_error_is_as_promised_also_where_the_first_formula_is_biased(count: int) -> None:
    """HyperLogLog as first published errs by several per cent around 2.5 registers' worth."""
    errors = [estimate(seen(count, seed=seed)) / count - 1 for seed in range(12)]
    assert abs(sum(errors) / len(errors)) < 3 * ERROR / len(errors) ** 0.5
    assert max(map(abs, errors)) < 4 * ERROR


def test_what_was_seen_before_changes_nothing() -> None:
    registers = bytearray(seen(1_000))
    before = bytes(registers)
    drawn = random.Random(0)
    for _ in range(1_000):
        add(registers, drawn.getrandbits(64))
    assert bytes(registers) == before


@pytest.mark.parametrize("hashed", [0, 2**64 - 1, 2**54 - 1, 2**54, 1])
def test_every_hash_has_a_register_and_a_rank(hashed: int) -> None:
    registers = bytearray(REGISTERS)
    add(registers, hashed)
    assert registers[hashed >> 54] == 55 - (hashed % 2**54).bit_length()
    assert estimate(bytes(registers)) == pytest.approx(1, abs=0.01)


def test_registers_that_can_rise_no_further_are_very_many() -> None:
    assert estimate(bytes([LARGEST_RANK] * REGISTERS)) > 2**60


def test_the_sketch_of_both_is_that_of_the_union() -> None:
    both = bytearray(seen(3_000, seed=1))
    drawn = random.Random(2)
    for _ in range(3_000):
        add(both, drawn.getrandbits(64))
    assert union(seen(3_000, seed=1), seen(3_000, seed=2)) == bytes(both)


@settings(max_examples=20)
@given(REGISTERS_OF_ANY, REGISTERS_OF_ANY)
def test_a_union_takes_the_larger_of_each_two_registers(one: bytes, other: bytes) -> None:
    both = union(one, other)
    assert both == bytes(map(max, one, other)) == union(other, one)
    assert union(both, one) == both
    assert union(one, EMPTY) == one


@settings(max_examples=20)
@given(REGISTERS_OF_ANY)
def test_packing_loses_nothing(registers: bytes) -> None:
    assert unpacked(packed(registers)) == registers


def test_a_sketch_takes_half_a_kilobyte() -> None:
    assert len(packed(EMPTY)) < 30
    assert len(packed(seen(5))) < 60
    assert len(packed(seen(100_000))) < 560


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no sketch",
        packed(seen(5))[:-8],
        zlib.compress(bytes(REGISTERS - 1)),
        zlib.compress(bytes(10_000_000)),
        zlib.compress(bytes([LARGEST_RANK + 1] * REGISTERS)),
    ],
    ids=["empty", "rubbish", "cut off", "short", "made to fill memory", "rank too large"],
)
def test_what_is_no_sketch_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no sketch"):
        unpacked(data)


def test_the_standard_error_is_that_of_the_registers() -> None:
    assert pytest.approx(0.0325) == sketch.ERROR
