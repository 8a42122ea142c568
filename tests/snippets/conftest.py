from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts import passwords
from controlplane.accounts.actor import Actor, Role
from controlplane.prompts import services as prompts
from controlplane.prompts.models import PromptVersion
from tests.page import PageClient
from tests.site import CHEAP, add_person, client_of, shared_app_on


@pytest.fixture
def editor(first_data: Session, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    found = add_person(first_data, "editor", email="ed@example.com", name="Ed")
    return Actor(kind="person", id=str(found.id), name=found.name, role=Role.EDITOR, via="browser")


@pytest.fixture
def including(first_data: Session, editor: Actor) -> Callable[..., PromptVersion]:
    """Save the next version of a template with this text."""

    def save(code: str, body: str) -> PromptVersion:
        prompt = prompts.get_prompt(first_data, code)
        newest = prompt.versions[0].number
        return prompts.save_version(
            first_data, prompt, body=body, base_version=newest, reason="Shares its tone", actor=editor
        )

    return save


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
