from sqlalchemy import Engine

from controlplane.releases.export import Outcome, reconcile
from controlplane.runtime import Client
from controlplane.runtime.signing import Signer, Verifier, new_key_pair
from controlplane.runtime.stores.memory import MemoryStore


def test_a_release_is_signed_when_the_worker_has_a_key(engine: Engine) -> None:
    pair, store = new_key_pair("worker"), MemoryStore()
    signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pair.signing})
    verifier = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": pair.public})

    assert reconcile(engine, store, "production", signer=signer) is Outcome.MOVED

    client = Client(store, "production", verifier=verifier)
    assert client.refresh(), client.state
    assert client.state.signed_by == "worker"


def test_without_a_key_nothing_is_signed_and_who_asks_for_it_refuses(engine: Engine) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    public = new_key_pair("worker").public
    client = Client(store, "production", environ={"CONTROLPLANE_PUBLIC_KEYS": public})
    assert not client.refresh()
    assert "not signed" in str(client.state.last_error)
