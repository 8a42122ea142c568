"""A site on which every address has something behind it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.plans.services import begin as give_plan
from controlplane.plans.steps import Step
from controlplane.plans.subjects import OfGate
from controlplane.snippets.services import create_snippet
from controlplane.tokens.scopes import Scope
from tests.architecture.addresses import Route, routes_of
from tests.architecture.proposing import make_proposal
from tests.page import PageClient
from tests.reviews.stage import make_sign_off
from tests.rollouts.walk import Walk, second_version
from tests.site import add_person, client_of
from tests.tokens.stage import make_token


@dataclass(frozen=True)
class Site:
    """The application with the first data, one rollout running and one proposal in it, and people of every role."""

    app: Flask
    session: Session
    client_as: Callable[[Role | str], PageClient]
    rollout: int
    sign_off: int
    plan: int
    token: str
    # Asked for and added once: an address is made for each of hundreds of requests.
    event: str
    person: str

    @property
    def routes(self) -> list[Route]:
        return routes_of(self.app)

    @property
    def pages(self) -> list[Route]:
        """What people open in a browser; what programs call has tests of its own, in tests/api."""
        return [route for route in self.routes if not route.is_api]

    def path(self, route: Route) -> str:
        """An address of this route that leads to something."""
        values = {
            "environment": "production",
            "interaction": "COACHING_RESPONSE",
            "tier": "premium",
            "tenant": "acme",
            "target": "COACHING_RESPONSE",
            "number": self._number(route.rule),
            "filename": "css/site.css",
            "identifier": "gone",
            "key": self.token,
            "slug": "only-what-is-required",
            "id": self.event,
            "person_id": self.person,
            "view_id": "00000000-0000-0000-0000-000000000000",
            "code": _CODES.get(route.rule.split("/")[1], "coaching_response"),
        }
        return route.path(values) + _QUERIES.get(route.endpoint, "")

    def _number(self, rule: str) -> str:
        numbers = {"rollouts": self.rollout, "sign-offs": self.sign_off, "plans": self.plan}
        return str(next((number for part, number in numbers.items() if f"/{part}/" in rule), 1))


_CODES = {
    "interactions": "COACHING_RESPONSE",
    "models": "GPT_5",
    "tiers": "premium",
    "environments": "staging",
}
_QUERIES = {
    "rollouts.new": "?configuration=COACHING_RESPONSE/premium",
    "rollouts.start_effect": "?configuration=COACHING_RESPONSE/premium",
}


@pytest.fixture
def site(app: Flask, first_data: Session) -> Site:
    publisher = Actor(
        kind="person", id=str(add_person(first_data, "admin").id), name="Ada", role=Role.ADMIN, via="browser"
    )
    rollout = Walk(first_data, publisher, second_version(first_data, publisher)).start(10_000)
    make_proposal(first_data, publisher)
    create_snippet(
        first_data, code="coaching_response", body="Be kind.", reason="A test of routes", actor=publisher
    )
    sign_off = make_sign_off(first_data)
    plan = give_plan(
        first_data,
        OfGate("production", "KPI_ANALYSIS"),
        steps=[Step(100_000, 60), Step(100_000, 60)],
        reason="A test of routes",
        actor=publisher,
    )
    token, _ = make_token(first_data, add_person(first_data, "viewer"), scopes=[Scope.READ])
    first_data.commit()
    clients: dict[str, PageClient] = {}

    def client_as(role: Role | str) -> PageClient:
        if role not in clients:
            clients[str(role)] = client_of(app, add_person(first_data, role))
        return clients[str(role)]

    return Site(
        app,
        first_data,
        client_as,
        rollout.number,
        sign_off,
        plan.number,
        token.key,
        event=first_data.scalars(select(AuditEvent.id).limit(1)).one(),
        person=str(add_person(first_data, "viewer").id),
    )
