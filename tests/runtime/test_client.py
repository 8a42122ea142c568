import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime import Request, resolve, snapshot
from controlplane.runtime.canonical import digest
from controlplane.runtime.client import Client
from controlplane.runtime.errors import StoreError, StoreUnavailable
from controlplane.runtime.stores import Pointer
from tests.runtime import releases
from tests.runtime.faults import FaultyStore, Hang, pointer_to, raises, release_bytes

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GOOD = release_bytes(0.5)
NEXT = release_bytes(0.6)


def without_model() -> bytes:
    documents = releases.documents()
    del documents["model/SMALL"]
    return release_bytes(entries=documents)


def with_null_inside() -> bytes:
    documents = releases.documents()
    documents["configuration/*/default/*"]["variants"][0]["model"] = None
    return release_bytes(entries=documents)


def with_broken_prompt() -> bytes:
    body = "{% for x in y %}"
    documents = releases.documents()
    sha256 = digest(body.encode())
    documents["prompt/coaching_response"] |= {"sha256": sha256, "size": len(body), "version": 3}
    return snapshot.build(documents, {**releases.bodies(), sha256: body})


def almost_empty() -> bytes:
    kept = {key: value for key, value in releases.documents().items() if key.startswith("tier/")}
    return release_bytes(entries=kept)


# What a publisher gone wrong could put there: the pointer names these very bytes, hash and size are right.
PUBLISHED: dict[str, bytes] = {
    "truncated": NEXT[:-20],
    "empty": b"",
    "empty object": b"{}",
    "null": b"null",
    "a page of HTML": b"<!doctype html><title>503</title>",
    "null collection": b'{"entries":null,"prompts":{},"schema":1}',
    "null inside an entry": with_null_inside(),
    "no entries": b'{"entries":{},"prompts":{},"schema":1}',
    "almost no entries": almost_empty(),
    "a name that leads nowhere": without_model(),
    "a prompt that does not compile": with_broken_prompt(),
    "unknown schema": GOOD.replace(b'"schema":1', b'"schema":2'),
    "not a number": GOOD.replace(b'"temperature":0.5', b'"temperature":NaN'),
    "ten thousand levels": b'{"entries":' + b"[" * 10_000 + b"]" * 10_000 + b',"prompts":{},"schema":1}',
    "the same key twice": b'{"entries":{},"entries":{},"prompts":{},"schema":1}',
    "not UTF-8": b'{"entries":{"tier/\xff":{}},"prompts":{},"schema":1}',
}

# The first release of all may be as small as it likes.
BAD_AT_FIRST = {name: data for name, data in PUBLISHED.items() if name != "almost no entries"}

# What a store could hand over for a good release.
OBJECTS: dict[str, Callable[[], bytes]] = {
    "cut short": lambda: NEXT[:-1],
    "one bit flipped": lambda: NEXT[:100] + bytes([NEXT[100] ^ 1]) + NEXT[101:],
    "nothing": lambda: b"",
    "another release": lambda: GOOD,
    "something longer": lambda: NEXT + b" ",
    "not there yet": raises(StoreError("there is no object")),
    "server error": raises(StoreUnavailable("InternalError")),
    "not allowed": raises(StoreError("AccessDenied")),
    "a failure nobody thought of": raises(RuntimeError("surprise")),
}

# What a pointer could say about the next, good release.
POINTERS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "unreadable": raises(StoreError("the pointer is unreadable")),
    "server error": raises(StoreUnavailable("InternalError")),
    "not allowed": raises(StoreError("ExpiredToken")),
    "a failure nobody thought of": raises(KeyError("surprise")),
    "an older release": lambda: pointer_to(NEXT, 4),
    "this release with other content": lambda: pointer_to(NEXT, 5),
    "another environment's": lambda: pointer_to(NEXT, 6, environment="staging"),
    "unknown schema": lambda: pointer_to(NEXT, 6, schema=2),
    "a newer reader needed": lambda: pointer_to(NEXT, 6, minimum_reader=99),
    "wrong size": lambda: pointer_to(NEXT, 6, size=len(NEXT) - 1),
    "wrong hash": lambda: pointer_to(NEXT, 6, sha256="0" * 64),
    "far too large": lambda: pointer_to(NEXT, 6, size=10**12),
}


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def warm(store: FaultyStore) -> Client:
    store.publish(5, GOOD)
    client = Client(store, "production")
    assert client.refresh()
    return client


def temperature(client: Client) -> float | None:
    """What a request would be told now."""
    assert client.snapshot is not None
    return resolve(client.snapshot, Request("UNCONFIGURED"), now=NOW).variant.temperature


@pytest.mark.parametrize("data", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_bad_release_changes_nothing_for_a_running_client(
    store: FaultyStore, warm: Client, data: bytes
) -> None:
    bad = store.publish(6, data)
    for _ in range(3):
        assert not warm.refresh()
    assert temperature(warm) == 0.5
    assert warm.state.release == 5
    assert warm.state.last_error
    assert warm.state.quarantined == bad.sha256
    assert store.downloads == 2, "a refused release is not downloaded again"
    store.publish(7, NEXT)
    assert warm.refresh()
    assert temperature(warm) == 0.6
    assert warm.state.quarantined is None


@pytest.mark.parametrize("data", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_bad_release_does_not_stop_a_client_that_starts_from_its_disk(
    store: FaultyStore, tmp_path: Path, data: bytes
) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    store.publish(6, data)
    client = Client(store, "production", disk=tmp_path).start()
    client.refresh()
    assert temperature(client) == 0.5
    assert (client.state.source, client.state.release) == ("disk", 5)
    client.close()


@pytest.mark.parametrize("data", BAD_AT_FIRST.values(), ids=BAD_AT_FIRST.keys())
def test_a_bad_first_release_is_not_served_and_the_next_good_one_is(store: FaultyStore, data: bytes) -> None:
    store.publish(1, data)
    client = Client(store, "production").start()
    assert client.snapshot is None
    assert client.state.source == "none"
    store.publish(2, GOOD)
    assert client.refresh()
    assert temperature(client) == 0.5
    client.close()


@pytest.mark.parametrize("fault", OBJECTS.values(), ids=OBJECTS.keys())
def test_a_damaged_object_changes_nothing_and_is_tried_again(
    store: FaultyStore, warm: Client, fault: Callable[[], bytes]
) -> None:
    store.publish(6, NEXT)
    store.object_fault = fault
    assert not warm.refresh()
    assert temperature(warm) == 0.5
    assert warm.state.last_error
    assert warm.state.quarantined is None
    store.heal()
    assert warm.refresh(), "the same name, healed, is taken"
    assert temperature(warm) == 0.6


@pytest.mark.parametrize("fault", POINTERS.values(), ids=POINTERS.keys())
def test_a_bad_pointer_changes_nothing(
    store: FaultyStore, warm: Client, fault: Callable[[], Pointer | None]
) -> None:
    store.write_snapshot("production", pointer_to(NEXT, 6).sha256, NEXT)
    store.pointer_fault = fault
    assert not warm.refresh()
    assert temperature(warm) == 0.5
    assert warm.state.last_error
    store.heal()
    assert warm.refresh()
    assert warm.state.last_error is None


@pytest.mark.parametrize("fault", POINTERS.values(), ids=POINTERS.keys())
def test_a_bad_pointer_does_not_stop_a_start_from_the_disk(
    store: FaultyStore, tmp_path: Path, fault: Callable[[], Pointer | None]
) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    store.pointer_fault = fault
    client = Client(store, "production", disk=tmp_path).start()
    assert temperature(client) == 0.5
    assert client.state.source == "disk"
    client.close()


def test_a_pointer_over_the_ceiling_is_refused_before_anything_is_downloaded(
    store: FaultyStore, warm: Client
) -> None:
    store.pointer_fault = lambda: pointer_to(NEXT, 6, size=10**12)
    before = store.downloads
    assert not warm.refresh()
    assert store.downloads == before


def test_good_and_bad_releases_that_alternate_leave_the_last_good_one(
    store: FaultyStore, warm: Client
) -> None:
    for release in range(6, 16):
        bad = release % 2 == 0
        store.publish(release, b"rubbish %d" % release if bad else release_bytes(release / 100))
        assert warm.refresh() is not bad
    assert temperature(warm) == 0.15


def test_a_rollback_to_the_content_of_the_first_release_is_followed(store: FaultyStore, warm: Client) -> None:
    store.publish(6, NEXT)
    warm.refresh()
    store.publish(7, GOOD)
    assert warm.refresh()
    assert (temperature(warm), warm.state.release) == (0.5, 7)


def test_losing_most_entries_is_taken_when_the_publisher_says_so(store: FaultyStore, warm: Client) -> None:
    store.publish(6, almost_empty(), allow_shrink=True)
    assert warm.refresh()
    assert warm.state.release == 6


def test_an_empty_release_is_refused_even_when_shrinking_is_allowed(store: FaultyStore, warm: Client) -> None:
    store.publish(6, PUBLISHED["no entries"], allow_shrink=True)
    assert not warm.refresh()
    assert temperature(warm) == 0.5


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


def stamped(release: int) -> bytes:
    body = f"This is release {release} speaking."
    sha256 = digest(body.encode())
    documents = releases.documents()
    documents["prompt/coaching_response"] |= {"sha256": sha256, "size": len(body), "version": release}
    documents["configuration/*/default/*"]["variants"][0]["max_tokens"] = release
    return snapshot.build(documents, {**releases.bodies(), sha256: body})


def test_three_releases_are_kept_on_disk_and_the_newest_whole_one_is_used(
    store: FaultyStore, tmp_path: Path
) -> None:
    writer = Client(store, "production", disk=tmp_path)
    for release in range(1, 6):
        store.publish(release, release_bytes(release / 10))
        writer.refresh()
    copies = sorted((tmp_path / "production").iterdir())
    assert [int(path.stem) for path in copies] == [3, 4, 5]
    copies[2].write_bytes(copies[2].read_bytes()[:-10])
    copies[1].write_bytes(b"")
    store.pointer_fault = raises(StoreUnavailable("gone"))  # type: ignore[assignment]
    client = Client(store, "production", disk=tmp_path).start()
    assert (temperature(client), client.state.release, client.state.source) == (0.3, 3, "disk")
    client.close()


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "symlink", "folder", "pointer", "unreadable"])
def test_a_damaged_disk_copy_is_passed_over(store: FaultyStore, tmp_path: Path, damage: str) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    (path,) = (tmp_path / "production").iterdir()
    content = path.read_bytes()
    path.unlink()
    if damage == "symlink":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {
                "bit": content[:-50] + bytes([content[-50] ^ 1]) + content[-49:],
                "cut": content[:-1],
                "empty": b"",
                "pointer": b"{}\n" + content.partition(b"\n")[2],
                "unreadable": b"\xff" * 500,
            }[damage]
        )
    client = Client(store, "production", disk=tmp_path)
    store.pointer_fault = raises(StoreUnavailable("gone"))  # type: ignore[assignment]
    client.start()
    assert client.snapshot is None
    store.heal()
    assert client.refresh()
    assert temperature(client) == 0.5
    client.close()


def test_a_disk_that_cannot_be_written_is_said_and_harms_nothing(store: FaultyStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store.publish(5, GOOD)
    client = Client(store, "production", disk=tmp_path / "file")
    assert client.refresh()
    assert temperature(client) == 0.5
    assert client.state.disk_error
    assert client.state.last_error is None


def test_a_release_from_disk_keeps_an_older_one_in_the_store_out(store: FaultyStore, tmp_path: Path) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    restored = FaultyStore()
    restored.publish(3, NEXT)
    client = Client(restored, "production", disk=tmp_path).start()
    assert not client.refresh()
    assert temperature(client) == 0.5
    client.close()


def test_writers_killed_at_any_moment_leave_a_disk_copy_that_loads(
    store: FaultyStore, tmp_path: Path
) -> None:
    script = (
        "import sys, itertools\n"
        "from pathlib import Path\n"
        "from controlplane.runtime.disk import DiskCopy\n"
        "from controlplane.runtime.stores import Pointer\n"
        "pointer = Pointer.from_json(sys.stdin.buffer.readline())\n"
        "data = sys.stdin.buffer.read()\n"
        "disk = DiskCopy(Path(sys.argv[1]))\n"
        "for turn in itertools.count():\n"
        "    disk.save(pointer, data)\n"
        "    if turn == 2: print('writing', flush=True)\n"
    )
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "production")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write(pointer_to(GOOD, 5).to_json() + b"\n" + GOOD)
        writer.stdin.close()
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        client = Client(FaultyStore(), "production", disk=tmp_path).start()
        assert temperature(client) == 0.5
        client.close()


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


def publish(store: Any, release: int, data: bytes) -> None:
    pointer = pointer_to(data, release)
    store.write_snapshot("production", pointer.sha256, data)
    store.move_pointer(pointer)


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


def eventually(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
