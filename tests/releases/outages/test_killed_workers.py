"""A worker is killed at each of its steps, twenty times each; readers look on."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.prompts.documents import entry_document
from controlplane.prompts.services import get_prompt, get_version
from controlplane.releases import steps
from controlplane.releases.compose import Document
from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.saved import live_entry
from controlplane.releases.steps import State, Step
from controlplane.releases.store_check import look
from controlplane.runtime import Client, canonical
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.aws import AwsStore
from tests.conftest import ROOT
from tests.releases.changing import GATE, PREMIUM, PROMPT, move, save_prompt
from tests.releases.outages.workers import HALF

KILLS = 20
PLACES = {
    Step.COMPARE: ("before read_pointer", "before read_entry"),
    Step.OBJECTS: ("before write_prompt", "before write_snapshot", "after write_snapshot"),
    Step.ENTRIES: (HALF, "after write_entries"),
    Step.CHECK: ("checking read_snapshot", "checking read_entry"),
    Step.POINTER: ("before move_pointer", "after move_pointer"),
}
Kill = Callable[[str], int]


@pytest.fixture
def kill(database_url: str, ministack_url: str, name: str) -> Iterator[Kill]:
    """Run a worker that is killed at a place, and return how it ended."""
    command = [sys.executable, "-m", "tests.releases.outages.workers", "kill"]
    with subprocess.Popen(
        [*command, database_url, ministack_url, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        tell, hear = process.stdin, process.stdout
        assert hear.readline() == "ready\n"

        def run(place: str) -> int:
            tell.write(f"{place}\n")
            tell.flush()
            return int(hear.readline())

        yield run


class Reader:
    """Services' view of the store: a client that holds all, and one that looks single entries up."""

    def __init__(self, store: AwsStore) -> None:
        self.store = store
        self.client = Client(store, "production")
        self.wrote: dict[int, tuple[str, dict[str, bytes | None]]] = {}

    def look(self) -> int:
        """Return the release that is served, after holding all of it against what was published under its number."""
        self.client.refresh()
        live, state = self.client.snapshot, self.client.state
        assert live is not None
        assert (state.last_error, state.quarantined) == (None, None)
        sha256, documents = self.wrote[live.release]
        assert live.sha256 == sha256
        for key, document in documents.items():
            assert self.store.read_entry("production", key, at=live.release) == document
        prompt = live.prompt(PROMPT.partition("/")[2])
        assert prompt is not None
        assert self.store.read_prompt(prompt.sha256) == live.body(prompt.sha256)
        return live.release


@contextmanager
def publishing(engine: Engine, reader: Reader) -> Iterator[Callable[[], int]]:
    """A way to publish a change of three entries, never twice the same: a row, a prompt back and forth, a gate."""
    with Session(engine) as session:
        save_prompt(session)
        prompt = get_prompt(session, "coaching_response")
        versions = [entry_document(prompt, get_version(session, prompt.code, number)) for number in (1, 2)]
        row, gate = (live_entry(session, "production", key) for key in (PREMIUM, GATE))
        assert row is not None
        number = 0

        def publish() -> int:
            nonlocal number
            number += 1
            changed = [{**row["variants"][0], "temperature": number / 1_000}]
            documents: dict[str, Document | None] = {
                PREMIUM: {**row, "variants": changed},
                PROMPT: versions[number % 2],
                GATE: gate if number % 2 else None,
            }
            release = move(session, "production", documents)
            texts = {key: None if one is None else canonical.dumps(one) for key, one in documents.items()}
            reader.wrote[release.number] = (release.snapshot_sha256, texts)
            return release.number

        yield publish


def test_readers_see_the_old_release_or_the_new_one_whole_wherever_a_worker_is_killed(
    engine: Engine, store: AwsStore, kill: Kill
) -> None:
    reader = Reader(store)
    with publishing(engine, reader) as publish:
        number = publish()
        reconcile(engine, store, "production")
        assert reader.look() == number
        live = number
        for step, places in PLACES.items():
            for turn in range(KILLS):
                place = places[turn % len(places)]
                number = publish()
                assert kill(place) == -9, f"not killed at {place} of {step}"
                if place == "after move_pointer":
                    live = number
                assert reader.look() == live, f"killed at {place} of {step}"

    assert reconcile(engine, store, "production") in {Outcome.MOVED, Outcome.CURRENT}

    assert reader.look() == number
    assert look(engine, store, "production", verifier=Verifier()) == []
    with Session(engine) as session:
        told = steps.exports_of(session, "production", range(1, number + 1))
    assert told[number].state is State.DONE
    assert {export.state for export in told.values()} <= {State.DONE, State.SUPERSEDED}
    assert sum(export.state is State.SUPERSEDED for export in told.values()) > KILLS
