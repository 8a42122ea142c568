"""Tokens for tests, and a program that calls with one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.db import now
from controlplane.tokens import counting, services
from controlplane.tokens.models import ApiToken
from controlplane.tokens.scopes import Scope
from controlplane.tokens.services import create_token
from tests.site import add_person

EVERYTHING = tuple(Scope)


def actor_of(person: Person) -> Actor:
    """Somebody in their browser."""
    return Actor(kind="person", id=str(person.id), name=person.name, role=Role(person.role), via="browser")


def make_token(
    session: Session,
    owner: Person,
    *,
    scopes: Sequence[Scope] = EVERYTHING,
    environment: str | None = None,
    name: str = "pipeline",
    days: int = 90,
) -> tuple[ApiToken, str]:
    """A token of somebody, and its text."""
    made = create_token(
        session, name=name, scopes=scopes, environment=environment, days=days, actor=actor_of(owner)
    )
    session.commit()
    return made


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute, hour or day ends during a test: it is noon today, for what is counted and for when tokens are used."""
    noon = now().replace(hour=12, minute=0, second=10, microsecond=0)
    for module in (counting, services):
        monkeypatch.setattr(module, "now", lambda: noon)


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    response: TestResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> Any:
        return self.response.headers

    @property
    def json(self) -> Any:
        return json.loads(self.response.get_data())

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        return {each["field"]: each["message"] for each in self.json.get("errors", [])}


@dataclass(frozen=True)
class Program:
    """Something that calls the API, with a token or without."""

    app: Flask
    token: str | None = None
    owner: Person | None = None

    def with_token(self, text: str | None) -> "Program":
        return replace(self, token=text)

    def get(self, path: str, **options: Any) -> Answer:
        return self.call("GET", path, **options)

    def put(self, path: str, document: Any, **options: Any) -> Answer:
        return self.call("PUT", path, json=document, **options)

    def post(self, path: str, document: Any = None, **options: Any) -> Answer:
        return self.call("POST", path, json={} if document is None else document, **options)

    def call(self, method: str, path: str, **options: Any) -> Answer:
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        response = self.app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **options)
        return Answer(response)


def program_of(
    app: Flask, session: Session, role: Role | str, *, email: str | None = None, **given: Any
) -> Program:
    """A program with a token of somebody of this role, with every scope the role covers unless said otherwise."""
    owner = add_person(session, role, email=email)
    given.setdefault("scopes", [each for each in Scope if Role(role).includes(each.needs)])
    given.setdefault("name", f"pipeline {len(session.query(ApiToken).all())}")
    _, text = make_token(session, owner, **given)
    return Program(app, text, owner)
