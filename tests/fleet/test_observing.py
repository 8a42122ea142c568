import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.orm import Session

from controlplane.fleet import observing
from controlplane.fleet.models import Arrival, Process
from controlplane.fleet.standing import summary
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.file import FileStore
from tests.fleet.processes import ENVIRONMENT, Clock, Fleet, Running
from tests.fleet.test_heartbeats import document
from tests.runtime import releases
from tests.runtime.emulator import emulator, make_store
from tests.runtime.faults import pointer_to, release_bytes


@pytest.fixture
def fleet(engine: Engine) -> Fleet:
    return Fleet(engine)


def test_two_processes_confirm_and_a_straggler_does_not(fleet: Fleet) -> None:
    fleet.publish(4)
    one, two, slow = (fleet.process(poll_seconds=seconds).look() for seconds in (1.0, 2.0, 3.0))
    fleet.observe()
    assert fleet.confirmation(4).is_complete
    fleet.publish(5, temperature=0.6)
    for each in (one, two):
        each.look()
    fleet.observe()

    found = fleet.confirmation(5)

    assert (found.total, found.confirmed, found.later, found.poll_seconds) == (3, 2, 0, 3.0)
    (straggler,) = found.stragglers
    assert (straggler.process, straggler.release, straggler.refused) == (slow.name, 4, False)
    slow.look()
    fleet.observe()
    assert fleet.confirmation(5).is_complete
    earlier = fleet.confirmation(4)
    assert (earlier.confirmed, earlier.later, earlier.is_complete) == (0, 3, True)


def test_equal_content_under_a_newer_number_has_to_be_told(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    fleet.publish(5)
    fleet.observe()
    assert (fleet.confirmation(4).confirmed, fleet.confirmation(5).confirmed) == (1, 0)
    process.look()
    fleet.observe()
    assert fleet.confirmation(5).confirmed == 1


def test_one_that_refuses_a_release_says_so(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    fleet.publish(5, b"not a release")
    process.look()
    fleet.observe()

    (straggler,) = fleet.confirmation(5).stragglers

    assert (straggler.release, straggler.refused) == (4, True)
    assert straggler.problem


def test_one_that_holds_entries_back_is_confirmed_but_for_these(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process(isolate=True).look()
    fleet.publish(5, broken())
    process.look()
    assert process.client.state.held_back
    fleet.observe()

    found = fleet.confirmation(5)

    assert (found.confirmed, found.stragglers) == (0, ())
    assert [(each.process, each.held_back) for each in found.partly] == [(process.name, 1)]
    assert arrivals(fleet, 5) == {}


def broken() -> bytes:
    """A release one of whose models has no context window."""
    documents = releases.documents()
    documents["model/LARGE"]["context_window"] = None
    return release_bytes(0.6, entries=documents)


def test_one_that_ends_no_longer_counts_and_is_forgotten_in_time(fleet: Fleet) -> None:
    fleet.publish(4)
    stays = fleet.process().look()
    goes = fleet.process().look()
    fleet.observe()
    fleet.store.write_heartbeat(ENVIRONMENT, goes.name, b"", seconds=0)
    fleet.observe()
    assert fleet.confirmation(4).total == 1
    assert fleet.row(goes.name).gone_at is not None
    stays.look()
    fleet.observe(after=16 * 60)
    assert set(fleet.rows()) == {stays.name}


def test_one_that_falls_silent_no_longer_counts_until_it_is_heard_again(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    fleet.observe()
    fleet.observe(after=59)
    assert fleet.confirmation(4).total == 1
    fleet.observe(after=12)
    assert fleet.confirmation(4).total == 0
    process.look()
    fleet.observe()
    assert fleet.confirmation(4).total == 1


def test_a_reading_that_missed_one_does_not_lose_it(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    fleet.observe()
    kept = fleet.store.read_heartbeats(ENVIRONMENT)
    fleet.store.write_heartbeat(ENVIRONMENT, process.name, b"", seconds=0)
    fleet.observe()
    fleet.tell(process.name, kept[process.name])
    fleet.observe()
    assert fleet.confirmation(4).total == 1


def test_arrival_is_when_the_process_says_and_not_when_it_was_seen(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    made_at = dt.datetime.now(dt.UTC)
    fleet.publish(5, temperature=0.6)
    process.look()
    served_by = dt.datetime.now(dt.UTC)
    fleet.observe(after=30)

    found = fleet.confirmation(5, made_at=made_at).arrival

    assert found is not None
    assert found.count == 1
    # A millisecond is what is told.
    assert 0 <= found.p50 <= (served_by - made_at).total_seconds() + 0.001


def test_one_that_started_later_did_not_wait(fleet: Fleet) -> None:
    fleet.publish(4)
    made_at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    fleet.process().look()
    fleet.observe()
    assert fleet.confirmation(4, made_at=made_at).arrival is None
    assert fleet.confirmation(4).confirmed == 1


def test_a_heartbeat_of_before_without_the_time_counts_from_when_it_was_seen(fleet: Fleet) -> None:
    fleet.publish(4)
    fleet.tell("old:1:a", document(sha256=fleet.sha256[4], release=4, serving_since=None, held_back={}))
    fleet.observe()
    first = arrivals(fleet, 4)["old:1:a"]
    assert abs(first - fleet.clock()) < dt.timedelta(seconds=10)
    fleet.tell(
        "old:1:a", document(sha256=fleet.sha256[4], release=4, serving_since=None, held_back={}, written="x")
    )
    fleet.observe()
    assert fleet.row("old:1:a").serving_since == first


def test_one_sentence_for_the_bar(fleet: Fleet) -> None:
    with Session(fleet.engine) as session:
        assert summary(session, ENVIRONMENT).release is None
    fleet.publish(4)
    fleet.process().look()
    fleet.process()
    fleet.tell("odd:1:a", b"")
    fleet.observe()
    with Session(fleet.engine) as session:
        found = summary(session, ENVIRONMENT)
    assert (found.release, found.confirmed, found.total) == (4, 1, 2)


def test_the_heartbeats_are_read_often_only_while_somebody_waits(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[None] = []
    read = fleet.store.read_heartbeats

    def counted(environment: str) -> dict[str, bytes]:
        reads.append(None)
        return read(environment)

    monkeypatch.setattr(fleet.store, "read_heartbeats", counted)

    def reads_in_ten_seconds() -> int:
        reads.clear()
        for _ in range(5):
            fleet.observe(after=2)
        return len(reads)

    fleet.publish(4)
    process = fleet.process().look()
    fleet.observe()
    assert reads_in_ten_seconds() <= 1
    fleet.publish(5, temperature=0.6)
    assert reads_in_ten_seconds() == 5
    process.look()
    fleet.observe(after=2)
    assert reads_in_ten_seconds() <= 1
    fleet.publish(6)
    fleet.observe(after=130)
    fleet.observe(after=130)
    assert reads_in_ten_seconds() <= 1, "nobody waits for ever"


def test_a_store_that_fails_changes_nothing(fleet: Fleet) -> None:
    fleet.publish(4)
    fleet.process().look()
    fleet.observe()

    def gone() -> None:
        raise StoreUnavailable("gone")

    fleet.store.pointer_fault = gone
    with pytest.raises(StoreUnavailable):
        fleet.observe()
    assert fleet.confirmation(4).total == 1


def test_of_two_observers_the_one_that_looked_earlier_writes_nothing(fleet: Fleet) -> None:
    fleet.publish(4)
    process = fleet.process().look()
    late = Clock()
    fleet.clock.pass_seconds(60)
    fleet.observe()
    fleet.publish(5, temperature=0.6)
    process.look()
    observing.observe(fleet.engine, fleet.store, ENVIRONMENT, clock=late)
    assert fleet.row(process.name).release == 4


def test_observers_side_by_side_keep_one_row_for_each(fleet: Fleet) -> None:
    fleet.publish(4)
    processes = [fleet.process().look() for _ in range(5)]
    threads = [threading.Thread(target=fleet.observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(fleet.rows()) == {each.name for each in processes}
    assert len(arrivals(fleet, 4)) == 5


def test_arrivals_of_long_ago_are_not_kept(fleet: Fleet) -> None:
    fleet.publish(1)
    process = fleet.process().look()
    fleet.observe()
    assert arrivals(fleet, 1)
    fleet.publish(2 + observing.KEPT_RELEASES, temperature=0.6)
    process.look()
    fleet.observe()
    assert not arrivals(fleet, 1)


def test_two_hundred_processes_cost_few_statements(fleet: Fleet) -> None:
    fleet.publish(4)
    for number in range(200):
        fleet.tell(f"host-{number}:1:a", document(sha256=fleet.sha256[4], release=4, held_back={}))
    fleet.observe()
    for number in range(0, 200, 5):
        fleet.tell(
            f"host-{number}:1:a", document(sha256=fleet.sha256[4], release=4, held_back={}, written="x")
        )
    statements: list[str] = []

    @event.listens_for(fleet.engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    fleet.observe()
    assert len(statements) <= 5
    with Session(fleet.engine) as session:
        assert session.scalar(select(func.count()).select_from(Process)) == 200


@pytest.fixture(scope="module")
def emulator_url() -> Iterator[str]:
    with emulator() as url:
        yield url


@pytest.fixture(params=["file", "aws"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    if request.param == "file":
        return FileStore(tmp_path)
    made = make_store(request.getfixturevalue("emulator_url"), f"fleet-{uuid.uuid4()}")
    made.ensure()
    return made


def test_processes_on_a_store_that_is_none_of_memory(engine: Engine, store: ReleaseStore) -> None:
    data = release_bytes()
    pointer = pointer_to(data, 4)
    store.write_snapshot(ENVIRONMENT, pointer.sha256, data)
    store.move_pointer(pointer)
    one = Running(store).look()
    two = Running(store)
    two.heartbeat.beat()
    observing.observe(engine, store, ENVIRONMENT)
    with Session(engine) as session:
        rows = {row.process: row.release for row in session.scalars(select(Process))}
    assert rows == {one.name: 4, two.name: None}


def arrivals(fleet: Fleet, release: int) -> dict[str, dt.datetime]:
    with Session(fleet.engine) as session:
        found = session.scalars(select(Arrival).where(Arrival.release == release))
        return {row.process: row.arrived_at for row in found}


def test_the_thread_of_a_heartbeat_tells_news_within_a_second(fleet: Fleet) -> None:
    """Not the time is asserted but that a beat comes although the next is due in an hour."""
    fleet.publish(4)
    process = fleet.process(poll_seconds=3600)
    process.heartbeat = type(process.heartbeat)(fleet.store, process.client, process.metrics, seconds=3600)
    process.client.refresh()
    process.heartbeat.start()
    told(fleet, process, 4)
    fleet.publish(5, temperature=0.6)
    process.client.refresh()
    told(fleet, process, 5)
    process.heartbeat.close()


def told(fleet: Fleet, process: Running, release: int) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        data = fleet.store.read_heartbeats(ENVIRONMENT).get(process.heartbeat.process)
        if data and json.loads(data)["release"] == release:
            return
        waiting.wait(0.01)
    raise AssertionError(f"release {release} was never told")
