import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from controlplane.rollouts.ranges import Ranges, reallocate
from controlplane.runtime.bucketing import BUCKETS
from controlplane.units.counted import Distinct
from controlplane.units.effect import Move, People, moves_of, of_all, of_configuration, of_gate

AT = dt.datetime(2026, 11, 29, 1, 30, tzinfo=dt.UTC)
KEY = "configuration/COACHING_RESPONSE/premium/*"
WHOLE: Ranges = [[0, BUCKETS]]


def counted(total: int = 12_412, **values: Any) -> Distinct:
    given: dict[str, Any] = {
        "unit": "user",
        "versions": {},
        "since": AT - dt.timedelta(hours=24),
        "told_at": AT - dt.timedelta(minutes=10),
        "whole": True,
        "without_unit": 0.0,
        **values,
    }
    return Distinct(total=total, **given)


def document(*shares: int, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """An entry whose versions 1, 2, … have these shares, moved there from the one before or from the first alone."""
    stacks = [each["ranges"] for each in before["variants"]] if before else [WHOLE]
    stacks += [[] for _ in range(len(shares) - len(stacks))]
    ranges = reallocate(stacks, shares)
    return {"variants": [{"version": place + 1, "ranges": each} for place, each in enumerate(ranges)]}


def said(
    before: dict[str, Any] | None, after: dict[str, Any] | None, *, key: str = KEY, **values: Any
) -> str:
    people = of_configuration(counted(**values), key, before, after, at=AT)
    assert people.standing == "Counted; last told 01:20 UTC."
    return people.sentence


def test_the_sentence_of_a_raise() -> None:
    two = document(98_000, 2_000)
    assert said(two, document(90_000, 10_000, before=two)) == (
        "About 1,240 of 12,400 daily premium users on version 2; 993 gain it, 0 lose it."
    )


def test_lowering_takes_away_and_gives_nothing() -> None:
    ten = document(90_000, 10_000)
    assert said(ten, document(99_000, 1_000, before=ten)) == (
        "About 124 of 12,400 daily premium users on version 2; 0 gain it, 1,120 lose it."
    )


def test_a_version_that_says_something_else_concerns_them_all_and_moves_nobody() -> None:
    assert said(document(BUCKETS), document(BUCKETS)) == "About 12,400 daily premium users."


def test_another_version_for_everybody_is_said_in_fewer_words() -> None:
    another = {"variants": [{"version": 9, "ranges": WHOLE}]}
    assert said(document(BUCKETS), another) == "About 12,400 daily premium users, who all get version 9."


def test_what_is_not_quite_nobody_is_not_called_none() -> None:
    none = document(BUCKETS, 0)
    assert said(none, document(99_999, 1, before=none)) == (
        "About 0 of 12,400 daily premium users on version 2; fewer than 1 gain it, 0 lose it."
    )


def test_several_variants_are_told_one_by_one() -> None:
    three = document(60_000, 20_000, 20_000)
    assert said(three, document(50_000, 30_000, 20_000, before=three), total=1_000) == (
        "About 300 of 1,000 daily premium users on version 2; 100 gain it, 0 lose it. "
        "About 200 of 1,000 daily premium users on version 3; 0 gain it, 0 lose it."
    )


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        (document(BUCKETS), document(90_000, 10_000), [Move(2, 10_000, 10_000, 0)]),
        (document(90_000, 10_000), document(BUCKETS), [Move(1, BUCKETS, 10_000, 0)]),
        (
            document(90_000, 10_000),
            {"variants": [{"version": 2, "ranges": WHOLE}]},
            [Move(2, BUCKETS, 90_000, 0)],
        ),
        (document(BUCKETS), {"variants": [{"version": 9, "ranges": WHOLE}]}, [Move(9, BUCKETS, BUCKETS, 0)]),
        (document(BUCKETS), document(BUCKETS), [Move(1, BUCKETS, 0, 0)]),
        (None, document(BUCKETS), [Move(1, BUCKETS, BUCKETS, 0)]),
        (document(BUCKETS), None, []),
    ],
    ids=["started", "aborted", "finished", "replaced", "the same", "new", "taken away"],
)
def test_what_each_version_gains_and_loses_is_exact(
    before: dict[str, Any] | None, after: dict[str, Any] | None, moves: list[Move]
) -> None:
    assert moves_of(before, after) == moves


@pytest.mark.parametrize(
    ("key", "unit", "words"),
    [
        ("configuration/COACHING_RESPONSE/premium/acme/eu", "user", "daily premium users of tenant acme/eu"),
        ("configuration/COACHING_RESPONSE/default/*", "conversation", "daily conversations"),
        ("configuration/*/default/*", "tenant", "daily tenants"),
    ],
)
def test_it_says_whom(key: str, unit: str, words: str) -> None:
    assert said(document(BUCKETS), None, key=key, unit=unit) == f"About 12,400 {words}."


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1_004, "1,000"),
        (98_765, "98,800"),
        (2**64, "18,400,000,000,000,000,000"),
    ],
)
def test_no_more_digits_are_shown_than_can_be_believed(total: int, words: str) -> None:
    assert of_all(counted(total), at=AT).sentence == f"About {words} daily users."


def test_it_says_how_old_the_count_is_and_who_is_not_in_it() -> None:
    young = counted(310, whole=False, since=dt.datetime(2026, 11, 28, 22, tzinfo=dt.UTC), without_unit=0.034)
    assert of_all(young, at=AT) == People(
        "About 310 users.",
        "Counted since 28 November 22:00 UTC, when counting began; last told 01:20 UTC. "
        "3 % of calls named no user: they get the baseline and are not counted.",
    )
    old = replace(young, whole=True, told_at=AT - dt.timedelta(hours=3), without_unit=0.004)
    assert of_all(old, at=AT) == People("About 310 daily users.", "Counted; last told 28 November 22:30 UTC.")


def test_a_gate_lets_in_and_keeps_out() -> None:
    some = counted(1_000, without_unit=0.5)
    people = of_gate(some, "COACHING_RESPONSE", [[0, 10_000]], [[0, 2_000]], at=AT)
    assert people.sentence == (
        "About 20 of 1,000 daily users of COACHING_RESPONSE let in; 0 come in, 80 go out."
    )
    assert people.standing.endswith(
        "50 % of calls named no user: a gate that is not open for all keeps them out, and they are not counted."
    )
