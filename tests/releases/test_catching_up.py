from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.audit.verify import verify
from controlplane.db import make_engine
from controlplane.errors import Conflict, Refused
from controlplane.releases import history
from controlplane.releases.catching_up import catch_up
from controlplane.releases.compose import Document
from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entries
from controlplane.releases.store_check import look
from controlplane.runtime import Client
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores import Pointer
from controlplane.runtime.stores.memory import MemoryStore
from tests.conftest import Databases
from tests.releases.changing import (
    DEFAULT,
    GATE,
    PREMIUM,
    PUBLISHER,
    REASON,
    move,
    publish_saved,
    save_configuration,
    save_prompt,
    two_variants,
)
from tests.site import ROOT_ACTOR

OWN = "configuration/COACHING_RESPONSE/premium/acme"


@pytest.fixture
def other_engine(databases: Databases, first_data_template: str) -> Iterator[Engine]:
    """A database that went on from the same copy, and published."""
    name, url = databases.copy(first_data_template)
    engine = make_engine(url)
    yield engine
    engine.dispose()
    databases.drop(name)


@pytest.fixture
def store(other_engine: Engine) -> MemoryStore:
    """A store at release 4 of the other history: a gate gone, a rollout begun, a row of a tenant's own."""
    store = MemoryStore()
    with Session(other_engine) as session:
        row = live_entries(session, "production")[PREMIUM]
        steps: list[dict[str, Document | None]] = [
            {GATE: None},
            {PREMIUM: two_variants(session, "production")},
            {OWN: row},
        ]
        for changes in steps:
            move(session, "production", changes)
            reconcile(other_engine, store, "production")
    return store


def caught_up(engine: Engine, store: MemoryStore, *, reason: str = REASON) -> Release:
    pointer = store.read_pointer("production")
    assert pointer is not None
    with Session(engine, expire_on_commit=False) as session:
        release = catch_up(session, "production", pointer=pointer, reason=reason, actor=ROOT_ACTOR)
        session.commit()
        return release


def assert_as_it_should_be(engine: Engine, store: MemoryStore, number: int) -> None:
    assert look(engine, store, "production", verifier=Verifier()) == []
    pointer = store.read_pointer("production")
    assert pointer is not None
    assert pointer.release == number


def test_an_older_database_goes_on_above_all_that_the_store_has_seen_and_readers_follow(
    engine: Engine, store: MemoryStore
) -> None:
    reader = Client(store, "production")
    reader.refresh()
    assert reconcile(engine, store, "production") is Outcome.AHEAD
    (told,) = look(engine, store, "production", verifier=Verifier())
    assert "./run cli catch-up production" in told

    release = caught_up(engine, store)
    assert (release.number, release.entry_count) == (5, 74)
    assert reconcile(engine, store, "production", thorough=True) is Outcome.MOVED

    assert_as_it_should_be(engine, store, 5)
    assert store.read_entry("production", OWN, at=4) is not None
    assert store.read_entry("production", OWN, at=5) is None
    assert reader.refresh()
    assert reader.state.release == 5
    with Session(engine) as session:
        assert history.snapshot_of(session, "production", 5) == history.snapshot_of(session, "production", 1)
    with pytest.raises(Conflict, match="need not catch up"):
        caught_up(engine, store)


def test_the_numbers_between_stay_unused_and_publishing_goes_on(engine: Engine, store: MemoryStore) -> None:
    caught_up(engine, store)
    with Session(engine) as session:
        save_prompt(session)
        number = publish_saved(session, "production").number
        numbers = session.scalars(
            select(Release.number).where(Release.environment == "production").order_by(Release.number)
        ).all()
        assert history.changes_of(session, "production", 5) == []
        assert history.compare(session, "production", 1, 6)
    assert numbers == [1, 5, number] == [1, 5, 6]

    assert reconcile(engine, store, "production") is Outcome.MOVED
    assert_as_it_should_be(engine, store, 6)


def test_the_same_number_with_other_content_is_gone_over_too(engine: Engine, store: MemoryStore) -> None:
    with Session(engine) as session:
        for number in range(5):
            save_configuration(session, temperature=round(0.1 + number / 100, 2))
            publish_saved(session, "production")
    assert reconcile(engine, store, "production") is Outcome.AHEAD

    assert caught_up(engine, store).number == 7
    assert reconcile(engine, store, "production") is Outcome.MOVED

    assert_as_it_should_be(engine, store, 7)


def test_readers_take_it_although_most_is_gone(
    engine: Engine, other_engine: Engine, store: MemoryStore
) -> None:
    with Session(other_engine) as session:
        row = live_entries(session, "production")[DEFAULT]
        many: dict[str, Document | None] = {
            f"configuration/COACHING_RESPONSE/default/t{number}": row for number in range(60)
        }
        move(session, "production", many)
    reconcile(other_engine, store, "production")
    reader = Client(store, "production")
    reader.refresh()
    caught_up(engine, store)
    with Session(engine) as session:
        save_configuration(session, temperature=0.3)
        publish_saved(session, "production")  # and the worker comes only now

    reconcile(engine, store, "production")

    assert reader.refresh()
    assert reader.state.release == 7


def test_it_is_recorded_with_what_it_went_over(engine: Engine, store: MemoryStore) -> None:
    caught_up(engine, store)

    with Session(engine) as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "release.caught_up")).one()
        assert verify(session).intact
    assert (event.actor_kind, event.via, event.reason, event.release) == ("system", "tests", REASON, 5)
    assert "over release 4 of the store" in event.sentence


def test_it_is_refused_without_need_a_reason_or_the_role(engine: Engine, store: MemoryStore) -> None:
    with pytest.raises(Refused, match="Say why"):
        caught_up(engine, store, reason="no")
    pointer = store.read_pointer("production")
    assert pointer is not None
    with Session(engine) as session, pytest.raises(Exception, match="Admin"):
        catch_up(session, "production", pointer=pointer, reason=REASON, actor=PUBLISHER)
    own = MemoryStore()
    reconcile(engine, own, "production")
    with pytest.raises(Conflict, match="own history"):
        caught_up(engine, own)


def test_a_number_that_nobody_can_go_above_is_refused_with_what_to_do(engine: Engine) -> None:
    store = MemoryStore()
    store.move_pointer(Pointer(environment="production", release=2**31 - 1, sha256="a" * 64, size=1))
    with pytest.raises(Refused, match="Take the pointer away"):
        caught_up(engine, store)


def test_asked_for_twice_before_the_worker_came_it_makes_one_release(
    engine: Engine, store: MemoryStore
) -> None:
    caught_up(engine, store)

    with pytest.raises(Conflict, match="waits for the worker"):
        caught_up(engine, store)
