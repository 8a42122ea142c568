"""From the store into a bounded table: each batch once, whatever is in it, and no more than is to be kept."""

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from controlplane.db import transaction
from controlplane.decisions import reading
from controlplane.decisions.models import RecordedBatch, RecordedCall
from controlplane.decisions.reading import Bounds, hour_of, read_recorded
from controlplane.runtime import decisions
from controlplane.runtime.decisions import Decision, Header
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.runtime.stores.packing import pack
from tests.decisions.product import PRODUCTION, decision

AT = dt.datetime(2026, 11, 29, 12, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
Clock = Callable[[], dt.datetime]


class Moody(MemoryStore):
    """A store that keeps some batches back, or does not answer at all."""

    def __init__(self) -> None:
        super().__init__()
        self.kept_back: set[str] = set()
        self.is_down = False

    def list_decisions(self, environment: str, hour: dt.datetime) -> Iterator[str]:
        if self.is_down:
            raise StoreUnavailable("down")
        return super().list_decisions(environment, hour)

    def read_decisions(self, environment: str, hour: dt.datetime, name: str, *, limit: int) -> bytes:
        if name in self.kept_back:
            raise StoreUnavailable("kept back")
        return super().read_decisions(environment, hour, name, limit=limit)


def write(
    store: MemoryStore, name: str, *found: Decision, at: dt.datetime = AT, environment: str = PRODUCTION
) -> None:
    header = Header(environment=environment, process="web-1", rate=0.01, dropped=2)
    data = decisions.join(header, [decisions.encode(each) for each in found])
    store.write_decisions(PRODUCTION, hour_of(at), name, pack(data))


def read(engine: Engine, store: MemoryStore, *, at: dt.datetime = AT, bounds: Bounds | None = None) -> int:
    return read_recorded(engine, store, PRODUCTION, bounds or Bounds(), clock=lambda: at)


def count(engine: Engine, table: type[RecordedCall] | type[RecordedBatch] = RecordedCall) -> int:
    with transaction(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def batch(engine: Engine, name: str) -> RecordedBatch:
    with transaction(engine) as session:
        return session.scalars(select(RecordedBatch).where(RecordedBatch.name == name)).one()


def test_from_the_store_into_the_table(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One database for the whole story: each step is a turn of the worker."""
    store = Moody()
    assert read(engine, store) == 0

    # Each batch is read once, also by a second worker and after a restart.
    write(store, "one", decision(at=AT), decision(at=AT - HOUR, parameters={"goal": "Grow"}))
    assert [read(engine, store), read(engine, store)] == [2, 0]
    assert (batch(engine, "one").calls, batch(engine, "one").dropped) == (2, 2)

    # What arrives in an hour that is just over is not missed, nor what came while no worker ran.
    write(store, "late", decision(at=AT), at=AT)
    write(store, "meanwhile", decision(at=AT + 3 * HOUR), at=AT + 3 * HOUR)
    assert read(engine, store, at=AT + 5 * HOUR) == 2

    # What cannot be read is noted, and hides nothing.
    later = AT + 5 * HOUR
    store.write_decisions(PRODUCTION, hour_of(later), "torn", pack(b"0" * 1_000)[:-5])
    store.write_decisions(PRODUCTION, hour_of(later), "nonsense", pack(b"not a batch"))
    write(store, "elsewhere", decision(at=later), at=later, environment="staging")
    bad = [
        decision(at=later + HOUR),
        decision(at=later - 8 * 24 * HOUR),
        decision(at=later, interaction="A\x00"),
    ]
    write(store, "half", *bad, decision(at=later), at=later)
    assert [read(engine, store, at=later), read(engine, store, at=later)] == [1, 0]
    assert [bool(batch(engine, name).problem) for name in ("torn", "nonsense", "elsewhere", "half")] == [
        True,
        True,
        True,
        False,
    ]
    assert batch(engine, "half").unreadable == 3

    # More than are read in one turn wait for the next, wherever the clock stands then.
    monkeypatch.setattr(reading, "MOST_BATCHES", 2)
    for number in range(5):
        write(store, f"many-{number}", decision(at=later), at=later)
    turns = [read(engine, store, at=later + number * HOUR) for number in range(4)]
    assert (turns[:3], sum(turns)) == ([2, 2, 1], 5)

    # One that the store keeps back hides none of those after it, and is read when it is given.
    store.kept_back = {"a-kept-back"}
    for name in ("a-kept-back", "b-given"):
        write(store, name, decision(at=later), at=later)
    before = count(engine)
    with pytest.raises(StoreUnavailable, match="kept back"):
        read(engine, store, at=later)
    assert count(engine) == before + 1
    store.kept_back = set()
    assert read(engine, store, at=later) == 1

    # No more calls are kept than wanted: the newest.
    read(engine, store, at=later, bounds=Bounds(rows=3))
    assert count(engine) == 3

    # What is older than it may become is gone, here even while the store is down, and in the store.
    much_later = later + 8 * 24 * HOUR
    write(store, "of-a-clock-that-is-years-ahead", decision(at=later), at=later + 9_000 * HOUR)
    store.is_down = True
    with pytest.raises(StoreUnavailable, match="down"):
        read(engine, store, at=much_later)
    assert count(engine) == 0
    store.is_down = False
    read(engine, store, at=much_later)
    assert list(store.list_decision_hours(PRODUCTION)) == []
    read(engine, store, at=much_later + 3 * 24 * HOUR)
    assert count(engine, RecordedBatch) == 0


def test_two_workers_read_a_batch_once(first_data: Session) -> None:
    found = decisions.Batch(Header(environment=PRODUCTION, process="web-1", rate=1), [decision(at=AT)])
    kept = [
        reading.keep(first_data, PRODUCTION, hour_of(AT), "one", found, at=AT, bounds=Bounds())
        for _ in range(2)
    ]
    assert kept == [1, 0]
