import logging
from collections.abc import Callable

import pytest
from flask import Flask, abort
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session

from controlplane.accounts import services
from controlplane.accounts.actor import Role
from controlplane.accounts.models import Person
from controlplane.config import Settings
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.web.access import public, requires
from controlplane.web.app import create_app
from controlplane.web.delivery import CONTENT_SECURITY_POLICY
from controlplane.web.unit_of_work import db_session, independent
from tests.page import PageClient
from tests.site import ROOT_ACTOR, SETTINGS, add_person

ClientAs = Callable[[str], PageClient]

RAISED: dict[str, Exception] = {
    "not-found": NotFound("template", "<coach>"),
    "forbidden": Forbidden("Publisher"),
    "conflict": Conflict("COACHING_RESPONSE · premium is at version 8 now."),
    "refused": Refused({"model": "GPT_5 is inactive.", "": "Nothing changed."}),
    "broken": ZeroDivisionError("a detail nobody should see"),
}


@pytest.fixture
def app(app: Flask) -> Flask:
    def raising(what: str) -> str:
        raise RAISED[what]

    app.add_url_rule("/raising/<what>", endpoint="raising", view_func=requires(Role.VIEWER)(raising))
    app.add_url_rule("/status/<int:code>", endpoint="status", view_func=public(_abort))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ("not-found", 404, "There is no template <coach>."),
        ("forbidden", 403, "This needs the role Publisher."),
        ("conflict", 409, "COACHING_RESPONSE · premium is at version 8 now."),
        ("refused", 422, "GPT_5 is inactive."),
        ("broken", 500, "Something broke here"),
    ],
)
def test_what_a_service_raises_becomes_a_page(
    client_as: ClientAs, what: str, status: int, words: str
) -> None:
    page = client_as("viewer").get(f"/raising/{what}")
    assert page.status == status
    assert words in page.body
    assert page.headers["X-Request-Id"] in page.body
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503])
def test_every_status_has_a_page_with_a_request_id(client: PageClient, status: int) -> None:
    page = client.get(f"/status/{status}")
    assert page.status == status
    assert page.headers["X-Request-Id"] in page.body
    assert page.all("a", href="/")


def test_a_fault_tells_the_log_and_not_the_reader(
    client_as: ClientAs, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_as("viewer")
    with caplog.at_level(logging.ERROR):
        page = client.get("/raising/broken")
    assert "a detail nobody should see" not in page.text
    assert "ZeroDivisionError" not in page.text
    assert page.headers["X-Request-Id"] in caplog.text
    assert "a detail nobody should see" in caplog.text


def test_an_unknown_address_shows_the_frame_to_those_signed_in_only(
    client: PageClient, client_as: ClientAs
) -> None:
    assert client.get("/nowhere/at/all").all("nav") == []
    assert client_as("viewer").get("/nowhere/at/all").by_id("navigation") is not None


def test_an_unknown_method_says_which_are_known(client: PageClient) -> None:
    page = client.flask.put("/sign-in", headers={"Sec-Fetch-Site": "same-origin"})
    assert page.status_code == 405
    assert set(page.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_more_than_a_mebibyte_is_refused(client: PageClient) -> None:
    assert client.post("/sign-in", {"email": "a" * 1024 * 1024, "password": "b"}).status == 413


def test_without_a_database_pages_say_so(caplog: pytest.LogCaptureFixture) -> None:
    settings = {**SETTINGS, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    client = PageClient(create_app(Settings.from_environment(settings)))
    client.flask.set_cookie("session", "somebody")
    for path in ["/healthz", "/settings/profile"]:
        page = client.get(path)
        assert page.status == 503
        assert "services go on with their last release" in page.body
    assert client.get("/static/css/site.css").status == 200


def test_when_every_connection_is_taken_the_page_says_so(
    app: Flask, client: PageClient, engine: Engine
) -> None:
    small = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    app.extensions["sessions"] = lambda: Session(small)
    client.flask.set_cookie("session", "somebody")
    with small.connect():
        page = client.get("/settings/profile")
    small.dispose()
    assert page.status == 503
    assert page.headers["Retry-After"] == "2"
    assert "Too many pages are asked for at once" in page.body


def test_what_the_database_cannot_hold_is_the_fault_of_the_request(client: PageClient) -> None:
    assert client.post("/sign-in", {"email": "a\0b@example.com", "password": "x"}).status == 400


def test_a_page_can_be_drawn_after_a_failed_statement(app: Flask, client_as: ClientAs) -> None:
    def fail() -> str:
        db_session().execute(text("SELECT 1/0"))
        return ""

    app.add_url_rule("/fail", "fail", requires(Role.VIEWER)(fail))
    page = client_as("viewer").get("/fail")
    assert page.status == 400
    assert page.by_id("navigation") is not None


def test_the_probe_answers_while_the_database_does(client: PageClient) -> None:
    assert client.get("/healthz").response.json == {"status": "ok"}


@pytest.mark.parametrize(
    ("status", "kept"), [(200, True), (303, True), (399, True), (404, False), (422, False)]
)
def test_what_a_view_wrote_is_kept_only_when_it_succeeded(
    app: Flask, client: PageClient, session: Session, status: int, kept: bool
) -> None:
    def write() -> tuple[str, int]:
        with independent() as own:
            add_person(own, "viewer", email="independent@example.com")
        add_person_without_commit(db_session())
        return "", status

    app.add_url_rule("/write", endpoint="write", view_func=public(write))
    client.get("/write", unchecked={"heading", "html"})
    found = set(session.scalars(select(Person.email)))
    assert found == (
        {"independent@example.com", "in-request@example.com"} if kept else {"independent@example.com"}
    )


def _abort(code: int) -> str:
    abort(code)


def add_person_without_commit(session: Session) -> None:
    services.add_person(session, email="in-request@example.com", name="A", role=Role.VIEWER, actor=ROOT_ACTOR)
