from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts import passwords
from controlplane.accounts.actor import Actor, Role
from controlplane.prompts.render_pool import RenderPool
from tests.page import PageClient
from tests.site import CHEAP, add_person, client_of, shared_app_on


@pytest.fixture(scope="session")
def pool() -> Iterator[RenderPool]:
    pool = RenderPool()
    yield pool
    pool.close()


@pytest.fixture
def person(first_data: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Actor]:
    """Make somebody who has an account, as the services see them."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)

    def make(role: Role | str, *, name: str | None = None) -> Actor:
        found = add_person(first_data, role, email=f"{name or role}@example.com".lower(), name=name)
        return Actor(kind="person", id=str(found.id), name=found.name, role=Role(role), via="browser")

    return make


@pytest.fixture
def app(first_data: Session) -> Flask:
    return shared_app_on(first_data)


@pytest.fixture
def client_as(app: Flask, first_data: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PageClient]:
    monkeypatch.setattr(passwords, "_hasher", CHEAP)

    def sign_in(role: Role | str, *, name: str | None = None) -> PageClient:
        found = add_person(first_data, role, email=f"{name or role}@browser.example".lower(), name=name)
        return client_of(app, found)

    return sign_in
