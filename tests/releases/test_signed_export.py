import msgspec
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.releases import steps
from controlplane.releases.export import Outcome, reconcile
from controlplane.runtime import Client
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.signing import KeyPair, Signer, Verifier, new_key_pair
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.memory import MemoryStore
from tests.releases.faults import FaultyStore, unavailable


def signer_of(pair: KeyPair) -> Signer:
    signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pair.signing})
    assert signer is not None
    return signer


def verifier_of(pair: KeyPair) -> Verifier:
    return Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": pair.public})


def is_believed(store: ReleaseStore, pair: KeyPair) -> bool:
    """Whether readers of both kinds who ask for this key's signature have something to serve."""
    client = Client(store, "production", verifier=verifier_of(pair))
    source = LookupSource(store, "production", verifier=verifier_of(pair))
    return client.refresh() and source.view("COACHING_RESPONSE", "acme") is not None


def test_a_release_is_signed_when_the_worker_has_a_key(engine: Engine) -> None:
    pair, store = new_key_pair("worker"), MemoryStore()

    assert reconcile(engine, store, "production", signer=signer_of(pair)) is Outcome.MOVED

    client = Client(store, "production", verifier=verifier_of(pair))
    assert client.refresh(), client.state
    assert client.state.signed_by == "worker"


def test_without_a_key_nothing_is_signed_and_who_asks_for_it_refuses(engine: Engine) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    public = new_key_pair("worker").public
    client = Client(store, "production", environ={"CONTROLPLANE_PUBLIC_KEYS": public})
    assert not client.refresh()
    assert "not signed" in str(client.state.last_error)


@pytest.mark.parametrize("earlier", [None, new_key_pair("earlier"), new_key_pair("worker")])
def test_the_live_release_is_signed_again_when_keys_are_turned_on_or_changed(
    engine: Engine, earlier: KeyPair | None
) -> None:
    pair, store = new_key_pair("worker"), MemoryStore()
    reconcile(engine, store, "production", signer=signer_of(earlier) if earlier else None)
    with Session(engine) as session:
        live_at = steps.export_of(session, "production", 1).live_at
    assert not is_believed(store, pair)

    assert reconcile(engine, store, "production", thorough=True, signer=signer_of(pair)) is Outcome.CURRENT

    assert is_believed(store, pair)
    with Session(engine) as session:
        export = steps.export_of(session, "production", 1)
    assert (export.state, export.live_at) == (steps.State.DONE, live_at)


def test_what_is_signed_already_is_left_alone(engine: Engine) -> None:
    signer, store = signer_of(new_key_pair("worker")), FaultyStore(MemoryStore())
    reconcile(engine, store, "production", signer=signer)
    store.calls.clear()
    reconcile(engine, store, "production", thorough=True, signer=signer)
    assert not {"write_entries", "replace_signature"} & set(store.calls)


def test_what_only_the_store_says_gets_no_signature(engine: Engine) -> None:
    """Whoever may write to the table lets a reader lose entries; signing that pointer again would make it theirs."""
    pair, store = new_key_pair("worker"), MemoryStore()
    signer = signer_of(pair)
    reconcile(engine, store, "production", signer=signer)
    before = store.read_pointer("production")
    assert before is not None
    assert not before.allow_shrink
    store.replace_signature(msgspec.structs.replace(before, allow_shrink=True))

    reconcile(engine, store, "production", thorough=True, signer=signer)

    after = store.read_pointer("production")
    assert after is not None
    assert not after.allow_shrink
    assert is_believed(store, pair)


def test_a_signature_that_cannot_be_put_there_is_told_on_the_release_until_it_can(engine: Engine) -> None:
    pair, store = new_key_pair("worker"), FaultyStore(MemoryStore())
    reconcile(engine, store, "production")
    for call in ("write_entries", "replace_signature"):
        store.faults = {f"before {call}": unavailable}
        with pytest.raises(StoreUnavailable):
            reconcile(engine, store, "production", thorough=True, signer=signer_of(pair))
        with Session(engine) as session:
            assert steps.export_of(session, "production", 1).state == steps.State.FAILED

    store.faults = {}
    reconcile(engine, store, "production", thorough=True, signer=signer_of(pair))

    assert is_believed(store, pair)
    with Session(engine) as session:
        assert steps.export_of(session, "production", 1).state == steps.State.DONE
