import datetime as dt

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.health.models import HealthLookups, HealthMinute, HealthSource
from controlplane.health.series import KEPT, add, prune
from tests.health.counting import BEGUN, Counting

SECOND = dt.timedelta(seconds=1)


def look(
    session: Session, *processes: Counting, seconds: float, beats: dict[str, bytes] | None = None
) -> None:
    at = BEGUN + seconds * SECOND
    add(session, "production", {each.name: each.beat(at) for each in processes} | (beats or {}), at)


def minutes(session: Session, **where: object) -> dict[tuple[int, int], tuple[int, int]]:
    """Answered and failed calls by minute and version."""
    rows = session.scalars(select(HealthMinute).filter_by(environment="production", **where))
    return {
        (int((row.minute - BEGUN).total_seconds() // 60), row.version): (row.answered, row.failed)
        for row in rows
    }


def test_each_minute_has_what_came_in_it(first_data: Session) -> None:
    one, two = Counting("host:1:a"), Counting("host:2:b")
    one.answered(3)
    two.answered(1, version=1)
    look(first_data, one, two, seconds=20)
    one.answered(4)
    two.failed(2)
    look(first_data, one, two, seconds=50)
    one.answered(5)
    look(first_data, one, two, seconds=70)
    look(first_data, one, two, seconds=80)
    assert minutes(first_data) == {(0, 1): (8, 2), (1, 1): (5, 0)}


def test_a_restarted_process_begins_at_nought_and_a_vanished_one_leaves_what_it_told(
    first_data: Session,
) -> None:
    before = Counting("host:1:a")
    before.answered(10)
    look(first_data, before, seconds=10)
    after = Counting("host:1:b", started=BEGUN + 60 * SECOND)
    after.answered(2)
    look(first_data, after, seconds=70)
    look(first_data, after, seconds=4_000)
    assert minutes(first_data) == {(0, 1): (10, 0), (1, 1): (2, 0)}
    assert list(first_data.scalars(select(HealthSource.process))) == ["host:1:b"]


def test_one_that_ran_for_long_before_it_was_first_read_counts_from_then_on(first_data: Session) -> None:
    process = Counting(started=BEGUN - dt.timedelta(hours=3))
    process.answered(1_000)
    look(first_data, process, seconds=0)
    assert minutes(first_data) == {}
    process.answered(3)
    look(first_data, process, seconds=60)
    assert minutes(first_data) == {(1, 1): (3, 0)}


def test_a_series_that_had_no_room_in_the_heartbeat_before_does_not_come_all_at_once(
    first_data: Session,
) -> None:
    process = Counting()
    process.answered(5, version=1)
    process.left_out = 1
    look(first_data, process, seconds=10)
    process.answered(500, version=1, tier="basic", row="basic/*")
    process.left_out = 0
    look(first_data, process, seconds=20)
    process.answered(1, version=1, tier="basic", row="basic/*")
    look(first_data, process, seconds=70)
    assert minutes(first_data, tier="basic") == {(1, 1): (1, 0)}


def test_names_that_nobody_registered_are_not_kept(first_data: Session) -> None:
    process = Counting()
    process.answered(1, interaction="MADE_UP")
    process.answered(1, tier="made up")
    process.answered(1, row="made/up")
    process.answered(1, version=99_999)
    process.answered(1, interaction="unknown", tier="unknown", row=None, version=None)
    look(first_data, process, seconds=10)
    assert minutes(first_data) == {(0, 0): (1, 0)}


def test_what_cannot_be_read_harms_nobody_else(first_data: Session) -> None:
    process = Counting()
    process.answered(2)
    look(first_data, process, seconds=10, beats={"host:9:z": b"{", "host:8:y": b"[]"})
    assert minutes(first_data) == {(0, 1): (2, 0)}


def test_lookups_and_caches_are_counted_by_the_minute(first_data: Session) -> None:
    process = Counting()
    for seconds in (10, 20):
        process.metrics.lookup("COACHING_RESPONSE", "premium", "LARGE", 1, 2e-6)
        process.metrics.cache("entries", hit=True)
        process.metrics.cache("entries", hit=False)
        look(first_data, process, seconds=seconds)
    (row,) = first_data.scalars(select(HealthLookups))
    assert (sum(row.times), row.hits, row.misses) == (2, 2, 2)


def test_old_minutes_are_forgotten(first_data: Session) -> None:
    process = Counting()
    process.answered(1)
    process.metrics.cache("entries", hit=True)
    look(first_data, process, seconds=10)
    prune(first_data, "production", BEGUN + KEPT)
    assert first_data.scalar(select(func.count()).select_from(HealthMinute)) == 1
    prune(first_data, "production", BEGUN + KEPT + 60 * SECOND)
    for table in (HealthMinute, HealthLookups):
        assert first_data.scalar(select(func.count()).select_from(table)) == 0


@given(
    counted=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    order=st.lists(st.integers(0, 5), min_size=1, max_size=9),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_whatever_order_and_however_often_beats_are_read_nothing_counts_twice(
    first_data: Session, counted: list[int], order: list[int]
) -> None:
    process = Counting()
    beats = []
    for seconds, count in enumerate(counted):
        process.answered(count)
        beats.append(process.beat(BEGUN + seconds * SECOND))
    read = [min(place, len(beats) - 1) for place in order]
    with first_data.begin_nested() as savepoint:
        for seconds, place in enumerate(read):
            add(first_data, "production", {process.name: beats[place]}, BEGUN + seconds * SECOND)
        found = sum(answered for answered, _ in minutes(first_data).values())
        savepoint.rollback()
    assert found == sum(counted[: max(read) + 1])
