"""The sixteen bad payloads: at the pointer and at the object, for a running client and for one that starts.

Over HTTP, through the real store, with signatures required. None may change what is served, or raise.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.runtime import Client, Pointer
from controlplane.runtime.signing import KeyPair, Signer, Verifier, new_key_pair
from controlplane.runtime.stores import items
from tests.runtime import releases
from tests.runtime.emulator import emulator, make_store
from tests.runtime.faults import pointer_to, release_bytes
from tests.runtime.outages.proxy import Answer, Fault, HastyStore, Place, Proxy, hasty_store, proxy_before
from tests.runtime.serving import GOOD, NEXT, eventually, temperature

OURS, THEIRS = new_key_pair("ours"), new_key_pair("theirs")


def signer(pair: KeyPair) -> Signer:
    found = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pair.signing})
    assert found is not None
    return found


SIGNER, STRANGER = signer(OURS), signer(THEIRS)
VERIFIER = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": OURS.public})
EARLIER = release_bytes(0.4)
environments = (f"e{number}" for number in itertools.count())


def null_inside() -> bytes:
    documents = releases.documents()
    documents["configuration/*/default/*"]["variants"][0]["model"] = None
    return release_bytes(entries=documents)


# --- one way to answer for both ---------------------------------------------------------------------------------------


def always(status: int, body: bytes, kind: str = "application/json") -> Fault:
    return lambda _: Answer(status, body, kind)


def cut(answer: Answer) -> Answer:
    return answer._replace(body=answer.body[: len(answer.body) // 2])


class Hang:
    """No answer before the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, answer: Answer) -> Answer:
        self.over.wait(20)
        return answer


HANG = Hang()
NO_ANSWER = "no answer at all"
WIRE: dict[str, Fault] = {
    "truncated": cut,
    "HTTP 500": always(500, b'{"__type":"InternalServerError"}'),
    "empty": always(200, b""),
    "{}": always(200, b"{}"),
    "null": always(200, b"null"),
    "a page of HTML": always(200, b"<!doctype html><title>Sign in</title>", "text/html"),
    "HTTP 401": always(401, b'{"__type":"UnrecognizedClientException"}'),
    NO_ANSWER: HANG,
}


# --- pointers ---------------------------------------------------------------------------------------------------------


def item(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The pointer's item with something done to it."""

    def fault(answer: Answer) -> Answer:
        found = json.loads(answer.body)
        change(found)
        return answer._replace(body=json.dumps(found).encode())

    return fault


def shown(make: Callable[[str], Pointer]) -> Callable[[str], Fault]:
    """Another pointer instead of the live one."""

    def fault(environment: str) -> Fault:
        attributes = items.attributes(make(environment).to_document())
        return item(lambda found: found["Item"].update(attributes))

    return fault


def plain(fault: Fault) -> Callable[[str], Fault]:
    return lambda _environment: fault


def forged(environment: str) -> Pointer:
    """The live pointer's signature under other words."""
    signed = SIGNER.sign(pointer_to(NEXT, 6, environment=environment))
    return msgspec.structs.replace(signed, release=7)


POINTERS: dict[str, Callable[[str], Fault]] = {
    **{name: plain(fault) for name, fault in WIRE.items()},
    "a null collection": plain(always(200, b'{"Item":null}')),
    "a null inside": plain(item(lambda found: found["Item"].update(sha256={"NULL": True}))),
    "nothing in it": plain(always(200, b'{"Item":{}}')),
    "an older one": shown(lambda name: SIGNER.sign(pointer_to(EARLIER, 4, environment=name))),
    "a wrong signature": shown(forged),
    "an unknown key": shown(lambda name: STRANGER.sign(pointer_to(NEXT, 6, environment=name))),
    "another environment's": shown(lambda _: SIGNER.sign(pointer_to(NEXT, 6, environment="staging"))),
    "the same release, signed before with other content": shown(
        lambda name: SIGNER.sign(pointer_to(EARLIER, 5, environment=name))
    ),
}

# --- objects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """Bytes that were published: the pointer names them, and is signed."""

    data: bytes


OBJECTS: dict[str, Fault | Published] = {
    **{f"on the wire: {name}": fault for name, fault in WIRE.items() if name not in {"{}", "null"}},
    "truncated": Published(NEXT[:-20]),
    "empty": Published(b""),
    "{}": Published(b"{}"),
    "null": Published(b"null"),
    "a page of HTML": Published(b"<!doctype html><title>503</title>"),
    "a null collection": Published(b'{"entries":null,"prompts":{},"schema":1}'),
    "a null inside": Published(null_inside()),
    "nothing in it": Published(b'{"entries":{},"prompts":{},"schema":1}'),
    "not gzip": always(200, b"\x1f\x8b" + b"x" * 50, "application/gzip"),
    "an older release's bytes": Published(NEXT),  # what the wire gives instead is set below
}


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with emulator() as url, proxy_before(url) as proxy:
        make_store(url, "releases").ensure()
        yield proxy
        HANG.over.set()


@pytest.fixture(scope="module")
def store(proxy: Proxy) -> HastyStore:
    return hasty_store(proxy.url)


@pytest.fixture(scope="module")
def impatient(proxy: Proxy) -> HastyStore:
    return hasty_store(proxy.url, patience=0.3)


@pytest.fixture
def read_from(store: HastyStore, impatient: HastyStore, name: str) -> HastyStore:
    """Where the client reads: only who is given no answer must give up soon; others wait for a busy machine."""
    return impatient if name.endswith(NO_ANSWER) else store


@pytest.fixture
def environment(proxy: Proxy, store: HastyStore) -> Iterator[str]:
    """An environment of its own, with release 5; whatever happens, the next test begins with a healthy store."""
    name = next(environments)
    put(store, name, 5, GOOD)
    yield name
    proxy.heal()


def put(store: HastyStore, environment: str, release: int, data: bytes) -> None:
    pointer = SIGNER.sign(pointer_to(data, release, environment=environment))
    store.write_snapshot(environment, pointer.sha256, data)
    assert store.move_pointer(pointer)


def client_of(store: HastyStore, environment: str, disk: Path | None = None) -> Client:
    return Client(store, environment, disk=disk, verifier=VERIFIER, poll_seconds=3600, switches_seconds=3600)


def inflict(proxy: Proxy, store: HastyStore, environment: str, place: Place, name: str) -> None:
    """Publish release 6, and let the fault stand between it and the client."""
    if place == "pointer":
        put(store, environment, 6, NEXT)
        proxy.faults["pointer"] = POINTERS[name](environment)
        return
    fault = OBJECTS[name]
    put(store, environment, 6, fault.data if isinstance(fault, Published) else NEXT)
    if not isinstance(fault, Published):
        proxy.faults["object"] = fault
    elif name == "an older release's bytes":
        proxy.faults["object"] = lambda answer: answer._replace(body=packed(EARLIER))


def packed(data: bytes) -> bytes:
    from controlplane.runtime.stores.packing import pack

    return pack(data)


CASES = [("pointer", name) for name in POINTERS] + [("object", name) for name in OBJECTS]


def test_there_are_sixteen_for_each_place() -> None:
    assert len(POINTERS) == len(OBJECTS) == 16


@pytest.mark.parametrize(("place", "name"), CASES)
def test_a_running_client_serves_on(
    proxy: Proxy, store: HastyStore, read_from: HastyStore, environment: str, place: Place, name: str
) -> None:
    client = client_of(read_from, environment)
    follows(client, read_from, 5)
    inflict(proxy, store, environment, place, name)
    for _ in range(2):
        assert not client.refresh()
        assert (temperature(client), client.state.release) == (0.5, 5)
        assert client.state.last_error
    recovers(proxy, store, read_from, environment, client)


@pytest.mark.parametrize(("place", "name"), CASES)
def test_a_client_that_starts_serves_what_it_kept(
    proxy: Proxy,
    store: HastyStore,
    read_from: HastyStore,
    environment: str,
    place: Place,
    name: str,
    tmp_path: Path,
) -> None:
    assert client_of(store, environment, tmp_path).refresh()
    inflict(proxy, store, environment, place, name)
    client = client_of(read_from, environment, tmp_path).start()
    eventually(lambda: client.state.source == "disk")
    assert (temperature(client), client.state.release) == (0.5, 5)
    recovers(proxy, store, read_from, environment, client)
    client.close()


@pytest.mark.parametrize(("place", "name"), CASES)
def test_a_client_that_starts_with_nothing_comes_up_and_waits(
    proxy: Proxy, store: HastyStore, read_from: HastyStore, environment: str, place: Place, name: str
) -> None:
    inflict(proxy, store, environment, place, name)
    client = client_of(read_from, environment).start()
    if name == "an older one" or name.startswith("the same release"):
        # Whoever knows nothing cannot know that it is old; it is whole, and signed, but its bytes were never published.
        assert client.state.last_error
    # What is signed is served while its entries are looked at, and taken away when one of them is not as it must be.
    eventually(lambda: client.snapshot is None)
    recovers(proxy, store, read_from, environment, client)
    client.close()


def follows(client: Client, read_from: HastyStore, release: int) -> None:
    """Has the release at the first look; whoever gives up soon may have to look again."""
    if read_from.patience < HastyStore.patience:
        eventually(lambda: client.refresh() or client.state.release == release)
    else:
        assert client.refresh(), client.state


def recovers(
    proxy: Proxy, store: HastyStore, read_from: HastyStore, environment: str, client: Client
) -> None:
    proxy.heal()
    put(store, environment, 7, NEXT)
    follows(client, read_from, 7)
    assert (temperature(client), client.state.release) == (0.6, 7)
    assert (client.state.source, client.state.last_error, client.state.quarantined) == ("store", None, None)
