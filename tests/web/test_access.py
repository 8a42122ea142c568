from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.web.access import access_of, requires
from tests.page import PageClient
from tests.site import add_person, client_of

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def app(app: Flask) -> Flask:
    app.add_url_rule("/forgotten", endpoint="forgotten", view_func=lambda: "secret")
    app.add_url_rule(
        "/publishing", endpoint="publishing", view_func=requires(Role.PUBLISHER)(lambda: "published")
    )
    return app


def test_a_view_without_a_marker_is_refused_even_to_administrators(
    client: PageClient, client_as: ClientAs
) -> None:
    page = client_as("admin").get("/forgotten")
    assert page.status == 403
    assert "secret" not in page.text
    assert client.get("/forgotten").status == 303


def test_every_view_says_who_may_see_it(app: Flask) -> None:
    forgotten = [endpoint for endpoint in app.view_functions if access_of(app, endpoint) is None]
    assert forgotten == ["forgotten"]


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("editor", 403), ("publisher", 200), ("admin", 200)]
)
def test_higher_roles_include_the_lower(client_as: ClientAs, role: str, status: int) -> None:
    assert client_as(role).get("/publishing", unchecked={"heading", "html"}).status == status


def test_a_refusal_names_the_role_and_who_has_it(app: Flask, session: Session) -> None:
    add_person(session, "publisher", name="Grace Hopper")
    add_person(session, "admin", name="Ada Lovelace")
    gone = add_person(session, "publisher", email="gone@example.com", name="Gone Away")
    gone.active = False
    session.commit()
    page = client_of(app, add_person(session, "editor")).get("/publishing")
    assert page.status == 403
    assert "This needs the role Publisher. You are signed in as Editor One, Editor." in page.body
    assert "Ask: Grace Hopper, Ada Lovelace." in page.body


def test_anonymous_readers_are_sent_to_sign_in_and_back(client: PageClient) -> None:
    answer = client.get("/publishing?a=1&b=2")
    assert answer.status == 303
    assert answer.location == "/sign-in?next=/publishing?a%3D1%26b%3D2"
    assert client.follow(answer).form("/sign-in")["next"] == "/publishing?a=1&b=2"


def test_an_anonymous_post_leads_back_to_the_page_its_form_stood_on(client: PageClient) -> None:
    answer = client.post(
        "/settings/people/new", headers={"Referer": "http://localhost/settings/people/new?x=1"}
    )
    assert answer.status == 303
    assert answer.location == "/sign-in?next=/settings/people/new?x%3D1"


def test_an_anonymous_fragment_makes_the_browser_go_to_sign_in(client: PageClient) -> None:
    answer = client.get(
        "/publishing", htmx=True, headers={"HX-Current-URL": "http://localhost/production/?tier=free"}
    )
    assert answer.status == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/production/?tier%3Dfree"
    assert answer.text == ""


def test_a_session_from_another_browser_is_ended(app: Flask, client_as: ClientAs) -> None:
    client = client_as("editor")
    moved = client.get("/settings/profile", headers={"User-Agent": "another browser"})
    assert moved.status == 303
    assert client.get("/settings/profile").status == 303


def test_pages_behind_the_sign_in_are_never_kept(client_as: ClientAs) -> None:
    client = client_as("editor")
    for path in ["/settings/profile", "/settings/people", "/nowhere/at/all"]:
        assert client.get(path).headers["Cache-Control"] == "no-store"
