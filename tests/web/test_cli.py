import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from controlplane.accounts.passwords import verify_password
from controlplane.accounts.services import find_person
from controlplane.db import make_engine
from controlplane.web.cli import cli

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, cheap_passwords: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def stored_hash(database_url: str, email: str) -> str | None:
    engine = make_engine(database_url)
    with Session(engine) as session:
        person = find_person(session, email)
    engine.dispose()
    return person.password_hash if person else None


def test_without_a_password_given_the_first_administrator_gets_one_made_up_and_told_once(
    run: Run, database_url: str
) -> None:
    first, second = (json.loads(run("first-data").output) for _ in range(2))
    assert (first["created_admin"], first["email"]) == (True, "admin@example.com")
    assert verify_password(stored_hash(database_url, first["email"]), first["password"])
    assert second == {"loaded": False, "created_admin": False, "email": "admin@example.com"}


def test_a_password_that_was_given_is_not_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "a long enough password")
    answer = run("first-data").output
    assert json.loads(answer)["created_admin"]
    assert "a long enough password" not in answer


def test_a_person_is_added_under_the_rules_of_the_form(run: Run, database_url: str) -> None:
    refused = run("add-person", "no address", "--name", "Ada")
    assert (refused.exit_code, stored_hash(database_url, "no address")) == (2, None)
    assert "Enter an e-mail address" in refused.output
    added = run("add-person", " ada@example.com", "--name", "Ada")
    assert added.exit_code == 0
    assert stored_hash(database_url, "ada@example.com")


def test_a_call_is_explained_as_the_service_does(run: Run) -> None:
    told = run("explain", "production", "COACHING_RESPONSE", "--tier", "premium", "--unit", "u-1")
    assert told.exit_code == 0, told.output
    assert "decided      The configuration for this tier answers." in told.output
    found = json.loads(
        run("explain", "production", "COACHING_RESPONSE", "--tier", "premium", "--json").output
    )
    assert (found["path"], found["configuration"]) == (
        "configuration",
        "configuration/COACHING_RESPONSE/premium/*",
    )
    refused = run("explain", "production", "COACHING_RESPONSE", "--values", "{goal")
    assert refused.exit_code == 2
    assert "This is not JSON" in refused.output
