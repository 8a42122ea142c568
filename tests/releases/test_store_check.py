from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.orm import Session

from controlplane.releases import store_check
from controlplane.releases.export import Outcome, reconcile, write_again
from controlplane.releases.models import ReleaseEntry
from controlplane.releases.store_check import look
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.lookup.cards import SHARED
from controlplane.runtime.signing import Signer, Verifier, new_key_pair
from controlplane.runtime.stores.file import FileStore
from controlplane.runtime.stores.memory import MemoryStore
from tests.releases.changing import GATE, PREMIUM, PROMPT, move, publish_saved, save_configuration
from tests.releases.faults import FaultyStore, unavailable

NO_KEYS = Verifier()


@pytest.fixture
def store(engine: Engine) -> MemoryStore:
    store = MemoryStore()
    reconcile(engine, store, "production")
    return store


def lose_snapshot(store: MemoryStore) -> None:
    store.delete_snapshots("production", [found.sha256 for found in store.list_snapshots("production")])


def lose_text(store: MemoryStore) -> None:
    store.delete_prompts([min(found.sha256 for found in store.list_prompts())])


def damage_text(store: MemoryStore) -> None:
    name = min(found.sha256 for found in store.list_prompts())
    store._prompts[name] = "another text"


def lose_entry(store: MemoryStore) -> None:
    store.delete_entries("production", [(PROMPT, 1)])


def damage_entry(store: MemoryStore) -> None:
    store.write_entries("production", 1, {PREMIUM: b"{}"})


def end_entry(store: MemoryStore) -> None:
    store.write_entries("production", 1, {GATE: None})


def lose_cards(store: MemoryStore) -> None:
    store.delete_entries("production", [(SHARED, 1)])


def damage_card(store: MemoryStore) -> None:
    other = store.read_entry("production", SHARED, at=1)
    store.write_entries("production", 1, {"lookup/COACHING_RESPONSE/*": other})


def misstate_size(store: MemoryStore) -> None:
    pointer = store._pointers["production"]
    store._pointers["production"] = msgspec.structs.replace(pointer, size=pointer.size + 1)


DAMAGES: dict[Callable[[MemoryStore], None], str] = {
    lose_snapshot: "the snapshot",
    lose_text: "the template text",
    damage_text: "the template text",
    lose_entry: f"{PROMPT}: it is not there",
    damage_entry: f"{PREMIUM} has another content",
    end_entry: f"{GATE}: it is not there",
    lose_cards: f"{SHARED}: it is not there",
    damage_card: "the card lookup/COACHING_RESPONSE/* of release 1 holds",
    misstate_size: "the pointer does not say",
}
damaged = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


def test_a_store_as_it_should_be_differs_in_nothing(engine: Engine, store: MemoryStore) -> None:
    assert look(engine, store, "production", verifier=NO_KEYS) == []
    assert look(engine, store, "staging", verifier=NO_KEYS) == [
        "there is no pointer, and release 1 is to be live"
    ]


@damaged
def test_each_damage_is_one_line_and_writing_again_heals_it(
    engine: Engine, store: MemoryStore, damage: Callable[[MemoryStore], None]
) -> None:
    damage(store)

    (line,) = look(engine, store, "production", verifier=NO_KEYS)

    assert line.startswith(DAMAGES[damage])
    assert write_again(engine, store, "production") is Outcome.MOVED
    assert look(engine, store, "production", verifier=NO_KEYS) == []


@damaged
def test_the_thorough_look_heals_the_same(
    engine: Engine,
    store: MemoryStore,
    damage: Callable[[MemoryStore], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_check, "SAMPLE", 1000)  # chance is another test's
    damage(store)
    assert reconcile(engine, store, "production") is Outcome.CURRENT

    assert reconcile(engine, store, "production", thorough=True) is Outcome.MOVED

    assert look(engine, store, "production", verifier=NO_KEYS) == []
    assert reconcile(engine, store, "production", thorough=True) is Outcome.CURRENT


def test_the_thorough_look_reads_a_bounded_part_which_is_another_each_time(
    engine: Engine, store: MemoryStore
) -> None:
    read: list[set[str]] = []

    class Noting(FaultyStore):
        def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
            read[-1].add(key)
            return super().read_entry(environment, key, at=at)

    for _ in range(20):
        read.append(set())
        assert reconcile(engine, Noting(store), "production", thorough=True) is Outcome.CURRENT

    assert {len(keys - {SHARED}) for keys in read} <= {store_check.SAMPLE, store_check.SAMPLE - 1}
    assert all(SHARED in keys for keys in read), "what says that all cards are there is not left to chance"
    assert len(set.union(*read)) > store_check.SAMPLE + 20


def test_what_another_history_left_is_found_and_ended(engine: Engine, store: MemoryStore) -> None:
    store.write_entries("production", 1, {"gate/GONE": b"{}"})

    assert look(engine, store, "production", verifier=NO_KEYS) == [
        "gate/GONE is in the store, and not in release 1"
    ]
    write_again(engine, store, "production")
    assert store.read_entry("production", "gate/GONE", at=1) is None
    assert look(engine, store, "production", verifier=NO_KEYS) == []


def test_what_a_newer_release_is_writing_is_no_difference(engine: Engine, store: MemoryStore) -> None:
    store.write_entries("production", 2, {"gate/NEW": b"{}", PREMIUM: b"{}"})

    assert look(engine, store, "production", verifier=NO_KEYS) == []


def test_a_release_that_is_not_there_yet_is_told_and_the_one_before_it_looked_at(
    engine: Engine, store: MemoryStore
) -> None:
    with Session(engine) as session:
        move(session, "production", {GATE: None})
    lose_entry(store)

    assert look(engine, store, "production", verifier=NO_KEYS) == [
        "the store is at release 1, and release 2 is to be live",
        f"{PROMPT}: it is not there",
    ]


def test_signatures_are_looked_at_where_keys_are_given(engine: Engine, store: MemoryStore) -> None:
    pair = new_key_pair("blue")
    signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pair.signing})
    verifier = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": pair.public})
    unsigned = look(engine, store, "production", verifier=verifier)
    assert unsigned[0] == "the pointer: release 1 is not signed, and a key is configured"
    assert f"the card {SHARED} is not signed, and a key is configured" in unsigned

    assert write_again(engine, store, "production", signer=signer) is Outcome.MOVED

    assert look(engine, store, "production", verifier=verifier) == []
    write_again(engine, store, "production")  # by whoever has no key
    pointer = store.read_pointer("production")
    assert pointer is not None
    verifier.verify(pointer)


def test_kill_switches_that_nobody_can_read_are_told(engine: Engine, store: MemoryStore) -> None:
    store.write_switches("production", b"rubbish", version=1)

    (line,) = look(engine, store, "production", verifier=NO_KEYS)

    assert line.startswith("the kill switches: not a document")


def test_a_pointer_that_says_nothing_is_told(engine: Engine, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    reconcile(engine, store, "production")
    (tmp_path / "production" / "pointer.json").write_bytes(b"{}")

    (line,) = look(engine, store, "production", verifier=NO_KEYS)

    assert "unreadable" in line


@pytest.mark.parametrize("call", ["read_snapshot", "read_prompt", "read_entry"])
def test_a_store_that_does_not_answer_is_not_one_that_lost_something(
    engine: Engine, store: MemoryStore, call: str
) -> None:
    with Session(engine) as session:
        save_configuration(session, temperature=0.2)
        publish_saved(session, "production")
    reconcile(engine, store, "production")
    faulty = FaultyStore(store)
    faulty.faults[f"before {call}"] = unavailable

    with pytest.raises(StoreUnavailable):
        reconcile(engine, faulty, "production", thorough=True)

    assert not any(written.startswith("write") for written in faulty.calls)


def test_a_database_that_was_changed_behind_its_back_is_told_of(engine: Engine, store: MemoryStore) -> None:
    with Session(engine) as session:
        session.execute(text("ALTER TABLE release_entries DISABLE TRIGGER USER"))
        session.execute(
            update(ReleaseEntry)
            .where(ReleaseEntry.environment == "production", ReleaseEntry.key == GATE)
            .values(document="{}")
        )
        session.commit()

    (told,) = look(engine, store, "production", verifier=NO_KEYS)

    assert told.startswith("this database: release 1 of production has the digest ")
