"""The operator's commands for the store, as they are typed: on a database and a folder of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.releases.export import Outcome, reconcile
from controlplane.runtime.signing import PUBLIC_KEYS, SIGNING_KEY, Signer, new_key_pair
from controlplane.runtime.stores.file import FileStore
from controlplane.web.cli import cli
from tests.runtime.faults import pointer_to, release_bytes

Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path, engine: Engine) -> FileStore:
    store = FileStore(tmp_path)
    for environment in ("production", "staging"):
        reconcile(engine, store, environment)
    return store


@pytest.fixture
def run(database_url: str, store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("CONTROLPLANE_STORE_DIRECTORY", str(tmp_path))
    for name in (SIGNING_KEY, PUBLIC_KEYS):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def lose_texts(store: FileStore) -> None:
    store.delete_prompts([found.sha256 for found in store.list_prompts()])


def test_a_whole_store_is_as_it_should_be(run: Run) -> None:
    said = run("verify-store")
    assert (said.output, said.exit_code) == ("staging: as it should be\nproduction: as it should be\n", 0)


def test_what_differs_is_told_line_by_line_and_healed_when_asked(run: Run, store: FileStore) -> None:
    lose_texts(store)
    told = run("verify-store", "production")
    assert told.exit_code == 1
    assert told.output.count("production: the template text") == told.output.count("\n") > 5

    healed = run("verify-store", "--heal")
    assert healed.exit_code == 0
    assert "staging: everything was written again\nstaging: as it should be\n" in healed.output
    assert healed.output.endswith("\nproduction: as it should be\n")  # the texts are shared
    assert run("verify-store").exit_code == 0


def test_what_is_signed_is_not_healed_without_the_key(
    run: Run, store: FileStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = new_key_pair("blue")
    signer = Signer.from_environment({SIGNING_KEY: pair.signing})
    assert reconcile(engine, store, "production", thorough=True, signer=signer) is Outcome.CURRENT
    monkeypatch.setenv(PUBLIC_KEYS, pair.public)
    assert run("verify-store", "production").exit_code == 0

    lose_texts(store)
    said = run("verify-store", "production", "--heal")
    assert said.exit_code == 1
    assert "not healed: what is there is signed with blue" in said.output

    monkeypatch.setenv(SIGNING_KEY, pair.signing)
    assert run("verify-store", "production", "--heal").exit_code == 0
    monkeypatch.setenv(PUBLIC_KEYS, new_key_pair("red").public)
    assert "signed with the key 'blue', which is not known here" in run("verify-store", "production").output


def test_an_environment_that_is_none_is_refused(run: Run) -> None:
    said = run("verify-store", "elsewhere")
    assert said.exit_code == 2
    assert "there are staging, production" in said.output


def test_catching_up_makes_a_release_that_the_worker_brings_over_the_other_history(
    run: Run, store: FileStore, engine: Engine
) -> None:
    assert run("catch-up", "production", "--reason", "Restored the copy of Monday").exit_code == 1
    data = release_bytes()
    store.write_snapshot("production", pointer_to(data, 9).sha256, data)
    store.move_pointer(pointer_to(data, 9))
    assert "older than what it published" in run("verify-store", "production", "--heal").output

    said = run("catch-up", "production", "--reason", "Restored the copy of Monday")
    assert said.exit_code == 0
    assert "release 10 goes out over the store's release 9" in said.output
    assert reconcile(engine, store, "production") is Outcome.MOVED

    assert run("verify-store").exit_code == 0
    with Session(engine) as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "release.caught_up")).one()
    assert (event.actor_kind, event.via, event.reason) == (
        "system",
        "command line",
        "Restored the copy of Monday",
    )


def test_an_environment_without_a_pointer_has_nothing_to_catch_up_with(run: Run) -> None:
    said = run("catch-up", "nowhere", "--reason", "Restored the copy of Monday")
    assert said.exit_code == 1
    assert "no pointer of nowhere" in said.output


def test_pruning_says_what_it_deleted(run: Run) -> None:
    said = run("prune", "--dry-run")
    assert said.exit_code == 0
    assert said.output.splitlines() == [
        "production (release 1 and later are kept): would delete 0 snapshots, 0 items of entries and 0 of cards",
        "staging (release 1 and later are kept): would delete 0 snapshots, 0 items of entries and 0 of cards",
        "all environments: would delete 0 template texts",
        "in all: 0 snapshots, 0 template texts (0 bytes), 0 items of entries and 0 of cards",
    ]
    assert "all environments: deleted 0 template texts" in run("prune").output
