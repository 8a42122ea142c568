from collections.abc import Callable

import pytest
from flask import Flask, g
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.registry.models import Environment
from controlplane.web import environments
from controlplane.web.access import requires
from controlplane.web.environments import LiveRelease, current_environment
from tests.page import PageClient, words
from tests.site import app_on

ClientAs = Callable[[str], PageClient]
PAGE = '<!doctype html><html lang="en"><title>x</title><main><h1>x</h1></main></html>'


@pytest.fixture
def app(session: Session) -> Flask:
    for position, (code, protected) in enumerate([("staging", False), ("production", True), ("old", False)]):
        session.add(Environment(code=code, name=code.capitalize(), protected=protected, position=position))
    session.flush()
    old = session.get(Environment, "old")
    assert old is not None
    old.archived_at = now()
    session.commit()
    app = app_on(session)

    def thing(environment: str, name: str) -> str:
        return PAGE.replace("x", f"{name} in {environment}")

    def here() -> str:
        found = current_environment()
        return PAGE.replace("x", found.code if found else "none")

    app.add_url_rule("/<environment>/things/<name>", "things.show", requires(Role.VIEWER)(thing))
    app.add_url_rule("/here", "here", requires(Role.VIEWER)(here))
    return app


def test_the_bar_names_the_environment_and_marks_the_protected_one(client_as: ClientAs) -> None:
    client = client_as("viewer")
    client.get("/production/things/a")
    page = client.get("/settings/profile")
    bar = page.one("header", class_="environment-bar")
    assert "Production" in words(bar)
    assert bar.get("data-protected") is not None
    assert "· Production ·" in words(page.one("title"))
    client.get("/staging/things/a")
    assert (
        client.get("/settings/profile").one("header", class_="environment-bar").get("data-protected") is None
    )


def test_the_bar_says_what_is_live(app: Flask, client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert "Nothing live yet" in client.get("/settings/profile").text
    app.config["LIVE_RELEASE"] = lambda _session, code: LiveRelease(418) if code == "production" else None
    assert "Release 418" in client.get("/settings/profile").text


def test_switching_stays_on_the_same_page(app: Flask, client_as: ClientAs) -> None:
    client = client_as("viewer")
    page = client.get("/nowhere/at/all")
    assert page.status == 404
    with app.test_request_context("/staging/things/a?q=1&tier=x&tier=y"):
        g.environments = [
            environments.Environment("staging", "Staging", protected=False),
            environments.Environment("production", "Production", protected=True),
        ]
        g.environment = g.environments[0]
        urls = [each.url for each in environments.switches()]
    assert urls == ["/staging/things/a?q=1&tier=x&tier=y", "/production/things/a?q=1&tier=x&tier=y"]
    links = {words(link): link.get("href") for link in client.get("/settings/profile").all("a")}
    assert links["Production"] == "/settings/profile?in=production"


def test_the_environment_last_looked_at_is_remembered(client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert client.get("/here").heading == "production"  # the protected one is where it matters most
    client.get("/staging/things/a")
    assert client.get("/here").heading == "staging"
    client.get("/production/things/a")
    assert client.get("/here").heading == "production"
    assert client.get("/here?in=staging").heading == "staging"
    assert client.get("/here").heading == "staging"
    assert client.get("/here?in=no-such").heading == "production"


@pytest.mark.parametrize("code", ["nope", "old", "PRODUCTION", "%2e%2e"])
def test_an_unknown_or_archived_environment_is_not_found(client_as: ClientAs, code: str) -> None:
    page = client_as("viewer").get(f"/{code}/things/a")
    assert page.status == 404


def test_who_is_not_signed_in_does_not_learn_which_environments_exist(client: PageClient) -> None:
    assert client.get("/production/things/a").status == client.get("/nope/things/a").status == 303


def test_the_navigation_marks_the_place_one_is_at(client_as: ClientAs) -> None:
    client = client_as("admin")
    marked = {
        path: [
            words(link) for link in client.get(path).by_id("navigation").iter("a") if link.get("aria-current")
        ]
        for path in ["/settings/people", "/settings/people/new", "/settings/profile"]
    }
    assert marked == {
        "/settings/people": ["People"],
        "/settings/people/new": ["People"],
        "/settings/profile": [],
    }
