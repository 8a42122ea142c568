import datetime as dt
import random
from collections.abc import Sequence

import pytest

from controlplane.runtime.sketch import REGISTERS, add, estimate
from controlplane.units.counted import Distinct

AT = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def counted(*counts: int) -> Distinct:
    versions = dict(enumerate(counts, 1))
    return Distinct("user", sum(counts), versions, since=AT, told_at=AT, whole=True, without_unit=0.0)


def estimated(count: int, seed: int) -> int:
    registers, drawn = bytearray(REGISTERS), random.Random(seed)
    for _ in range(count):
        add(registers, drawn.getrandbits(64))
    return round(estimate(bytes(registers)))


def chi_square(counts: Sequence[float], shares: Sequence[float]) -> float:
    total = sum(counts)
    return sum(
        (count - total * share) ** 2 / (total * share) for count, share in zip(counts, shares, strict=True)
    )


def test_few_are_worth_nearly_what_they_are() -> None:
    assert counted(20, 20).worth([1, 2]) == pytest.approx([20, 20], rel=0.03)
    assert counted(20, 0).worth([1, 2]) == [20, 0]
    assert counted().worth([1, 2]) == [0, 0]


def test_many_are_worth_no_more_than_their_error_lets_them() -> None:
    assert sum(counted(10**7, 10**7).worth([1, 2])) == pytest.approx(1_893, rel=0.01)
    assert sum(counted(9 * 10**6, 10**6).worth([1, 2])) == pytest.approx(5_259, rel=0.01)
    one, other, third = counted(10**6, 3 * 10**6, 6 * 10**6).worth([1, 2, 3])
    assert [other / one, third / one] == pytest.approx([3, 6])


def test_of_an_even_split_a_test_of_the_ratio_finds_what_chance_gives_and_not_what_estimates_err_by() -> None:
    """Sixty splits as they should be. Chi-square with one degree of freedom is 1 in the mean, and 10.8 once in a thousand times."""
    splits = [counted(estimated(6_000, 2 * seed), estimated(6_000, 2 * seed + 1)) for seed in range(60)]
    worth = [chi_square(split.worth([1, 2]), [0.5, 0.5]) for split in splits]
    raw = [chi_square(list(split.versions.values()), [0.5, 0.5]) for split in splits]
    assert sum(worth) / len(worth) < 1.5
    assert max(worth) < 10.8
    assert sum(raw) / len(raw) > 3, "why it is needed"


def test_a_split_that_is_off_is_still_found() -> None:
    split = counted(estimated(6_000, 1), estimated(9_000, 2))
    assert chi_square(split.worth([1, 2]), [0.5, 0.5]) > 30
