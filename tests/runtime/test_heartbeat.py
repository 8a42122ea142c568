import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime import Client
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.metrics import SERIES_LIMIT, Metrics
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT
from controlplane.runtime.stores.file import FileStore
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime.faults import FaultyStore, release_bytes


def served(store: FaultyStore) -> Client:
    store.publish(4, release_bytes())
    client = Client(store, "production", environ={})
    assert client.refresh()
    return client


def told_by(heartbeat: Heartbeat, store: MemoryStore) -> Any:
    return json.loads(store.read_heartbeats("production")[heartbeat.process])


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_process_tells_what_it_serves_and_how_its_calls_go() -> None:
    store, metrics = FaultyStore(), Metrics("production")
    client = served(store)
    metrics.lookup("COACHING_RESPONSE", "premium", "LARGE", 7, 2e-6)
    metrics.error("COACHING_RESPONSE", "timeout", tier="premium", model="LARGE", variant=7)
    heartbeat = Heartbeat(store, client, metrics)
    assert heartbeat.beat()

    told = told_by(heartbeat, store)
    assert client.snapshot is not None
    assert (told["environment"], told["release"], told["sha256"]) == (
        "production",
        4,
        client.snapshot.sha256,
    )
    assert (told["source"], told["last_error"], told["schema"]) == ("store", None, 1)
    assert told["process"].split(":")[1] == str(os.getpid())
    assert told["versions"]["python"].startswith("3.")
    assert sum(told["metrics"]["lookup"]["counts"]) == 1
    assert told["metrics"]["errors"] == {"timeout": 1}
    assert [one["variant"] for one in told["metrics"]["variants"]] == [7]
    assert told["variants_left_out"] == 0
    assert told["started"] <= told["written"]


def test_a_process_that_serves_nothing_tells_that_too() -> None:
    store = MemoryStore()
    client = Client(store, "production", environ={})
    client.refresh()
    heartbeat = Heartbeat(store, client, Metrics("production"))
    assert heartbeat.beat()
    told = told_by(heartbeat, store)
    assert (told["release"], told["sha256"]) == (None, None)
    assert "no release" in told["last_error"]


def test_two_of_one_process_have_names_of_their_own() -> None:
    store = MemoryStore()
    client = Client(store, "production", environ={})
    one, two = (Heartbeat(store, client, Metrics()) for _ in range(2))
    assert one.beat()
    assert two.beat()
    assert set(store.read_heartbeats("production")) == {one.process, two.process}


def test_however_much_was_counted_a_beat_fits_and_keeps_the_busiest() -> None:
    store, metrics = FaultyStore(), Metrics("production")
    for number in range(SERIES_LIMIT):
        for _ in range(3 if number == 700 else 1):
            metrics.answered(
                f"INTERACTION_{number}_{'x' * 80}",
                "premium",
                "LARGE",
                number,
                path="configuration",
                seconds=1.0,
                input_tokens=1,
                output_tokens=1,
                cost=None,
            )
    heartbeat = Heartbeat(store, served(store), metrics)
    assert heartbeat.beat()
    told = told_by(heartbeat, store)
    kept = told["metrics"]["variants"]
    assert len(heartbeat.document()) <= HEARTBEAT_LIMIT
    assert (kept[0]["variant"], kept[0]["calls"]) == (700, 3)
    assert len(kept) > 50
    assert len(heartbeat.document()) > HEARTBEAT_LIMIT - 1_024, "room is used"
    assert len(kept) + told["variants_left_out"] == SERIES_LIMIT
    assert sum(told["metrics"]["call"]["counts"]) == SERIES_LIMIT + 2


def test_the_variant_whose_every_call_fails_is_told_before_those_that_are_called_less() -> None:
    store, metrics = FaultyStore(), Metrics("production")
    for number in range(SERIES_LIMIT):
        metrics.answered(
            f"INTERACTION_{number}_{'x' * 80}",
            "premium",
            "LARGE",
            1,
            path="configuration",
            seconds=1.0,
            input_tokens=1,
            output_tokens=1,
            cost=None,
        )
    for _ in range(40):
        metrics.error("COACHING_RESPONSE", "timeout", tier="premium", model="SMALL", variant=2)
    heartbeat = Heartbeat(store, served(store), metrics)
    assert heartbeat.beat()
    told = told_by(heartbeat, store)
    assert told["variants_left_out"] > 0
    first = told["metrics"]["variants"][0]
    assert (first["interaction"], first["calls"], first["errors"]) == ("COACHING_RESPONSE", 0, 40)


def test_even_names_that_alone_are_too_long_leave_a_beat() -> None:
    store, metrics = FaultyStore(), Metrics("production")
    for number in range(SERIES_LIMIT):
        metrics.error("I", f"{number}{chr(0x10000) * 120}")
        metrics.fallback("I", "step", f"{number}{chr(0x10000) * 120}")
        metrics.path("I", f"{number}{chr(0x10000) * 120}")
    heartbeat = Heartbeat(store, served(store), metrics)
    assert heartbeat.beat()
    assert told_by(heartbeat, store)["release"] == 4


class Broken(FaultyStore):
    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem: Exception | None = problem

    def write_heartbeat(self, environment: str, process: str, data: bytes, *, seconds: int) -> None:
        if self.problem is not None:
            raise self.problem
        super().write_heartbeat(environment, process, data, seconds=seconds)


@pytest.mark.parametrize("problem", [StoreUnavailable("gone"), RuntimeError("surprise")])
def test_a_store_that_fails_is_said_once_and_tried_again(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken(problem)
    heartbeat = Heartbeat(store, served(store), Metrics())
    assert not heartbeat.beat()
    assert not heartbeat.beat()
    assert str(problem) in (heartbeat.error or "")
    assert len([record for record in caplog.records if "no heartbeat" in record.message]) == 1
    store.problem = None
    assert heartbeat.beat()
    assert heartbeat.error is None


def test_a_thread_tells_again_and_again_and_says_goodbye(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    client = Client(store, "production", environ={})
    heartbeat = Heartbeat(store, client, Metrics("production"), seconds=0.01).start()
    written: set[str] = set()

    def told_twice() -> bool:
        for data in store.read_heartbeats("production").values():
            written.add(json.loads(data)["written"])
        return len(written) > 1

    wait_for(told_twice)
    heartbeat.close()
    assert store.read_heartbeats("production") == {}
    assert heartbeat.error is None
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat-production"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_is_a_process_of_its_own(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    client = Client(store, "production", environ={})
    heartbeat = Heartbeat(store, client, Metrics(), seconds=0.05).start()
    wait_for(lambda: heartbeat.process in store.read_heartbeats("production"))
    child = os.fork()
    if child == 0:
        try:
            wait_for(lambda: heartbeat.process in store.read_heartbeats("production"))
            os._exit(0 if heartbeat.process.split(":")[1] == str(os.getpid()) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(store.read_heartbeats("production")) == 2
    heartbeat.close()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_an_interval_is_more_than_nothing(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Heartbeat(MemoryStore(), Client(MemoryStore(), "production", environ={}), Metrics(), seconds=seconds)
