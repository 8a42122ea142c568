import datetime as dt
import itertools
from collections.abc import Iterable

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.errors import Conflict
from controlplane.fleet.observing import observe
from controlplane.releases import history, prune, services
from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.models import Release
from controlplane.releases.prune import Pruned
from controlplane.releases.saved import live_entry
from controlplane.releases.store_check import look
from controlplane.runtime import canonical
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores import StoredEntry
from controlplane.runtime.stores.memory import MemoryStore
from tests.fleet.test_heartbeats import document
from tests.releases.changing import (
    GATE,
    PREMIUM,
    PUBLISHER,
    REASON,
    move,
    publish_saved,
    save_prompt,
)
from tests.releases.faults import FaultyStore
from tests.runtime.faults import pointer_to, release_bytes
from tests.site import ROOT_ACTOR

BOTH = ("production", "staging")
TEMPERATURES = itertools.count(1)  # never twice the same: no change is no release


def published(engine: Engine, count: int, *, environment: str = "production") -> list[str]:
    """Publish so many changes of one configuration, and return the snapshots of all releases in order."""
    with Session(engine) as session:
        document = live_entry(session, environment, PREMIUM)
        assert document is not None
        (variant,) = document["variants"]
        for _ in range(count):
            changed = {**variant, "temperature": next(TEMPERATURES) / 1_000_000}
            move(session, environment, {PREMIUM: {**document, "variants": [changed]}})
        query = select(Release.snapshot_sha256).where(Release.environment == environment)
        return list(session.scalars(query.order_by(Release.number)))


@pytest.fixture
def store(engine: Engine) -> MemoryStore:
    """Both environments at release 1, as they were."""
    store = MemoryStore()
    export(engine, store)
    return store


def export(engine: Engine, store: MemoryStore) -> None:
    for environment in BOTH:
        reconcile(engine, store, environment)


def pruned(engine: Engine, store: MemoryStore, *, days: int = 31, dry_run: bool = False) -> Pruned:
    as_of = now() + dt.timedelta(days=days)
    return prune.prune(engine, store, actor=ROOT_ACTOR, dry_run=dry_run, as_of=as_of)


def numbers(found: Pruned) -> tuple[int, int, int, int]:
    return found.snapshots, found.texts, found.entries, found.cards


def keep(engine: Engine, store: MemoryStore, *releases: int) -> None:
    """Have the store hold what it would if these had been exported when they were made."""
    with Session(engine) as session:
        for number in releases:
            data = history.snapshot_of(session, "production", number)
            store.write_snapshot("production", canonical.digest(data), data)


def snapshots(store: MemoryStore, environment: str = "production") -> set[str]:
    return {found.sha256 for found in store.list_snapshots(environment)}


def events(engine: Engine) -> list[AuditEvent]:
    with Session(engine) as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.action == "store.pruned")))


def test_what_no_release_of_the_last_fifty_holds_is_deleted_when_it_is_old(
    engine: Engine, store: MemoryStore
) -> None:
    made = []
    for _ in range(2):
        made = published(engine, 1)
        export(engine, store)
    made = published(engine, 49)
    export(engine, store)
    assert snapshots(store) == {made[0], made[1], made[2], made[-1]}

    found = pruned(engine, store)

    # Of 52 releases the last fifty begin with the third; the key's items of releases 1 and 2 stand under that of 3.
    assert snapshots(store) == {made[2], made[-1]}
    assert numbers(found) == (2, 0, 2, 2)
    assert found.lines[0].startswith(
        "production (release 3 and later are kept): deleted 2 snapshots, 2 items"
    )
    for environment in BOTH:
        assert look(engine, store, environment, verifier=Verifier()) == []
    assert numbers(pruned(engine, store)) == (0, 0, 0, 0)


def test_a_dry_run_says_the_same_and_deletes_nothing(engine: Engine, store: MemoryStore) -> None:
    published(engine, 1)
    export(engine, store)
    published(engine, 50)
    export(engine, store)
    before = (snapshots(store), set(store.list_entries("production")))

    dry = pruned(engine, store, dry_run=True)

    assert before == (snapshots(store), set(store.list_entries("production")))
    assert "would delete 2 snapshots," in dry.lines[0]
    assert not events(engine)
    assert numbers(pruned(engine, store)) == numbers(dry) == (2, 0, 1, 1)


def test_it_is_recorded_in_words_and_numbers(engine: Engine, store: MemoryStore) -> None:
    published(engine, 1)
    export(engine, store)
    published(engine, 50)
    export(engine, store)

    found = pruned(engine, store)

    (event,) = events(engine)
    assert found.size
    assert (event.actor_kind, event.via) == ("system", "tests")
    assert event.sentence == (
        f"deleted from the store what nothing needs: 2 snapshots, 0 template texts ({found.size:,} bytes),"
        " 1 item of entries and 1 of cards"
    )
    assert event.after == {"snapshots": 2, "texts": 0, "bytes": found.size, "entries": 1, "cards": 1}


@pytest.mark.parametrize("days", [0, 29])
def test_nothing_younger_than_thirty_days_is_deleted(engine: Engine, store: MemoryStore, days: int) -> None:
    published(engine, 60)
    export(engine, store)

    assert pruned(engine, store, days=days).nothing
    assert not events(engine)


def test_an_old_object_that_a_release_of_this_month_names_stays(
    engine: Engine, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Release 6 was live for 40 days; then more than fifty came in a day."""
    published(engine, 5)
    monkeypatch.setattr(services, "now", lambda: now() + dt.timedelta(days=40))
    made = published(engine, 60)
    export(engine, store)
    keep(engine, store, 5, 6)

    pruned(engine, store, days=60)

    assert snapshots(store) == {made[5], made[-1]}


def test_what_the_pointer_names_stays_however_far_behind_it_is(engine: Engine, store: MemoryStore) -> None:
    made = published(engine, 120)

    pruned(engine, store)

    assert snapshots(store) == {made[0]}
    assert look(engine, store, "staging", verifier=Verifier()) == []
    reconcile(engine, store, "production")
    assert look(engine, store, "production", verifier=Verifier()) == []


def test_what_a_running_process_still_serves_stays(engine: Engine, store: MemoryStore) -> None:
    """It looks single entries up, and has refused every release since: its own are read to this day."""
    published(engine, 1)
    export(engine, store)
    told = document(release=1, sha256="a" * 64)
    store.write_heartbeat("production", "slow:1:a", told, seconds=60)
    observe(engine, store, "production")
    published(engine, 60)
    export(engine, store)

    assert pruned(engine, store).nothing

    store.write_heartbeat("production", "slow:1:a", told, seconds=0)
    observe(engine, store, "production", clock=lambda: now() + dt.timedelta(seconds=11))
    assert pruned(engine, store).snapshots == 2


def test_a_text_is_shared_and_stays_while_any_environment_needs_it(
    engine: Engine, store: MemoryStore
) -> None:
    with Session(engine) as session:
        save_prompt(session)
        publish_saved(session, "production")
    published(engine, 50)
    export(engine, store)
    texts = {found.sha256 for found in store.list_prompts()}
    assert pruned(engine, store).texts == 0  # staging still has the one before

    with Session(engine) as session:
        publish_saved(session, "staging")
    published(engine, 50, environment="staging")
    export(engine, store)
    found = pruned(engine, store)

    assert found.texts == 1
    assert len(texts - {kept.sha256 for kept in store.list_prompts()}) == 1
    for environment in BOTH:
        assert look(engine, store, environment, verifier=Verifier()) == []


def test_that_a_key_is_gone_stays_said(engine: Engine, store: MemoryStore) -> None:
    with Session(engine) as session:
        move(session, "production", {GATE: None})
    reconcile(engine, store, "production")
    published(engine, 60)
    export(engine, store)

    pruned(engine, store)

    assert [item for item in store.list_entries("production") if item.key == GATE] == [(GATE, 2, True)]


def test_an_export_that_was_held_up_keeps_what_it_wrote_and_goes_live(
    engine: Engine, store: MemoryStore
) -> None:
    """It wrote its objects, then came a clean-up of 31 days later; the release brings back an old content."""
    made = published(engine, 60)
    export(engine, store)
    with Session(engine) as session:
        services.roll_back(session, "production", to=1, reason=REASON, actor=PUBLISHER)
        session.commit()
    keep(engine, store, 5)
    held_up = FaultyStore(store)
    found: list[Pruned] = []
    held_up.faults["before move_pointer"] = lambda: found.append(pruned(engine, store))

    assert reconcile(engine, held_up, "production") is Outcome.MOVED

    assert not found[0].nothing
    assert snapshots(store) == {made[0], made[-1]}
    assert look(engine, store, "production", verifier=Verifier()) == []


def test_a_release_that_came_after_the_look_keeps_what_it_names(engine: Engine, store: MemoryStore) -> None:
    """Between listing and deleting somebody rolls back to what is about to be deleted, and it is live already."""
    made = published(engine, 60)
    export(engine, store)

    class Meanwhile(MemoryStore):
        def list_snapshots(self, environment: str) -> Iterable[object]:  # type: ignore[override]
            found = list(super().list_snapshots(environment))
            if environment == "production":
                with Session(engine) as session:
                    services.roll_back(session, "production", to=1, reason=REASON, actor=PUBLISHER)
                    session.commit()
                reconcile(engine, store, "production")
            return iter(found)

    slow = Meanwhile()
    slow.__dict__ = store.__dict__

    pruned(engine, slow)

    assert made[0] in snapshots(store)
    assert look(engine, store, "production", verifier=Verifier()) == []


def test_publishers_wait_while_objects_are_deleted(engine: Engine, store: MemoryStore) -> None:
    published(engine, 60)
    export(engine, store)
    waited: list[bool] = []

    class Watching(MemoryStore):
        def delete_snapshots(self, environment: str, names: Iterable[str]) -> None:
            with Session(engine) as session:
                session.connection().exec_driver_sql("SET lock_timeout = '50ms'")
                try:
                    services.lock_environment(session, environment)
                except Exception:  # the driver's own: the lock was not to be had
                    waited.append(True)
            super().delete_snapshots(environment, names)

    watching = Watching()
    watching.__dict__ = store.__dict__
    pruned(engine, watching)

    assert waited == [True]


def test_what_this_database_never_made_is_left_alone(engine: Engine, store: MemoryStore) -> None:
    """Another control plane was given the same bucket, and has an environment of the same name."""
    published(engine, 60)
    export(engine, store)
    theirs, text = release_bytes(), "A text of theirs."
    store.write_snapshot("production", canonical.digest(theirs), theirs)
    store.write_prompt(canonical.digest(text.encode()), text)

    assert pruned(engine, store).snapshots == 1

    assert canonical.digest(theirs) in snapshots(store)
    assert store.read_prompt(canonical.digest(text.encode())) == text


def test_a_store_with_another_history_is_not_touched(engine: Engine, store: MemoryStore) -> None:
    published(engine, 60)
    export(engine, store)
    store.move_pointer(pointer_to(release_bytes(), 99, "staging"))
    before = snapshots(store)

    with pytest.raises(Conflict, match=r"staging is not pruned.*older than what it published"):
        pruned(engine, store)

    assert snapshots(store) == before


def test_a_store_that_serves_somebody_else_is_not_touched(engine: Engine, store: MemoryStore) -> None:
    store.move_pointer(pointer_to(release_bytes(), 1, "elsewhere"))

    with pytest.raises(Conflict, match="also serves elsewhere"):
        pruned(engine, store)


def test_items_go_only_when_a_newer_one_stands_below_the_oldest_kept_release() -> None:
    stored = [StoredEntry("a", number, False) for number in (1, 4, 5, 9)]
    stored += [StoredEntry("b", 2, False), StoredEntry("c", 1, False), StoredEntry("c", 3, True)]
    gone = {oldest: [item[:2] for item in prune.superseded(stored, oldest)] for oldest in (1, 4, 5, 8, 9)}
    assert gone == {
        1: [],
        4: [("a", 1), ("c", 1)],
        5: [("a", 1), ("a", 4), ("c", 1)],
        8: [("a", 1), ("a", 4), ("c", 1)],
        9: [("a", 1), ("a", 4), ("a", 5), ("c", 1)],
    }
