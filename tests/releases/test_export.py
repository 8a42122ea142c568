import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from controlplane.releases import history, services, steps
from controlplane.releases.export import NotReadableError, Outcome, reconcile
from controlplane.releases.saved import live_entries
from controlplane.releases.steps import State, Step
from controlplane.runtime import canonical
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores import PointerConflictError, ReleaseStore
from controlplane.runtime.stores.file import FileStore
from controlplane.runtime.stores.memory import MemoryStore
from tests.releases.changing import (
    GATE,
    PREMIUM,
    PROMPT,
    PUBLISHER,
    REASON,
    move,
    publish_saved,
    save_configuration,
    save_prompt,
)
from tests.releases.faults import FaultyStore, unavailable
from tests.runtime.emulator import emulator, make_store


@pytest.fixture(scope="module")
def emulator_url() -> Iterator[str]:
    with emulator() as url:
        yield url


@pytest.fixture(params=["memory", "file", "aws"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "file":
        return FileStore(tmp_path)
    made = make_store(request.getfixturevalue("emulator_url"), f"store-{uuid.uuid4()}")
    made.ensure()
    return made


def publish_something(engine: Engine, *, number: int = 0) -> int:
    with Session(engine) as session:
        save_configuration(session, temperature=round(0.1 + number / 100, 2))
        return publish_saved(session, "production").number


def told(engine: Engine, number: int) -> steps.Export:
    with Session(engine) as session:
        return steps.export_of(session, "production", number)


def assert_readers_see(engine: Engine, store: ReleaseStore, number: int) -> None:
    """The pointer names this release, its snapshot loads, and every single entry read at it is the release's own."""
    pointer = store.read_pointer("production")
    assert pointer is not None
    assert pointer.release == number
    data = store.read_snapshot("production", pointer.sha256, limit=pointer.size)
    snapshot = Snapshot.load(data, release=number, environment="production")
    with Session(engine) as session:
        assert data == history.snapshot_of(session, "production", number)
        entries = live_entries(session, "production", at=number)
        ever = set(live_entries(session, "production", at=1)) | set(entries)
    for key in sorted(ever):
        wanted = canonical.dumps(entries[key]) if key in entries else None
        assert store.read_entry("production", key, at=number) == wanted
    for sha256 in snapshot.bodies():
        assert store.read_prompt(sha256) == snapshot.body(sha256)


def test_an_empty_store_is_brought_up_to_the_newest_release(engine: Engine, store: ReleaseStore) -> None:
    number = publish_something(engine)

    assert reconcile(engine, store, "production") is Outcome.MOVED

    assert_readers_see(engine, store, number)
    assert reconcile(engine, store, "production") is Outcome.CURRENT


def test_further_releases_write_only_what_changed_and_what_went(engine: Engine, store: ReleaseStore) -> None:
    reconcile(engine, store, "production")
    watched = FaultyStore(store)
    with Session(engine) as session:
        save_prompt(session)
        publish_saved(session, "production")
        number = move(session, "production", {GATE: None}).number

    assert reconcile(engine, watched, "production") is Outcome.MOVED

    assert_readers_see(engine, store, number)
    assert store.read_entry("production", GATE, at=number) is None
    assert watched.calls.count("write_prompt") == 1
    # Whether the store has cards; then the two entries and the one card that they touch are read back.
    assert watched.calls.count("read_entry") == 4


def test_every_step_is_told_with_its_words(engine: Engine) -> None:
    reconcile(engine, MemoryStore(), "production")

    export = told(engine, 1)

    assert [Step(step.step) for step in export.steps] == list(Step)
    assert {step.state for step in export.steps} == {State.DONE}
    assert all(step.finished_at and step.finished_at >= step.started_at for step in export.steps)
    assert (export.state, export.moving) == (State.DONE, False)
    assert export.live_at is not None
    words = {step.step: (step.detail or {}).get("words") for step in export.steps}
    assert words[Step.ENTRIES] == "74 entries"
    assert words[Step.CHECK] == "74 entries load and are valid"


def test_a_release_that_no_worker_has_seen_is_waiting(engine: Engine) -> None:
    export = told(engine, 1)

    assert (export.state, export.steps, export.moving) == (State.WAITING, (), True)


CALLS = [
    f"{when} {call}"
    for call in (
        "write_prompt",
        "write_snapshot",
        "write_entries",
        "read_snapshot",
        "read_entry",
        "move_pointer",
    )
    for when in ("before", "after")
    if (when, call) not in {("after", "write_prompt"), ("after", "read_snapshot"), ("after", "read_entry")}
]


@pytest.mark.parametrize("place", CALLS)
def test_a_store_that_fails_anywhere_is_told_and_the_next_run_completes(engine: Engine, place: str) -> None:
    inner = MemoryStore()
    reconcile(engine, inner, "production")
    with Session(engine) as session:
        save_prompt(session)
        number = publish_saved(session, "production").number
    store = FaultyStore(inner)
    store.faults[place] = unavailable

    with pytest.raises(StoreUnavailable):
        reconcile(engine, store, "production")

    export = told(engine, number)
    assert export.state is State.FAILED
    assert export.steps[-1].detail == {"words": "cannot reach the store: it did not answer"}
    pointer = inner.read_pointer("production")
    assert pointer is not None
    assert_readers_see(engine, inner, pointer.release)
    assert (pointer.release == number) == (place == "after move_pointer")

    store.faults.clear()
    reconcile(engine, store, "production")

    assert_readers_see(engine, inner, number)
    assert told(engine, number).state is State.DONE
    assert told(engine, number).steps[-1].detail is None


class Killed(BaseException):
    """The process ended here: nothing after it runs, no step is told of."""


@pytest.mark.parametrize("place", CALLS)
def test_a_worker_killed_anywhere_leaves_readers_with_a_whole_release(engine: Engine, place: str) -> None:
    inner = MemoryStore()
    reconcile(engine, inner, "production")
    with Session(engine) as session:
        save_prompt(session)
        number = publish_saved(session, "production").number
    store = FaultyStore(inner)

    def kill() -> None:
        raise Killed

    store.faults[place] = kill
    with pytest.raises(Killed):
        reconcile(engine, store, "production")

    assert told(engine, number).steps[-1].state == State.RUNNING
    pointer = inner.read_pointer("production")
    assert pointer is not None
    assert_readers_see(engine, inner, pointer.release)

    reconcile(engine, inner, "production")
    assert_readers_see(engine, inner, number)
    assert told(engine, number).state is State.DONE


def test_no_connection_is_held_while_the_store_is_asked(engine: Engine) -> None:
    store = FaultyStore(MemoryStore())
    held: list[tuple[str, int]] = []

    class Watching(dict[str, Callable[[], None]]):
        def get(self, key: str, _default: Any = None) -> Callable[[], None]:
            return lambda: held.append((key, checked_out(engine)))

    store.faults = Watching()

    reconcile(engine, store, "production")

    assert {name for name, _ in held} >= {"before write_snapshot", "before move_pointer"}
    assert {count for _, count in held} == {0}


def checked_out(engine: Engine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


def test_an_emptied_store_heals_by_itself(engine: Engine) -> None:
    reconcile(engine, MemoryStore(), "production")
    number = publish_something(engine)
    emptied = MemoryStore()

    assert reconcile(engine, emptied, "production") is Outcome.MOVED
    assert_readers_see(engine, emptied, number)


def test_a_lost_or_damaged_snapshot_is_found_by_a_thorough_look_and_written_again(
    engine: Engine, tmp_path: Path
) -> None:
    store = FileStore(tmp_path)
    reconcile(engine, store, "production")
    (lost,) = (path for path in tmp_path.rglob("*") if path.is_file() and "snapshots" in path.parts)

    for damage in (lost.unlink, lambda: lost.write_bytes(b"garbage")):
        damage()
        assert reconcile(engine, store, "production") is Outcome.CURRENT
        assert reconcile(engine, store, "production", thorough=True) is Outcome.MOVED
        assert_readers_see(engine, store, 1)


def test_a_late_export_of_an_older_release_never_wins(engine: Engine) -> None:
    inner = MemoryStore()
    store = FaultyStore(inner)
    newer: list[int] = []

    def overtake() -> None:
        store.faults.clear()
        newer.append(publish_something(engine))
        assert reconcile(engine, inner, "production") is Outcome.MOVED

    store.faults["before move_pointer"] = overtake

    assert reconcile(engine, store, "production") is Outcome.SUPERSEDED

    assert_readers_see(engine, inner, newer[0])
    assert told(engine, 1).state is State.SUPERSEDED
    assert told(engine, 1).by == newer[0]


def test_a_release_that_was_passed_over_says_which_one_went_out(engine: Engine) -> None:
    store = FaultyStore(MemoryStore())
    store.faults["before write_entries"] = unavailable
    with pytest.raises(StoreUnavailable):
        reconcile(engine, store, "production")
    passed_over, number = publish_something(engine, number=1), publish_something(engine, number=2)
    store.faults.clear()

    reconcile(engine, store, "production")

    for older in (1, passed_over):
        export = told(engine, older)
        assert (export.state, export.by, export.moving) == (State.SUPERSEDED, number, False)
    assert told(engine, number).state is State.DONE


def test_racing_workers_never_move_the_pointer_back(engine: Engine) -> None:
    store = MemoryStore()
    seen: list[int] = []

    class Watched(FaultyStore):
        def move_pointer(self, pointer: Any) -> bool:
            moved = self.inner.move_pointer(pointer)
            live = self.inner.read_pointer("production")
            assert live is not None
            seen.append(live.release)
            assert live.release >= pointer.release
            return moved

    def work(_: int) -> None:
        for _round in range(6):
            reconcile(engine, Watched(store), "production")

    with ThreadPoolExecutor(5) as pool:
        publishing = pool.submit(lambda: [publish_something(engine, number=n) for n in range(8)])
        list(pool.map(work, range(4)))
        last = publishing.result()[-1]
    reconcile(engine, store, "production")

    assert_readers_see(engine, store, last)
    assert told(engine, last).state is State.DONE
    assert seen


def test_a_database_older_than_the_store_writes_nothing_and_says_so(engine: Engine) -> None:
    """A copy of the database was restored: the store names a release that is not here."""
    store = FaultyStore(MemoryStore())
    reconcile(engine, store, "production")
    ahead = store.inner.read_pointer("production")
    assert ahead is not None
    store.inner.move_pointer(msgspec.structs.replace(ahead, release=7))
    publish_something(engine)
    store.calls.clear()

    for _ in range(3):
        assert reconcile(engine, store, "production") is Outcome.AHEAD

    assert set(store.calls) == {"read_pointer"}
    export = told(engine, 2)
    assert export.state is State.FAILED
    (step,) = export.steps
    assert (step.step, step.attempts) == (Step.COMPARE, 1)
    assert step.detail is not None
    assert "The store is at release 7, but the newest one here is 2" in step.detail["words"]


def test_a_database_with_another_history_writes_nothing_either(engine: Engine) -> None:
    """Restored, then published on: the numbers have caught up, the contents differ."""
    store = MemoryStore()
    reconcile(engine, store, "production")
    pointer = store.read_pointer("production")
    assert pointer is not None
    other = MemoryStore()
    other.move_pointer(msgspec.structs.replace(pointer, sha256="0" * 64))

    assert reconcile(engine, other, "production") is Outcome.AHEAD
    publish_something(engine)
    assert reconcile(engine, other, "production") is Outcome.AHEAD

    with pytest.raises(PointerConflictError):
        other.move_pointer(pointer)


def test_what_is_not_read_back_as_written_gets_no_pointer(engine: Engine) -> None:
    class Forgetful(FaultyStore):
        def read_entry(self, environment: str, key: str, *, at: int) -> bytes | None:
            return None

    store = Forgetful(MemoryStore())

    with pytest.raises(NotReadableError):
        reconcile(engine, store, "production")

    assert store.inner.read_pointer("production") is None
    assert told(engine, 1).state is State.FAILED


def test_dropping_most_entries_is_marked_as_meant_and_an_ordinary_release_is_not(engine: Engine) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    ordinary = store.read_pointer("production")
    with Session(engine) as session:
        live = live_entries(session, "production")
        kept = ("interaction/COACHING_RESPONSE", PROMPT, PREMIUM, "model/", "tier/")
        gone = {key: None for key in live if not key.startswith(kept)}
        services.publish_entries(
            session,
            "production",
            gone,
            reason=REASON,
            actor=PUBLISHER,
            action="release.published",
            sentence="dropped nearly everything",
            source_name="saved",
        )
        session.commit()

    reconcile(engine, store, "production")

    shrunk = store.read_pointer("production")
    assert ordinary is not None
    assert shrunk is not None
    assert (ordinary.allow_shrink, shrunk.allow_shrink) == (False, True)


def test_an_environment_without_a_release_is_left_alone(blank_engine: Engine) -> None:
    assert reconcile(blank_engine, MemoryStore(), "production") is Outcome.NOTHING
