import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.releases.export import Outcome
from controlplane.releases.worker import Worker, backoff
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores import Pointer, ReleaseStore
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.runtime.switches import parse
from controlplane.switches.services import throw
from tests.clock import Clock
from tests.releases.changing import publish_saved, save_configuration, save_prompt
from tests.releases.faults import FaultyStore, unavailable
from tests.runtime.emulator import emulator, make_store


class OneInTrouble(FaultyStore):
    """The store, with one environment that it cannot serve."""

    troubled = "production"

    def read_pointer(self, environment: str) -> Pointer | None:
        if environment == self.troubled:
            unavailable()
        return super().read_pointer(environment)


def test_a_round_brings_every_environment_up_to_date(engine: Engine) -> None:
    clock, store = Clock(), MemoryStore()
    worker = Worker(engine, store, clock=clock)

    assert worker.round() == {"production": Outcome.MOVED, "staging": Outcome.MOVED}
    assert worker.round() == {}
    clock.now += worker.pause()
    assert worker.round() == {"production": Outcome.CURRENT, "staging": Outcome.CURRENT}


def test_one_environment_in_trouble_does_not_hold_up_another(engine: Engine) -> None:
    worker = Worker(engine, OneInTrouble(MemoryStore()), clock=Clock())

    assert worker.round() == {"production": None, "staging": Outcome.MOVED}


def test_what_fails_is_tried_again_later_and_later_but_a_publisher_is_not_kept_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.releases.worker.backoff", lambda failures: 10.0 * failures)
    clock, store = Clock(), OneInTrouble(MemoryStore())
    worker = Worker(engine, store, clock=clock)
    worker.round()

    clock.now += 9
    assert "production" not in worker.round()
    clock.now += 1
    assert worker.round()["production"] is None
    clock.now += 19
    assert "production" not in worker.round()
    store.troubled = "none"
    assert worker.round(woken=["production"])["production"] is Outcome.MOVED


def test_waiting_grows_to_a_bound_and_is_spread() -> None:
    longest = [backoff(failures, chance=lambda: 1.0) for failures in range(1, 40)]

    assert longest[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(longest) == 60.0
    assert backoff(5, chance=lambda: 0.0) == 0.0
    assert len({backoff(5) for _ in range(20)}) > 1


def test_table_and_bucket_are_prepared_at_the_start_and_after_every_failure(engine: Engine) -> None:
    prepared: list[int] = []
    store = FaultyStore(MemoryStore())
    worker = Worker(engine, store, prepare=lambda: prepared.append(1), clock=Clock())
    worker.round()
    worker.round(woken=["production", "staging"])
    assert len(prepared) == 1

    store.faults["before read_pointer"] = unavailable
    worker.round(woken=["production"])
    store.faults.clear()
    worker.round(woken=["production"])

    assert len(prepared) == 2


# The program itself, on real parts


@contextmanager
def running(database_url: str, aws_url: str, name: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL": aws_url,
        "CONTROLPLANE_TABLE": name,
        "CONTROLPLANE_BUCKET": name,
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "controlplane.worker"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            yield worker
        finally:
            worker.kill()


def until(reached: Callable[[], bool]) -> None:
    for _ in range(300):
        if reached():
            return
        time.sleep(0.1)
    raise AssertionError("not reached within 30 s")


def at(store: ReleaseStore, release: int) -> Callable[[], bool]:
    def reached() -> bool:
        pointer = store.read_pointer("production")
        return pointer is not None and pointer.release == release

    return reached


def says_everything_is_off(store: ReleaseStore) -> Callable[[], bool]:
    def reached() -> bool:
        data = store.read_switches("production")
        return data is not None and parse(data, environment="production", verifier=Verifier())[1].names() == (
            "everything",
        )

    return reached


def test_the_program_exports_survives_a_lost_connection_and_an_emptied_store_and_ends_when_told(
    engine: Engine, database_url: str
) -> None:
    with emulator() as aws_url, running(database_url, aws_url, "of-worker") as worker:
        store = make_store(aws_url, "of-worker")
        until(at(store, 1))

        with Session(engine) as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
                )
            )
            session.commit()
            save_configuration(session, temperature=0.3)
            publish_saved(session, "production")
            throw(
                session,
                "production",
                None,
                reason="To see it obeyed.",
                actor=Actor.system("tests", via="tests"),
            )
            session.commit()
        until(at(store, 2))
        until(says_everything_is_off(store))

        store.dynamodb.delete_table(TableName="of-worker")
        with Session(engine) as session:
            save_prompt(session)
            publish_saved(session, "production")
        until(at(store, 3))
        until(says_everything_is_off(store))

        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0


WAITS_IN_A_THREAD = """
import time
from concurrent.futures import ThreadPoolExecutor
from controlplane.worker import end_when_told
end_when_told()
with ThreadPoolExecutor(1) as pool:
    waiting = pool.submit(time.sleep, 60)
    print("ready", flush=True)
    waiting.result()
"""


def test_it_ends_when_told_although_a_thread_waits_for_the_store() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS_IN_A_THREAD], stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        waiting.send_signal(signal.SIGTERM)
        try:
            assert waiting.wait(20) == 0
        finally:
            waiting.kill()


def test_the_program_says_in_one_line_what_it_lacks() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}

    answer = subprocess.run(
        [sys.executable, "-m", "controlplane.worker"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 1
    assert answer.stderr.startswith("DATABASE_URL is not set")
    assert answer.stderr.count("\n") == 1
