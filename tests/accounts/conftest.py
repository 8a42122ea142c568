from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts import passwords
from controlplane.accounts.actor import Role
from tests.page import PageClient
from tests.site import CHEAP, add_person, client_of, shared_app_on


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", CHEAP)


@pytest.fixture
def app(session: Session) -> Flask:
    return shared_app_on(session)


@pytest.fixture
def client(app: Flask) -> PageClient:
    return PageClient(app)


@pytest.fixture
def client_as(app: Flask, session: Session) -> Callable[[Role | str], PageClient]:
    return lambda role: client_of(app, add_person(session, role))
