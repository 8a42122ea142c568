from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime import Client, snapshot
from controlplane.runtime.canonical import digest
from controlplane.runtime.errors import StoreError, StoreUnavailable
from controlplane.runtime.stores import Pointer
from tests.runtime import releases
from tests.runtime.faults import FaultyStore, pointer_to, raises, release_bytes
from tests.runtime.serving import GOOD, NEXT, temperature


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
