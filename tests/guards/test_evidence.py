import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.guards.evidence import (
    FIRST_BLOCKS,
    Arm,
    Evidence,
    MeanEvidence,
    block,
    ratio_evidence,
)

rates = st.floats(0.0, 1.0)
past = st.builds(
    lambda calls, share: Arm(calls, round(calls * share)), st.integers(1, 400), st.floats(0.0, 1.0)
)


def expected(
    before: tuple[Arm, Arm], sizes: tuple[int, int], truth: tuple[float, float], difference: float
) -> float:
    """The mean of what a block is worth, summed over everything that can happen in it."""
    total = 0.0
    for bad in product(range(sizes[0] + 1), range(sizes[1] + 1)):
        chance = math.prod(
            math.comb(size, each) * rate**each * (1 - rate) ** (size - each)
            for size, each, rate in zip(sizes, bad, truth, strict=True)
        )
        arms = (Arm(size, each) for size, each in zip(sizes, bad, strict=True))
        total += chance * math.exp(block(*arms, before=before, difference=difference))
    return total


@given(
    before=st.tuples(past, past),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    one=rates,
    other=rates,
    difference=st.floats(0.001, 0.3),
)
@settings(max_examples=150)
def test_a_variant_that_is_not_worse_is_worth_at_most_one_on_average_whatever_was_guessed(
    before: tuple[Arm, Arm], sizes: tuple[int, int], one: float, other: float, difference: float
) -> None:
    truth = max(one, other), min(one, other)
    assert expected(before, sizes, truth, difference) <= 1 + 1e-9


def test_a_variant_that_is_worse_is_worth_more() -> None:
    before = Arm(1_000, 10), Arm(1_000, 30)
    assert expected(before, (12, 12), (0.01, 0.03), 0.01) > 1.01
    assert expected(before, (12, 12), (0.03, 0.01), 0.01) < 1


@pytest.mark.parametrize("nobody", [(Arm(0, 0), Arm(9, 9)), (Arm(9, 0), Arm(0, 0))])
def test_where_one_side_has_no_calls_nothing_is_known(nobody: tuple[Arm, Arm]) -> None:
    assert block(*nobody, before=(Arm(9, 1), Arm(9, 1)), difference=0.01) == 0
    assert block(Arm(9, 0), Arm(9, 9), before=(Arm(0, 0), Arm(0, 0)), difference=0.01) == 0


@given(st.lists(st.floats(-3, 3), max_size=40))
def test_evidence_is_the_average_over_where_it_may_have_begun(values: list[float]) -> None:
    evidence = Evidence()
    for value in values:
        evidence.add(value)
    weights = [0.5, *(0.5 / (number * (number - 1)) for number in range(2, len(values) + 1))]
    begun = sum(weight * math.exp(sum(values[place:])) for place, weight in enumerate(weights[: len(values)]))
    rest = 1 - sum(weights[: len(values)])
    assert math.exp(evidence.log) == pytest.approx(begun + (rest if values else 1), rel=1e-9)


def test_evidence_has_an_end_and_good_days_do_not_hide_a_bad_one() -> None:
    evidence = Evidence()
    for _ in range(2_000):
        evidence.add(-5.0)
    for _ in range(10):
        evidence.add(3.0)
    assert evidence.log > 10
    for _ in range(2_000):
        evidence.add(5.0)
    assert evidence.log == pytest.approx(600)


def test_a_mean_that_is_higher_is_found_and_one_that_is_lower_is_not() -> None:
    higher, lower = MeanEvidence(), MeanEvidence()
    for number in range(60):
        wiggle = (number % 7) - 3
        higher.add(2 + wiggle, scale=10)
        lower.add(-2 + wiggle, scale=10)
        assert (number + 1 >= FIRST_BLOCKS) or higher.log == 0
    assert higher.log > math.log(1_000)
    assert lower.log < 0


def test_what_never_varies_is_compared_by_its_size() -> None:
    same, more = MeanEvidence(), MeanEvidence()
    for _ in range(FIRST_BLOCKS):
        same.add(0.0, scale=10)
        more.add(1.0, scale=10)
    assert same.log <= 0
    assert more.log > math.log(1_000)
    nothing = MeanEvidence()
    for _ in range(FIRST_BLOCKS):
        nothing.add(0.0, scale=0)
    assert nothing.log == 0


@given(st.integers(0, 12), st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_shares_that_are_as_set_are_worth_one_on_average(units: int, share: float) -> None:
    total = sum(
        math.comb(units, some)
        * share**some
        * (1 - share) ** (units - some)
        * math.exp(ratio_evidence([some, units - some], [share, 1 - share]))
        for some in range(units + 1)
    )
    assert total == pytest.approx(1, rel=1e-6)


def test_shares_that_are_off_are_found() -> None:
    assert ratio_evidence([9_000, 1_000], [0.9, 0.1]) < 0
    assert ratio_evidence([8_500, 1_500], [0.9, 0.1]) > math.log(1_000)
    assert ratio_evidence([10, 1], [1.0, 0.0]) > 100
