"""What every test may ask for: real Postgres, first data, the application, people of each role."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import settings
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.orm import Session

from controlplane.accounts import passwords
from controlplane.accounts.actor import Actor, Role
from controlplane.db import make_engine
from controlplane.local.postgres import temporary
from controlplane.prompts import render_pool
from controlplane.runtime.lookup import release, source, texts
from controlplane.web.cli import load_first_data, migrate
from tests.page import PageClient
from tests.site import CHEAP, add_person, client_of, shared_app_on

# A busy machine is no fault of the code: nothing here asserts on a clock, hypothesis included.
settings.register_profile("whole", deadline=None)
settings.load_profile("whole")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def patient_lookups() -> Iterator[None]:
    """A call that has nothing to be served waits two seconds for the store, then does without; tests wait longer."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (release, source, texts):
            patch.setattr(module, "PATIENCE", 60.0)
        for module in (release, source):
            patch.setattr(module, "SHORT_PATIENCE", 60.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_checks() -> Iterator[None]:
    """A template that is saved or published, or is one of the first data, may take four seconds to try; here more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render_pool, "PATIENT_WALL_SECONDS", 20.0)
        yield


class Databases:
    """Databases on one throw-away Postgres server, copied from templates that are made once."""

    def __init__(self, server_url: str) -> None:
        self.server = make_engine(server_url)
        self.made = 0

    def url(self, name: str) -> str:
        return make_url(self.server.url).set(database=name).render_as_string(hide_password=False)

    def create(self, name: str, template: str = "template1") -> str:
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def copy(self, template: str) -> tuple[str, str]:
        self.made += 1
        name = f"{template}_{self.made}"
        return name, self.create(name, template)

    def drop(self, name: str) -> None:
        self.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        with self.server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with temporary() as url:
        databases = Databases(url)
        yield databases
        databases.server.dispose()


@pytest.fixture(scope="session")
def blank_template(databases: Databases) -> str:
    """The name of a migrated database without a row; nobody stays connected to it, so that it can be copied."""
    migrate(databases.create("blank"))
    return "blank"


@pytest.fixture(scope="session")
def first_data_template(databases: Databases, blank_template: str) -> str:
    """The name of a database with the first data and release 1 of each environment."""
    url = databases.create("loaded", blank_template)
    engine = make_engine(url)
    load_first_data(engine)
    engine.dispose()
    return "loaded"


@pytest.fixture(scope="session")
def blank_engine(databases: Databases, blank_template: str) -> Iterator[Engine]:
    yield from _engine_on_copy(databases, blank_template)


@pytest.fixture(scope="session")
def loaded_engine(databases: Databases, first_data_template: str) -> Iterator[Engine]:
    yield from _engine_on_copy(databases, first_data_template)


def _engine_on_copy(databases: Databases, template: str) -> Iterator[Engine]:
    name, url = databases.copy(template)
    engine = make_engine(url)
    yield engine
    engine.dispose()
    databases.drop(name)


@pytest.fixture
def session(blank_engine: Engine) -> Iterator[Session]:
    """A session on a migrated, empty database; all it does is rolled back, its commits included."""
    with blank_engine.connect() as connection:
        yield from _rolled_back(connection)


@pytest.fixture
def first_data(loaded_engine: Engine) -> Iterator[Session]:
    """A session on a database with the first data; all it does is rolled back, its commits included."""
    with loaded_engine.connect() as connection:
        yield from _rolled_back(connection)


def _rolled_back(connection: Connection) -> Iterator[Session]:
    outer = connection.begin()
    with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
        yield session
    outer.rollback()


@pytest.fixture
def database_url(databases: Databases, first_data_template: str) -> Iterator[str]:
    """A database of the test's own with the first data, for what really commits: threads, processes, the site."""
    name, url = databases.copy(first_data_template)
    yield url
    databases.drop(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def actor_as() -> Callable[[Role | str], Actor]:
    """Somebody with the role asked for, who has not signed in anywhere."""

    def make(role: Role | str) -> Actor:
        role = Role(role)
        return Actor(
            kind="person",
            id=f"{role.value}-1",
            name=f"{role.label} One",
            role=role,
            via="browser",
            request_id="test-request",
        )

    return make


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing at the real cost takes 0.2 s for each person and each sign-in."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)


@pytest.fixture
def app(first_data: Session, cheap_passwords: None) -> Flask:
    """The site on the connection of `first_data`: what it commits is rolled back with the test."""
    return shared_app_on(first_data)


@pytest.fixture
def client(app: Flask) -> PageClient:
    """A browser in which nobody has signed in."""
    return PageClient(app)


@pytest.fixture
def client_as(app: Flask, first_data: Session) -> Callable[[Role | str], PageClient]:
    """A browser in which somebody of the role asked for has signed in."""
    return lambda role: client_of(app, add_person(first_data, role))
