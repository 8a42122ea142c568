import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.runtime import Client, Request, resolve
from controlplane.runtime.errors import ConfigurationNotFoundError, StoreUnavailable
from controlplane.runtime.services import LLMConfigurationService
from tests.runtime import releases
from tests.runtime.faults import FaultyStore, Hang, raises, release_bytes
from tests.runtime.serving import GOOD, NEXT, NOW, eventually, publish, stamped, temperature


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def warm(store: FaultyStore) -> Client:
    store.publish(5, GOOD)
    client = Client(store, "production")
    assert client.refresh()
    return client


def test_a_hanging_store_stops_neither_the_start_nor_the_readers(store: FaultyStore, tmp_path: Path) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    store.publish(6, NEXT)
    hang = Hang()
    store.object_fault = hang
    client = Client(store, "production", disk=tmp_path, poll_seconds=0.01).start()
    assert hang.waiting.wait(30)
    assert temperature(client) == 0.5
    store.heal()
    hang.let_go()
    eventually(lambda: temperature(client) == 0.6)
    client.close()


def test_a_start_without_store_and_disk_returns_with_nothing_and_says_why() -> None:
    store = FaultyStore()
    store.pointer_fault = raises(StoreUnavailable("nobody answers"))  # type: ignore[assignment]
    client = Client(store, "production").start()
    assert client.snapshot is None
    assert not client.wait_ready(0)
    assert (client.state.source, client.state.age_seconds) == ("none", None)
    assert client.state.last_error == "nobody answers"
    client.close()


def test_a_started_client_follows_the_store_by_itself(store: FaultyStore) -> None:
    client = Client(store, "production", poll_seconds=0.01).start()
    assert client.snapshot is None
    store.publish(1, GOOD)
    assert client.wait_ready(30)
    assert temperature(client) == 0.5
    store.publish(2, NEXT)
    eventually(lambda: temperature(client) == 0.6)
    assert client.state.source == "store"
    client.close()
    store.publish(3, GOOD)
    assert temperature(client) == 0.6


def test_requests_read_while_releases_come_and_never_see_two_of_them(
    store: FaultyStore, warm: Client
) -> None:
    """Each release says its number in a configuration and in a prompt: a reader compares the two."""
    torn: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            live = warm.snapshot
            assert live is not None
            found = resolve(live, Request("UNCONFIGURED"), now=NOW)
            if found.release != live.release or f"release {found.variant.max_tokens} " not in live.body(
                found.prompt.sha256
            ):
                torn.append((found.release, live.release))

    first = stamped(6)
    store.publish(6, first)
    assert warm.refresh(), warm.state
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for release in range(7, 30):
        store.publish(release, stamped(release))
        assert warm.refresh(), warm.state
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_goes_on_following_the_store(tmp_path: Path) -> None:
    from controlplane.runtime.stores.file import FileStore

    store = FileStore(tmp_path)
    publish(store, 1, GOOD)
    client = Client(store, "production", poll_seconds=0.01).start()
    assert temperature(client) == 0.5
    child = os.fork()
    if child == 0:
        publish(store, 2, NEXT)
        deadline = time.monotonic() + 20
        while temperature(client) != 0.6 and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if temperature(client) == 0.6 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.close()


def test_age_counts_from_the_last_time_the_store_confirmed(store: FaultyStore, warm: Client) -> None:
    warm.refresh()
    confirmed = warm.state.age_seconds
    store.pointer_fault = raises(StoreUnavailable("gone"))  # type: ignore[assignment]
    warm.refresh()
    assert confirmed is not None
    assert warm.state.age_seconds is not None
    assert warm.state.age_seconds > confirmed


def test_prompts_that_did_not_change_are_not_compiled_again(store: FaultyStore, warm: Client) -> None:
    from controlplane.runtime.acceptance import compiled_prompt

    (sha256,) = list(json.loads(GOOD)["prompts"])[:1]
    assert warm.snapshot
    before = compiled_prompt(warm.snapshot, sha256)
    store.publish(6, NEXT)
    warm.refresh()
    assert compiled_prompt(warm.snapshot, sha256) is before


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_client_that_would_ask_without_pause_is_not_made(store: FaultyStore, seconds: float) -> None:
    with pytest.raises(ValueError, match="poll_seconds"):
        Client(store, "production", poll_seconds=seconds)


@pytest.mark.parametrize("environment", ["", "Production", "../etc", "a/b"])
def test_a_client_of_no_environment_is_not_made(store: FaultyStore, environment: str) -> None:
    with pytest.raises(ValueError, match="environment code"):
        Client(store, environment)


async def test_effective_dates_count_at_the_moment_of_the_call_and_need_no_release(
    store: FaultyStore,
) -> None:
    begins, day = datetime(2027, 1, 1, tzinfo=UTC), timedelta(days=1)
    documents = releases.documents()
    row = documents["configuration/*/default/*"]
    row["variants"][0]["effective_from"] = begins.isoformat().replace("+00:00", "Z")
    row["variants"][0]["effective_until"] = (begins + 2 * day).isoformat().replace("+00:00", "Z")
    store.publish(1, release_bytes(entries=documents))
    instant = timedelta(microseconds=1)
    moments = {
        begins - day: None,
        begins - instant: None,
        begins: 0.5,
        begins + day: 0.5,
        begins + 2 * day - instant: 0.5,
        begins + 2 * day: None,
        begins + 3 * day: None,
        begins + instant: 0.5,
    }
    asked = iter(moments)
    with Client(store, "production") as client:
        service = LLMConfigurationService(client, clock=lambda: next(asked))
        for temperature_then in moments.values():
            if temperature_then is None:
                with pytest.raises(ConfigurationNotFoundError):
                    await service.resolve_configuration("UNCONFIGURED")
            else:
                found = await service.resolve_configuration("UNCONFIGURED")
                assert found.variant.temperature == temperature_then
    assert store.downloads == 1


def test_a_system_that_gives_no_more_threads_stops_neither_the_start_nor_the_end(
    store: FaultyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        client = Client(store, "production", disk=tmp_path).start()
        client.close()
    assert (temperature(client), client.state.source) == (0.5, "disk")
    assert "nothing is kept fresh" in str(client.state.last_error)
    with client:
        assert client.state.source == "store"
