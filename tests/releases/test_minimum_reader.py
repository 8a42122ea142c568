from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.saved import live_entries
from controlplane.runtime import canonical
from controlplane.runtime.entries import minimum_reader
from controlplane.runtime.stores.memory import MemoryStore
from tests.releases.changing import GATE, move


def test_a_release_asks_for_the_reader_that_knows_its_algorithms(engine: Engine) -> None:
    store = MemoryStore()

    def exported() -> int:
        assert reconcile(engine, store, "production") is Outcome.MOVED
        pointer = store.read_pointer("production")
        assert pointer is not None
        return pointer.minimum_reader

    assert exported() == 2
    with Session(engine) as session:
        documents = live_entries(session, "production")
        first = {key: {**each, "algorithm": "v1"} for key, each in documents.items() if "algorithm" in each}
        move(session, "production", {**first})
    assert exported() == 1
    with Session(engine) as session:
        move(session, "production", {GATE: {**first[GATE], "algorithm": "v2"}})
    assert exported() == 2


def test_what_strangers_write_asks_for_a_reader_that_takes_the_marks_out() -> None:
    plain = {"parameters": [{"name": "topic", "type": "string"}]}
    marked = {"parameters": [*plain["parameters"], {"name": "message", "type": "text", "untrusted": True}]}
    assert minimum_reader({"interaction/A": canonical.dumps(plain)}) == 1
    assert (
        minimum_reader({"interaction/A": canonical.dumps(plain), "interaction/B": canonical.dumps(marked)})
        == 2
    )
