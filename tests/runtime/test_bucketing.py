import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime.bucketing import BUCKETS, bucket, owns, size
from tests.runtime import strategies

VECTORS = json.loads((Path(__file__).parent / "golden" / "bucketing.json").read_text())["vectors"]
SALTS = [f"{number:016x}" for number in range(50)]


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def critical(freedom: int) -> float:
    """The value that chance exceeds once in a thousand times fifty (Wilson and Hilferty's approximation)."""
    return freedom * (1 - 2 / (9 * freedom) + 4.107 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["unit"])[:24])
def test_the_frozen_vectors_do_not_move(vector: dict[str, Any]) -> None:
    assert bucket(vector["salt"], vector["unit_kind"], vector["unit"]) == vector["bucket"]


def test_there_are_vectors_at_every_edge_that_a_wrong_comparison_would_show() -> None:
    assert {0, 1, 9_999, 10_000, 10_001, 49_999, 50_000, BUCKETS - 1} <= {
        vector["bucket"] for vector in VECTORS
    }


def test_another_process_with_another_hash_seed_gives_the_same_buckets() -> None:
    code = (
        "from controlplane.runtime import bucket; print([bucket('s', 'user', f'u-{n}') for n in range(100)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert outputs == {f"{[bucket('s', 'user', f'u-{n}') for n in range(100)]}\n".encode()}


@given(strategies.salts(), st.sampled_from(["user", "tenant"]), st.text(min_size=1))
def test_every_unit_has_a_bucket_in_range(salt: str, kind: str, unit: str) -> None:
    assert 0 <= bucket(salt, kind, unit) < BUCKETS


def test_a_broken_id_has_a_bucket_too() -> None:
    assert 0 <= bucket("s", "user", "half a pair \ud83d") < BUCKETS


@pytest.mark.parametrize("unit", [7, 7.0, True, b"7", None, ["7"]])
def test_a_unit_that_is_not_a_string_is_refused(unit: str) -> None:
    with pytest.raises(TypeError, match="string"):
        bucket("s", "user", unit)


def test_an_empty_unit_has_no_bucket() -> None:
    with pytest.raises(ValueError, match="empty"):
        bucket("s", "user", "")


@pytest.mark.parametrize(
    ("one", "other"), [("A", "a"), ("é", "e\u0301"), ("7", "07"), ("u", "u "), ("\u212b", "\u00c5")]
)
def test_ids_that_look_alike_are_different_units(one: str, other: str) -> None:
    assert bucket("1f4b8a5ce0d29376", "user", one) != bucket("1f4b8a5ce0d29376", "user", other)


def test_the_kind_of_unit_is_part_of_the_hash() -> None:
    assert len({bucket("s", kind, "42") for kind in ("user", "tenant", "conversation")}) == 3


def test_buckets_are_uniform_for_many_salts() -> None:
    worst = 0.0
    for salt in SALTS:
        counts = Counter(bucket(salt, "user", f"user-{number}") // 1000 for number in range(4000))
        worst = max(worst, chi_square([counts[band] for band in range(100)]))
    assert worst < critical(99)


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_variants_are_uniform_among_those_whom_a_gate_lets_in(percent: int) -> None:
    included = [
        unit
        for unit in (f"user-{number}" for number in range(200_000 // percent))
        if bucket("gate0000gate0000", "user", unit) < percent * 1000
    ]
    counts = Counter(bucket("1f4b8a5ce0d29376", "user", unit) // 10_000 for unit in included)
    assert len(counts) == 10
    assert chi_square([counts[band] for band in range(10)]) < critical(9)


def test_two_rollouts_do_not_pick_the_same_people() -> None:
    ids = [f"user-{number}" for number in range(5000)]
    means = []
    for one, other in zip(SALTS[:25], SALTS[25:], strict=True):
        both = sum(
            bucket(one, "user", unit) < 50_000 and bucket(other, "user", unit) < 50_000 for unit in ids
        )
        means.append(abs(both / len(ids) - 0.25))
    # Four standard deviations of a quarter among 5,000.
    assert max(means) < 4 * math.sqrt(0.25 * 0.75 / len(ids))


@pytest.mark.parametrize(
    ("ranges", "number", "inside"),
    [
        ([[0, 10]], 0, True),
        ([[0, 10]], 9, True),
        ([[0, 10]], 10, False),
        ([[10, 0]], 9, True),
        ([[10, 0]], 10, False),
        ([[100_000, 99_999]], 99_999, True),
        ([[100_000, 99_999]], 99_998, False),
        ([[5, 5]], 5, False),
        ([], 0, False),
        ([[0, 10], [30, 20]], 20, True),
        ([[0, 10], [30, 20]], 15, False),
    ],
)
def test_the_smaller_number_is_the_first_bucket_and_the_larger_is_outside(
    ranges: list[list[int]], number: int, inside: bool
) -> None:
    assert owns(ranges, number) is inside


@given(strategies.shares(3), st.integers(0, BUCKETS - 1))
def test_each_bucket_has_one_owner(shares: list[list[list[int]]], number: int) -> None:
    assert sum(owns(ranges, number) for ranges in shares) == 1
    assert sum(map(size, shares)) == BUCKETS
