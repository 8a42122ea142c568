import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from controlplane.fleet.models import Process
from controlplane.fleet.standing import Arrivals, arrivals_of, count

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
WANTED = "a" * 64
OTHER = "b" * 64


def process(number: int, release: int | None, sha256: str | None, held_back: int = 0) -> Process:
    return Process(
        process=f"host:{number}:x",
        host="host",
        release=release,
        sha256=sha256,
        held_back=held_back,
        heard_at=NOW,
        serving_since=NOW,
        quarantined=None,
        problem=None,
        poll_seconds=float(number) or None,
    )


served = st.tuples(st.none() | st.integers(1, 5), st.sampled_from([WANTED, OTHER, None]), st.integers(0, 2))


@given(st.lists(served, max_size=30), st.integers(1, 5))
def test_every_process_is_counted_once_and_confirmed_only_if_it_serves_just_that(
    found: list[tuple[int | None, str | None, int]], release: int
) -> None:
    rows = [process(number, *each) for number, each in enumerate(found)]

    counted = count(rows, release, WANTED)

    behind = [*counted.partly, *counted.stragglers]
    assert counted.total == len(rows) == counted.confirmed + counted.later + len(behind)
    assert counted.confirmed == sum(each == (release, WANTED, 0) for each in found)
    assert counted.later == sum(each[0] is not None and each[0] > release for each in found)
    assert len({each.process for each in behind}) == len(behind)
    assert counted.is_complete == (bool(rows) and not behind)
    assert counted == count(reversed(rows), release, WANTED) or len(behind) > 1


def test_equal_content_under_another_number_is_not_confirmed() -> None:
    counted = count([process(1, 4, WANTED)], 5, WANTED)
    assert (counted.confirmed, [each.release for each in counted.stragglers]) == (0, [4])


def test_other_content_under_the_number_is_not_confirmed() -> None:
    counted = count([process(1, 5, OTHER)], 5, WANTED)
    assert (counted.confirmed, len(counted.stragglers)) == (0, 1)


def test_nobody_is_not_everybody() -> None:
    assert not count([], 5, WANTED).is_complete


def test_the_slowest_poll_is_what_all_have_to_be_waited_for() -> None:
    assert count([process(number, 5, WANTED) for number in (0, 2, 7, 3)], 5, WANTED).poll_seconds == 7.0


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    assert arrivals_of(float(each) for each in range(100, 0, -1)) == Arrivals(100, 50.0, 95.0, 99.0)
    assert arrivals_of([3.0]) == Arrivals(1, 3.0, 3.0, 3.0)
    assert arrivals_of([]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_clocks_that_disagree_never_make_a_negative_time(seconds: list[float]) -> None:
    found = arrivals_of(seconds)
    assert found is not None
    assert 0 <= found.p50 <= found.p95 <= found.p99 == max(found.p99, found.p95)
    assert found.p99 <= max(0.0, *seconds)
