"""What no process of ours would tell: wrong clocks, names that are none, rubbish. None of it spoils the rest."""

import datetime as dt

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.fleet.standing import summary
from tests.fleet.processes import ENVIRONMENT, Fleet
from tests.fleet.test_heartbeats import document
from tests.runtime.faults import release_bytes


@pytest.fixture
def fleet(engine: Engine) -> Fleet:
    return Fleet(engine)


def test_a_clock_that_is_ahead_arrives_nowhere_in_the_future(fleet: Fleet) -> None:
    fleet.publish(4)
    fleet.tell("ahead:1:a", document(sha256=fleet.sha256[4], release=4, serving_since="2999-01-01T00:00:00Z"))
    fleet.tell("odd:1:a", document(started="2999-01-01T00:00:00Z", held_back={}, serving_since=None))
    fleet.observe()
    assert all(
        row.serving_since is None or row.serving_since <= fleet.clock() for row in fleet.rows().values()
    )
    assert all(row.started_at <= fleet.clock() for row in fleet.rows().values())


def test_of_a_clock_that_is_a_day_behind_no_time_is_taken(fleet: Fleet) -> None:
    fleet.publish(4)
    fleet.tell("behind:1:a", document(sha256=fleet.sha256[4], release=4, held_back={}))
    fleet.observe()
    made_at = fleet.clock()
    fleet.publish(5, temperature=0.6)
    yesterday = str(made_at - dt.timedelta(days=1))
    told = {"written": yesterday, "serving_since": yesterday, "sha256": fleet.sha256[5], "held_back": {}}
    fleet.tell("behind:1:a", document(release=5, **told))
    fleet.tell("late:1:a", document(release=5, started=yesterday, **told))
    fleet.observe()

    found = fleet.confirmation(5, made_at=made_at)

    assert found.confirmed == 2
    assert found.arrival is not None
    assert (found.arrival.count, found.arrival.p50 > 10) == (1, True), "seen first after eleven seconds"


def test_what_is_no_name_and_no_release_number_spoils_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    kept = {**fleet.store.read_heartbeats(ENVIRONMENT), "a\x00b": document(), "<b>\n": document()}
    monkeypatch.setattr(fleet.store, "read_heartbeats", lambda _environment: kept)
    fleet.observe()
    assert set(fleet.rows()) == {process.name}
    fleet.store.publish(2**31, release_bytes(0.6))
    fleet.observe()
    with Session(fleet.engine) as session:
        assert summary(session, ENVIRONMENT).release is None


def test_an_observer_whose_clock_was_ahead_and_is_set_back_goes_on(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    fleet.observe(after=24 * 3600)
    process.client.refresh()
    fleet.publish(5, temperature=0.6)
    process.look()
    fleet.observe(after=-24 * 3600)
    assert fleet.confirmation(5).confirmed == 1


def test_one_that_nobody_can_read_counts_and_is_told(fleet: Fleet) -> None:
    fleet.publish(4)
    fleet.process().look()
    fleet.tell("odd:1:a", b"\xff")
    fleet.observe()
    found = fleet.confirmation(4)
    assert (found.total, found.confirmed) == (2, 1)
    assert found.stragglers[0].problem == "Its heartbeat cannot be read."
