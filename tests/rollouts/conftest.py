from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts import passwords
from controlplane.accounts.actor import Actor, Role
from tests.page import PageClient
from tests.rollouts.walk import Walk, second_version
from tests.site import CHEAP, add_person, client_of, shared_app_on


@pytest.fixture
def walk(first_data: Session, actor_as: Callable[[Role | str], Actor]) -> Walk:
    actor = actor_as(Role.PUBLISHER)
    return Walk(first_data, actor, second_version(first_data, replace(actor, role=Role.ADMIN)))


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", CHEAP)


@pytest.fixture
def app(first_data: Session) -> Flask:
    return shared_app_on(first_data)


@pytest.fixture
def client_as(app: Flask, first_data: Session) -> Callable[[Role | str], PageClient]:
    return lambda role: client_of(app, add_person(first_data, role))
