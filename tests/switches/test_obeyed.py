"""From the site to a running process: what is thrown and lifted there is obeyed within a look at the store."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from controlplane.accounts.actor import Actor, Role
from controlplane.db import transaction
from controlplane.runtime import Client
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.signing import Signer, new_key_pair
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.file import FileStore
from controlplane.switches.export import bring_up
from controlplane.switches.services import lift, throw
from tests.runtime.emulator import emulator, make_store
from tests.runtime.faults import pointer_to
from tests.runtime.serving import GOOD, eventually, temperature

CODE = "COACHING_RESPONSE"
REASON = "It answers nonsense since ten o'clock."
GRACE = Actor(kind="person", id="grace", name="Grace Hopper", role=Role.ON_CALL, via="browser")
KEYS = new_key_pair("worker")
ENVIRON = {"CONTROLPLANE_PUBLIC_KEYS": KEYS.public}
OFTEN = 0.02


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with emulator() as url:
        yield url


@pytest.fixture(params=["file", "aws"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    if request.param == "file":
        return FileStore(tmp_path)
    store = make_store(request.getfixturevalue("aws_url"), f"switches-{os.urandom(4).hex()}")
    store.ensure()
    return store


@pytest.fixture
def signer() -> Signer:
    signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": KEYS.signing})
    assert signer is not None
    return signer


def publish(store: ReleaseStore, signer: Signer, release: int, data: bytes) -> None:
    pointer = signer.sign(pointer_to(data, release))
    store.write_snapshot("production", pointer.sha256, data)
    assert store.move_pointer(pointer)


def turn_both_ways(
    engine: Engine, store: ReleaseStore, signer: Signer, reader: Client, target: str | None
) -> None:
    """Throw and lift, and see the reader do so without being asked."""
    for turn, thrown in ((throw, True), (lift, False)):
        with transaction(engine) as session:
            turn(session, "production", target, reason=REASON, actor=GRACE)
        bring_up(engine, store, "production", signer)
        eventually(lambda thrown=thrown: (reader.switches.thrown(CODE) is not None) == thrown)  # type: ignore[misc]
        assert reader.switches.thrown("KPI_ANALYSIS") is None or target is None
        assert reader.state.switches_error is None


@pytest.mark.parametrize("target", [CODE, None], ids=["one interaction", "everything"])
def test_a_process_obeys_both_ways_with_a_good_release_and_with_a_refused_one(
    engine: Engine, store: ReleaseStore, signer: Signer, target: str | None
) -> None:
    publish(store, signer, 1, GOOD)
    with Client(store, "production", poll_seconds=OFTEN, switches_seconds=OFTEN, environ=ENVIRON) as reader:
        turn_both_ways(engine, store, signer, reader, target)
        publish(store, signer, 2, b"rubbish")
        eventually(lambda: reader.state.quarantined is not None)
        turn_both_ways(engine, store, signer, reader, target)
        assert temperature(reader) == 0.5, "the release that was good is served all the while"


def test_a_process_that_looks_up_single_entries_obeys_too(
    engine: Engine, store: ReleaseStore, signer: Signer
) -> None:
    publish(store, signer, 1, GOOD)
    reader = LookupSource(store, "production", environ=ENVIRON)
    for turn, thrown in ((throw, ("everything",)), (lift, ())):
        with transaction(engine) as session:
            turn(session, "production", None, reason=REASON, actor=GRACE)
        bring_up(engine, store, "production", signer)
        reader.refresh()
        assert (reader.state.thrown, reader.state.switches_error) == (thrown, None)


def test_what_was_not_signed_is_obeyed_by_nobody_until_it_is(
    engine: Engine, store: ReleaseStore, signer: Signer
) -> None:
    reader = Client(store, "production", environ=ENVIRON)
    with transaction(engine) as session:
        throw(session, "production", CODE, reason=REASON, actor=GRACE)
    for with_key, thrown in ((None, ()), (signer, (CODE,))):
        bring_up(engine, store, "production", with_key)
        reader.refresh()
        assert reader.state.thrown == thrown


def test_a_process_that_starts_afterwards_obeys_from_its_first_look(
    engine: Engine, store: ReleaseStore, signer: Signer, tmp_path: Path
) -> None:
    with transaction(engine) as session:
        throw(session, "production", None, reason=REASON, actor=GRACE)
    bring_up(engine, store, "production", signer)
    with Client(store, "production", environ=ENVIRON) as reader:
        assert reader.state.thrown == ("everything",)
