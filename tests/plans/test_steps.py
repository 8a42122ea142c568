"""The pure part: what is typed, what is wrong with it, and which step is due."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.plans.steps import (
    LONGEST,
    MIGRATION,
    MOST,
    OF_GATES,
    OF_ROLLOUTS,
    STANDARD,
    Step,
    Wait,
    from_share,
    hold_words,
    in_words,
    parse_hold,
    problems,
    turn,
)
from controlplane.runtime.bucketing import BUCKETS

NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
TWO = [Step(10_000, 60), Step(50_000, 60)]


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ("24 h", 1440),
        ("24", 1440),
        ("90 min", 90),
        ("7 days", 10080),
        ("1 d", 1440),
        (" 2H ", 120),
        ("2 weeks", 20160),
        ("90 minutes", 90),
    ],
)
def test_times_are_read_as_people_write_them(typed: str, minutes: int) -> None:
    assert parse_hold(typed) == minutes


@pytest.mark.parametrize("typed", ["", "soon", "0 h", "-1 h", "91 days", "1.5 h", "٣ h", "2 fortnights"])
def test_what_is_no_time_is_refused_in_words(typed: str) -> None:
    with pytest.raises(ValueError, match="Enter "):
        parse_hold(typed)


@given(st.integers(1, LONGEST))
def test_every_time_is_written_as_it_is_read(minutes: int) -> None:
    assert parse_hold(hold_words(minutes)) == minutes


def test_the_plans_to_begin_with_are_plans() -> None:
    for shape in (*OF_ROLLOUTS, *OF_GATES):
        assert problems(shape.steps) == {}
        assert shape.steps[-1].share == BUCKETS
    assert in_words(STANDARD.steps) == "10 % 24 h → 50 % 24 h → 100 %"
    assert sum(step.minutes for step in MIGRATION.steps[:-1]) == 6 * 7 * 1440


def test_a_plan_from_a_share_holds_it_and_takes_what_is_above() -> None:
    assert [step.share for step in from_share(STANDARD, 1_000)] == [1_000, 10_000, 50_000, BUCKETS]
    assert [step.share for step in from_share(STANDARD, 10_000)] == [10_000, 50_000, BUCKETS]
    assert [step.share for step in from_share(STANDARD, BUCKETS)] == [BUCKETS]


def test_a_plan_climbs_and_has_an_end() -> None:
    assert list(problems([Step(1, 1)])) == list(problems([], after=1)) == ["steps"]
    assert list(problems([Step(1, 1)] * (MOST + 1))) == ["steps"]
    assert list(problems([Step(10, 1), Step(9, 1), Step(9, 1)])) == ["steps.1.share"]
    assert list(problems([Step(10, 1)], after=11)) == ["steps.0.share"]
    assert list(problems([Step(10, 1, note="x" * 201)], after=0)) == ["steps.0.note"]


@pytest.mark.parametrize(
    ("elapsed", "changes", "wait"),
    [
        (59, {}, Wait.TIME),
        (60, {}, Wait.NOTHING),
        (60, {"held_seconds": 60}, Wait.TIME),
        (61, {"held_seconds": 60}, Wait.NOTHING),
        (600, {"paused_at": NOON + HOUR / 2}, Wait.PAUSE),
        (600, {"at_step": 1}, Wait.END),
        (600, {"steps": [TWO[0], Step(50_000, 60, waits=True)]}, Wait.PERSON),
    ],
)
def test_what_a_plan_waits_for(elapsed: int, changes: dict[str, object], wait: Wait) -> None:
    asked: dict[str, object] = {"steps": TWO, "at_step": 0, "held_seconds": 0, "paused_at": None, **changes}
    found = turn(**asked, since=NOON, now=NOON + dt.timedelta(minutes=elapsed))  # type: ignore[arg-type]
    assert found.wait is wait
    if wait is Wait.PAUSE:
        assert found.left == HOUR / 2


@given(st.lists(st.integers(1, 300), min_size=2, max_size=8), st.lists(st.integers(0, 400), max_size=20))
def test_whenever_anybody_looks_no_step_is_skipped_and_each_is_held_its_time(
    holds: list[int], gaps: list[int]
) -> None:
    steps = [Step(share, minutes) for share, minutes in enumerate(holds)]
    at, since, reached = NOON, NOON, [NOON]
    for gap in gaps:
        at += dt.timedelta(minutes=gap)
        place = len(reached) - 1
        found = turn(steps, place, since=since, held_seconds=0, paused_at=None, now=at)
        if found.wait is Wait.NOTHING:
            since = at
            reached.append(at)
        assert (found.wait is Wait.END) == (place == len(steps) - 1)
    for step, (earlier, later) in zip(steps, pairwise(reached), strict=False):
        assert later - earlier >= dt.timedelta(minutes=step.minutes)
