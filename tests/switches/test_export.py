"""The document in the store: brought up from whatever is there, and obeyed by readers all the while."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import make_engine, now, transaction
from controlplane.runtime import Client
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.signing import KeyPair, Signer, Verifier, new_key_pair
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.file import FileStore
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.runtime.switches import KillSwitches, Switch, document, parse
from controlplane.switches.export import Outcome, bring_up
from controlplane.switches.models import KillSwitch, SwitchDocument
from controlplane.switches.services import lift, throw
from tests.conftest import Databases

CODE = "COACHING_RESPONSE"
REASON = "It answers nonsense since ten o'clock."
GRACE = Actor(kind="person", id="grace", name="Grace Hopper", role=Role.ON_CALL, via="browser")
KEYS = new_key_pair("worker")
LATER = 2**40


def signer_of(pair: KeyPair) -> Signer:
    signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pair.signing})
    assert signer is not None
    return signer


SIGNER = signer_of(KEYS)


def throw_in(engine: Engine, interaction: str | None = CODE) -> None:
    with transaction(engine) as session:
        throw(session, "production", interaction, reason=REASON, actor=GRACE)


def lift_in(engine: Engine, interaction: str | None = CODE) -> None:
    with transaction(engine) as session:
        lift(session, "production", interaction, reason=REASON, actor=GRACE)


def bring(engine: Engine, store: ReleaseStore, signer: Signer | None = None) -> Outcome:
    return bring_up(engine, store, "production", signer)


def state(engine: Engine) -> SwitchDocument:
    with Session(engine) as session:
        return session.get_one(SwitchDocument, "production")


def told(store: ReleaseStore, pair: KeyPair | None = None) -> tuple[int, tuple[str, ...]]:
    """Version and names, as a reader with these keys understands what is in the store."""
    data = store.read_switches("production")
    assert data is not None
    environ = {"CONTROLPLANE_PUBLIC_KEYS": pair.public} if pair else {}
    version, switches = parse(data, environment="production", verifier=Verifier.from_environment(environ))
    return version, switches.names()


def put(store: ReleaseStore, version: int, switches: KillSwitches | None = None) -> None:
    data = document(switches or KillSwitches(), environment="production", version=version)
    assert store.write_switches("production", data, version=version)


@pytest.fixture(scope="module")
def shared_engine(databases: Databases, first_data_template: str) -> Iterator[Engine]:
    name, url = databases.copy(first_data_template)
    engine = make_engine(url)
    yield engine
    engine.dispose()
    databases.drop(name)


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """A database in which no switch was ever thrown."""
    with transaction(shared_engine) as session:
        session.execute(delete(KillSwitch))
        session.execute(delete(SwitchDocument))
    return shared_engine


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path)


@pytest.fixture
def reader(store: ReleaseStore, engine: Engine) -> Iterator[Client]:
    """A reader that has seen a switch thrown, and goes on from there."""
    throw_in(engine, "KPI_ANALYSIS")
    bring(engine, store)
    client = Client(store, "production", environ={})
    client.refresh()
    assert client.state.thrown == ("KPI_ANALYSIS",)
    yield client
    client.close()


def obeys(reader: Client) -> tuple[str, ...]:
    reader.refresh()
    assert reader.state.switches_error is None
    return reader.state.thrown


def test_there_is_no_document_before_the_first_throw_and_one_that_says_so_after_the_last_lift(
    engine: Engine, store: ReleaseStore
) -> None:
    assert bring(engine, store) is Outcome.NOTHING
    assert store.read_switches("production") is None
    throw_in(engine)
    assert bring(engine, store) is Outcome.WRITTEN
    assert told(store) == (state(engine).version, (CODE,))
    lift_in(engine)
    assert bring(engine, store) is Outcome.WRITTEN
    assert told(store) == (state(engine).version, ())
    assert bring_up(engine, store, "staging", None) is Outcome.NOTHING


def test_readers_learn_who_threw_it_when_and_why(engine: Engine, store: ReleaseStore) -> None:
    throw_in(engine)
    bring(engine, store)
    client = Client(store, "production", environ={})
    client.refresh()
    switch = client.switches.thrown(CODE)
    assert switch is not None
    assert (switch.by, switch.reason) == ("Grace Hopper", REASON)
    assert switch.at.endswith("Z")


def test_what_was_brought_up_is_noted(engine: Engine, store: ReleaseStore) -> None:
    throw_in(engine)
    assert not state(engine).is_exported
    bring(engine, store)
    row = state(engine)
    assert row.is_exported
    assert row.exported_at is not None


def test_nothing_is_written_when_nothing_changed(engine: Engine, store: ReleaseStore) -> None:
    throw_in(engine)
    bring(engine, store, SIGNER)
    statements: list[str] = []

    def note(*call: Any) -> None:
        statements.append(call[2])

    event.listen(engine, "before_cursor_execute", note)
    outcome = bring(engine, store, SIGNER)
    event.remove(engine, "before_cursor_execute", note)

    assert outcome is Outcome.CURRENT
    assert len(statements) == 1
    assert statements[0].startswith("SELECT")


def test_a_document_that_is_gone_is_written_again_and_readers_follow(
    engine: Engine, store: ReleaseStore, reader: Client
) -> None:
    lose(store)
    assert bring(engine, store) is Outcome.WRITTEN
    assert obeys(reader) == ("KPI_ANALYSIS",)
    lose(store)
    lift_in(engine, "KPI_ANALYSIS")
    assert bring(engine, store) is Outcome.WRITTEN
    assert obeys(reader) == ()


def test_an_older_document_is_replaced_under_the_version_that_it_has(
    engine: Engine, store: ReleaseStore
) -> None:
    put(store, 3)
    throw_in(engine)
    version = state(engine).version
    assert bring(engine, store) is Outcome.WRITTEN
    assert told(store) == (version, (CODE,))


@pytest.mark.parametrize("thrown", [True, False])
def test_an_older_database_jumps_ahead_of_the_store_and_is_obeyed(
    engine: Engine, store: ReleaseStore, reader: Client, thrown: bool
) -> None:
    put(store, LATER, KillSwitches(everything=Switch("Ada", "", "")))
    assert obeys(reader) == ("everything",)
    if not thrown:
        lift_in(engine, "KPI_ANALYSIS")

    assert bring(engine, store) is Outcome.WRITTEN

    assert told(store)[0] == LATER + 1 == state(engine).version
    assert obeys(reader) == (("KPI_ANALYSIS",) if thrown else ())
    assert bring(engine, store) is Outcome.CURRENT


def test_a_database_that_knows_of_no_switch_takes_back_what_the_store_says(
    engine: Engine, store: ReleaseStore, reader: Client
) -> None:
    with transaction(engine) as session:
        session.execute(delete(KillSwitch))
        session.execute(delete(SwitchDocument))

    assert bring(engine, store) is Outcome.WRITTEN

    assert obeys(reader) == ()


def test_an_older_database_and_a_lost_document_at_once_are_obeyed(
    engine: Engine, store: ReleaseStore
) -> None:
    seen = int(now().timestamp()) - 50
    put(store, seen, KillSwitches(everything=Switch("Ada", "", "")))
    reader = Client(store, "production", environ={})
    assert obeys(reader) == ("everything",)
    with transaction(engine) as session:
        session.add(SwitchDocument(environment="production", version=seen - 100, exported_version=seen - 100))
    lose(store)

    assert bring(engine, store) is Outcome.WRITTEN

    assert obeys(reader) == ()


def test_the_same_version_with_other_content_gets_a_later_one(
    engine: Engine, store: ReleaseStore, reader: Client
) -> None:
    version = state(engine).version
    lose(store)
    put(store, version, KillSwitches(everything=Switch("Ada", "", "")))
    assert bring(engine, store) is Outcome.WRITTEN
    assert told(store)[0] > version
    assert obeys(reader) == ("KPI_ANALYSIS",)


UNREADABLE = {
    "empty": b"",
    "HTML": b"<!doctype html>",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "too deep": b"[" * 10_000,
    "version is a word": b'{"version": "x"}',
    "version is true": b'{"version": true}',
    "version is endless": b'{"version": 1' + b"0" * 30 + b"}",
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_document_that_nobody_can_read_is_replaced(
    engine: Engine, store: ReleaseStore, reader: Client, data: bytes
) -> None:
    lose(store)
    assert store.write_switches("production", data, version=state(engine).version)
    assert bring(engine, store) is Outcome.WRITTEN
    assert obeys(reader) == ("KPI_ANALYSIS",)
    assert bring(engine, store) is Outcome.CURRENT


def test_one_that_cannot_be_read_nor_outrun_is_told_of_with_what_to_do(engine: Engine) -> None:
    store = MemoryStore()
    throw_in(engine)
    store.write_switches("production", b"nobody knows", version=2**60)
    assert bring(engine, store) is Outcome.OVERTAKEN
    assert "delete it there" in str(state(engine).problem)
    lose(store)
    assert bring(engine, store) is Outcome.WRITTEN
    assert state(engine).problem is None


def test_a_broken_file_is_written_over(engine: Engine, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    throw_in(engine)
    bring(engine, store)
    (tmp_path / "production" / "switches.json").write_bytes(b"{half of it")
    assert bring(engine, store) is Outcome.WRITTEN
    assert told(store)[1] == (CODE,)


@pytest.mark.parametrize("earlier", [None, new_key_pair("earlier"), new_key_pair("worker")])
def test_it_is_signed_again_when_keys_are_turned_on_or_changed(
    engine: Engine, store: ReleaseStore, earlier: KeyPair | None
) -> None:
    throw_in(engine)
    bring(engine, store, signer_of(earlier) if earlier else None)
    before = state(engine).version

    assert bring(engine, store, SIGNER) is Outcome.WRITTEN

    assert told(store, KEYS) == (state(engine).version, (CODE,))
    assert state(engine).version > before
    assert bring(engine, store, SIGNER) is Outcome.CURRENT


def test_what_a_stranger_signed_is_replaced(engine: Engine, store: ReleaseStore) -> None:
    throw_in(engine)
    forged = document(
        KillSwitches(), environment="production", version=LATER, signer=signer_of(new_key_pair("worker"))
    )
    store.write_switches("production", forged, version=LATER)
    assert bring(engine, store, SIGNER) is Outcome.WRITTEN
    assert told(store, KEYS) == (LATER + 1, (CODE,))


class Unreachable(MemoryStore):
    """A store that takes nothing while `down`; what is written may arrive all the same."""

    down = True
    applies = False

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        if self.applies or not self.down:
            super().write_switches(environment, data, version=version)
        if self.down:
            raise StoreUnavailable("cannot reach the store")
        return True


@pytest.mark.parametrize("applies", [False, True])
def test_what_the_store_does_not_take_is_told_of_and_goes_through_later(
    engine: Engine, applies: bool
) -> None:
    store = Unreachable()
    store.applies = applies
    throw_in(engine)
    with pytest.raises(StoreUnavailable):
        bring(engine, store)
    assert state(engine).problem == "cannot reach the store"
    assert not state(engine).is_exported
    store.down = False
    bring(engine, store)
    assert told(store)[1] == (CODE,)
    row = state(engine)
    assert (row.is_exported, row.problem) == (True, None)


def test_two_workers_and_many_changes_end_with_what_the_database_says(engine: Engine) -> None:
    store = MemoryStore()
    reader = Client(store, "production", environ={})
    for turn in range(6):
        (lift_in if turn % 2 else throw_in)(engine)
        stale = store.read_switches("production")
        bring(engine, store)
        # The other worker looked before and writes after.
        bring(engine, Late(store, stale))
        bring(engine, store)
        assert obeys(reader) == (() if turn % 2 else (CODE,))


class Late(MemoryStore):
    """A store as somebody sees it who read a moment ago."""

    def __init__(self, inner: ReleaseStore, seen: bytes | None) -> None:
        super().__init__()
        self.inner, self.seen = inner, seen

    def read_switches(self, environment: str) -> bytes | None:
        return self.seen

    def write_switches(self, environment: str, data: bytes, *, version: int) -> bool:
        return self.inner.write_switches(environment, data, version=version)


def lose(store: ReleaseStore) -> None:
    """Take the document away behind the store's back."""
    if isinstance(store, MemoryStore):
        store._switches.clear()
    elif isinstance(store, FileStore):
        (store._directory / "production" / "switches.json").unlink()


def test_the_document_is_plain_and_small(engine: Engine, store: ReleaseStore) -> None:
    throw_in(engine)
    bring(engine, store)
    plain = json.loads(store.read_switches("production") or b"")
    assert set(plain) == {"environment", "version", "everything", "interactions"}
    assert len(json.dumps(plain)) < 500
