"""The site for tests: built on a session's own connection, so that what it commits is rolled back with the test."""

import functools
from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts import passwords, services
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.config import Settings
from controlplane.runtime.signing import Verifier
from controlplane.web.app import create_app
from controlplane.web.extensions import cache
from tests.page import PageClient

PASSWORD = "correct-horse-battery"
SETTINGS = {"CONTROLPLANE_SECURE_COOKIES": "false", "CONTROLPLANE_HOME": str(Path("/nowhere"))}
# As strong as a test needs: the real parameters take 0.2 s for each person and each sign-in.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ROOT_ACTOR = Actor.system("tests", via="tests")


def app_on(session: Session, *, verifier: Verifier | None = None, **environment: str) -> Flask:
    """An application of one's own on the connection of `session`, with further variables of the environment."""
    settings = Settings.from_environment(SETTINGS | environment)
    app = create_app(settings, sessions=_sessions_on(session), verifier=verifier)
    app.config["TESTING"] = True
    return app


def shared_app_on(session: Session) -> Flask:
    """The application that all tests of a process take turns with, on the connection of `session`.

    Making one takes 0.15 s, and as long again until its pages are compiled. For tests that change nothing of it.
    """
    app = _shared()
    app.extensions["sessions"] = _sessions_on(session)
    with app.app_context():
        cache.clear()  # its keys are numbers of releases, which other tests' databases have too
    return app


@functools.cache
def _shared() -> Flask:
    app = create_app(Settings.from_environment(SETTINGS), sessions=Session)
    app.config["TESTING"] = True
    return app


def _sessions_on(session: Session) -> Callable[[], Session]:
    connection = session.connection()
    return lambda: Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")


def add_person(
    session: Session, role: Role | str, *, email: str | None = None, name: str | None = None
) -> Person:
    """Somebody of this role whose password is PASSWORD; the same one when asked for again."""
    role = Role(role)
    known = services.find_person(session, email or f"{role.value}@example.com")
    if known is not None:
        return known
    person, _ = services.add_person(
        session,
        email=email or f"{role.value}@example.com",
        name=name or f"{role.label} One",
        role=role,
        actor=ROOT_ACTOR,
    )
    person.password_hash = passwords.hash_password(PASSWORD)
    session.commit()
    return person


def client_of(app: Flask, person: Person) -> PageClient:
    """A browser in which this person has signed in."""
    client = PageClient(app)
    answer = client.sign_in(person.email, PASSWORD)
    assert answer.status == 303, answer.text
    client.actor_id = str(person.id)
    return client
