"""A client over a long time: stores that are never there, a thousand releases, a clock that jumps, memory."""

import asyncio
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from controlplane.runtime import Client
from controlplane.runtime.stores.file import FileStore
from tests.runtime import releases
from tests.runtime.faults import FaultyStore, release_bytes
from tests.runtime.outages.proxy import hasty_store
from tests.runtime.serving import GOOD, NEXT, eventually, gone, publish, stamped, temperature, torn

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def test_without_any_store_from_beginning_to_end_nothing_fails(tmp_path: Path) -> None:
    earlier = FaultyStore()
    earlier.publish(5, GOOD)
    Client(earlier, "production", disk=tmp_path).refresh()
    client = Client(
        hasty_store(NOBODY), "production", disk=tmp_path, poll_seconds=0.01, switches_seconds=0.01
    ).start()
    assert (client.state.source, client.state.release) == ("disk", 5)
    assert [temperature(client) for _ in range(5000)] == [0.5] * 5000
    eventually(lambda: client.failures > 1)
    assert temperature(client) == 0.5
    assert client.state.last_error
    assert client.state.switches_error
    client.close()


async def test_the_same_from_a_loop(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    publish(store, 1, GOOD)
    async with Client(store, "production", poll_seconds=0.01) as client:
        assert await client.view_async("UNCONFIGURED") is client.snapshot is not None
        publish(store, 2, NEXT)
        async with asyncio.timeout(30):
            while temperature(client) != 0.6:
                await asyncio.sleep(0.01)


def test_a_thousand_releases_under_reading_never_show_two_at_once() -> None:
    store = FaultyStore()
    store.publish(1, stamped(1))
    client = Client(store, "production")
    assert client.refresh()
    wrong: list[object] = []
    seen: list[list[int]] = [[], []]
    done = threading.Event()

    def read(own: list[int]) -> None:
        while not done.is_set():
            found = torn(client)
            if found is not None:
                wrong.append(found)
            live = client.snapshot
            assert live is not None
            if not own or own[-1] != live.release:
                own.append(live.release)
            time.sleep(0.0002)  # readers that spin only keep the publisher from its thousand

    threads = [threading.Thread(target=read, args=(own,)) for own in seen]
    for thread in threads:
        thread.start()
    for release in range(2, 1002):
        store.publish(release, stamped(release))
        assert client.refresh(), client.state
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    for own in seen:
        assert own == sorted(own), "no reader ever saw a release go back"
        assert len(own) > 10


def test_good_and_bad_releases_that_alternate_every_time_leave_the_last_good_one() -> None:
    store = FaultyStore()
    client = Client(store, "production")
    for release in range(1, 101):
        bad = release % 2 == 0
        store.publish(release, b"rubbish %d" % release if bad else release_bytes(release / 1000))
        assert client.refresh() is not bad
        assert temperature(client) == (release - bad) / 1000
    assert store.downloads == 100


def test_back_to_the_content_of_the_first_release_and_forth_again() -> None:
    store = FaultyStore()
    client = Client(store, "production")
    for release, data, wanted in ((1, GOOD, 0.5), (2, NEXT, 0.6), (3, GOOD, 0.5), (4, NEXT, 0.6)):
        store.publish(release, data)
        assert client.refresh()
        assert (temperature(client), client.state.release) == (wanted, release)


def test_a_hundred_swaps_leave_nothing_behind() -> None:
    """Each release has a few hundred kilobytes of texts of its own; a leak of one in ten would show."""
    store = FaultyStore()
    client = Client(store, "production")

    def swap(release: int) -> None:
        documents = releases.documents()
        for number in range(100):
            documents[f"tier/t{number}"] = {"name": f"{release}-{number} " + "x" * 2000, "rank": number}
        data = release_bytes(entries=documents)
        store.publish(release, data)
        assert client.refresh(), client.state
        store._snapshots.clear()

    for release in range(1, 11):
        swap(release)
    tracemalloc.start()
    swap(11)
    before, _ = tracemalloc.get_traced_memory()
    for release in range(12, 112):
        swap(release)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1_000_000, "one release more or less, not a hundred of them"


@pytest.mark.parametrize("days", [-1, 1])
def test_a_wall_clock_that_jumps_a_day_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days: int
) -> None:
    store = FaultyStore()
    store.publish(1, GOOD)
    client = Client(store, "production", disk=tmp_path)
    assert client.refresh()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + days * 86_400)
    age = client.state.age_seconds
    assert age is not None
    assert age < 3600
    store.publish(2, NEXT)
    assert client.refresh()
    cold = Client(gone(store), "production", disk=tmp_path)
    cold.refresh()
    assert temperature(cold) == 0.6
    assert cold.state.age_seconds is not None
    assert cold.state.age_seconds >= 0
