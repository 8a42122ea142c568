import datetime as dt
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.units import gathering
from controlplane.units.counted import Distinct
from controlplane.units.models import HourOfUnits
from controlplane.units.services import distinct, last_day
from tests.fleet.processes import Fleet
from tests.units.calling import ENVIRONMENT, PREMIUM, Process, look

AT = dt.datetime(2026, 11, 28, 12, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def premium(session: Session, at: dt.datetime = AT) -> Distinct | None:
    return distinct(session, ENVIRONMENT, "COACHING_RESPONSE", "premium", *last_day(at))


def total(session: Session, at: dt.datetime = AT) -> int:
    found = premium(session, at)
    return found.total if found else 0


def rows(session: Session) -> list[Any]:
    columns = (HourOfUnits.hour, HourOfUnits.version, HourOfUnits.registers, HourOfUnits.calls)
    return list(session.execute(select(*columns).order_by(HourOfUnits.hour, HourOfUnits.version)))


def test_somebody_who_called_two_processes_counts_once(first_data: Session) -> None:
    look(first_data, Process(AT).call(range(20)), Process(AT).call(range(10, 30)), at=AT)
    assert total(first_data) == 30


def test_the_same_beats_again_change_nothing(first_data: Session) -> None:
    beats = [Process(AT).call(range(20)).beat(), Process(AT).call(range(40)).beat()]
    look(first_data, *beats, at=AT)
    before = rows(first_data)
    for again in (beats, beats[:1], beats[::-1]):
        look(first_data, *again, at=AT + dt.timedelta(minutes=5))
    assert rows(first_data) == before
    assert first_data.scalar(select(HourOfUnits.told_at)) == AT


def test_a_process_that_starts_again_takes_nothing_with_it(first_data: Session) -> None:
    look(first_data, Process(AT).call(range(20)), at=AT)
    look(first_data, Process(AT).call([20]), at=AT)
    assert total(first_data) == 21


def test_a_day_is_the_union_of_its_hours(first_data: Session) -> None:
    for hours in range(30):
        at = AT - (29 - hours) * HOUR
        look(first_data, Process(at).call(range(hours, hours + 10)), at=at)
    found = premium(first_data)
    assert found
    assert found.whole
    # The last 24 hours met those from 6 to 38, each several times.
    assert abs(found.total - 33) <= 1


def test_a_beat_of_the_hour_before_is_made_good(first_data: Session) -> None:
    process = Process(AT).call(range(5))
    process.at += HOUR
    process.call(range(3))
    look(first_data, process, at=AT + HOUR)
    assert [row.calls for row in rows(first_data)] == [5, 3]


@pytest.mark.parametrize("off", [-3 * HOUR, HOUR, 24 * HOUR])
def test_of_a_process_whose_clock_is_wrong_nothing_is_taken(first_data: Session, off: dt.timedelta) -> None:
    look(first_data, Process(AT + off).call(range(5)), Process(AT).call(range(3)), at=AT)
    assert total(first_data) == 3
    assert len(rows(first_data)) == 1


def test_what_part_named_nobody_is_that_of_the_busiest_process(first_data: Session) -> None:
    busy = Process(AT).call([*range(6), None, None])
    look(first_data, busy, Process(AT).call([None, None]), at=AT)
    found = premium(first_data)
    assert found
    assert (found.without_unit, found.total) == (0.25, 6)


def test_hours_of_long_ago_are_not_kept(first_data: Session) -> None:
    look(first_data, Process(AT).call(range(5)), at=AT)
    later = AT + gathering.KEPT + HOUR
    look(first_data, Process(later).call(range(3)), at=later)
    assert [row.calls for row in rows(first_data)] == [3]


def test_the_series_of_an_hour_are_bounded(first_data: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SERIES_IN_AN_HOUR", 3)
    many = Process(AT)
    for version in range(1, 9):
        many.call([1], version)
    look(first_data, many, at=AT)
    assert [row.version for row in rows(first_data)] == [1, 2, 3]
    look(first_data, many.call([2], 2), at=AT)
    assert [row.version for row in rows(first_data)] == [1, 2, 3]
    assert total(first_data) == 2


def test_each_version_is_counted_and_who_had_two_counts_once_in_the_total(first_data: Session) -> None:
    look(first_data, Process(AT).call(range(20), 1).call(range(15, 30), 2), at=AT)
    found = premium(first_data)
    assert found
    assert (found.total, dict(found.versions), found.unit) == (30, {1: 20, 2: 15}, "user")


def test_only_what_was_asked_for_is_counted(first_data: Session) -> None:
    process = Process(AT).call(range(5))
    process.call(range(5, 7), key="configuration/COACHING_RESPONSE/default/*")
    process.call(range(7, 10), key="configuration/COACHING_RESPONSE/premium/acme")
    process.call(range(4), kind="tenant")
    look(first_data, process, at=AT)
    window = last_day(AT)

    def asked(tier: str | None = None, **others: Any) -> int | None:
        found = distinct(first_data, ENVIRONMENT, "COACHING_RESPONSE", tier, *window, **others)
        return found.total if found else None

    assert asked("premium") == 5
    assert asked() == asked("default") == 2
    assert asked("premium", tenant="acme") == 3
    assert asked("premium", unit="tenant") == 4
    assert asked("free") is None
    assert distinct(first_data, "staging", "COACHING_RESPONSE", "premium", *window) is None
    assert distinct(first_data, ENVIRONMENT, "COACHING_RESPONSE", "premium", AT, AT + HOUR) is None


def test_counting_that_began_later_than_asked_is_told(first_data: Session) -> None:
    look(first_data, Process(AT).call(range(5)), at=AT)
    found = premium(first_data)
    assert found
    assert (found.whole, found.since, found.told_at) == (False, AT.replace(minute=0), AT)


def test_two_workers_side_by_side_lose_nothing(engine: Engine) -> None:
    """What they read differs; the row of the observation makes them take turns."""
    fleet = Fleet(engine)
    fleet.publish(4)
    processes = [fleet.process() for _ in range(6)]
    for number, process in enumerate(processes):
        for unit in range(10 * number, 10 * number + 10):
            process.metrics.units.count(PREMIUM, "user", f"u-{unit}", 1)
        process.look()
    threads = [threading.Thread(target=fleet.observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(HourOfUnits)) in {1, 2}
        assert abs(total(session, now()) - 60) <= 2
