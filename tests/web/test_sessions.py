import datetime as dt
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from controlplane.accounts.models import BrowserSession
from controlplane.config import Settings
from controlplane.db import now
from controlplane.web.app import create_app
from tests.page import PageClient
from tests.site import PASSWORD, SETTINGS, add_person

ClientAs = Callable[[str], PageClient]


@pytest.mark.parametrize(
    ("column", "age", "alive"),
    [
        ("seen_at", dt.timedelta(minutes=29), True),
        ("seen_at", dt.timedelta(minutes=31), False),
        ("created_at", dt.timedelta(hours=11, minutes=59), True),
        ("created_at", dt.timedelta(hours=12, minutes=1), False),
    ],
)
def test_a_session_ends_by_idleness_and_by_age(
    client_as: ClientAs, session: Session, column: str, age: dt.timedelta, alive: bool
) -> None:
    client = client_as("editor")
    session.execute(update(BrowserSession).values({column: now() - age}))
    session.commit()
    assert client.get("/settings/profile").status == (200 if alive else 303)


def test_using_a_session_keeps_it_from_idling_out(client_as: ClientAs, session: Session) -> None:
    client = client_as("editor")
    for _ in range(3):
        session.execute(update(BrowserSession).values(seen_at=now() - dt.timedelta(minutes=20)))
        session.commit()
        assert client.get("/settings/profile").status == 200
    session.expire_all()
    assert session.scalars(select(BrowserSession.seen_at)).one() > now() - dt.timedelta(minutes=1)


def test_an_ended_session_does_not_come_back_with_a_request_that_was_on_its_way(
    app: Flask, client_as: ClientAs, session: Session
) -> None:
    client = client_as("editor")
    cookie = client.flask.get_cookie("session")
    assert cookie is not None
    with app.test_request_context("/settings/profile", headers={"Cookie": f"session={cookie.value}"}) as late:
        late.session["touched"] = True
        client.post("/sign-out")
        app.session_interface.save_session(app, late.session, app.response_class())
    assert session.scalars(select(BrowserSession)).all() == []


def test_ended_sessions_are_swept_when_a_new_one_begins(client_as: ClientAs, session: Session) -> None:
    client_as("editor")
    session.execute(update(BrowserSession).values(seen_at=now() - dt.timedelta(days=1)))
    session.commit()
    client_as("viewer")
    assert len(session.scalars(select(BrowserSession.token_sha256)).all()) == 1


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(app: Flask, session: Session) -> None:
    add_person(session, "editor")
    answer = PageClient(app).sign_in("editor@example.com", PASSWORD)
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("session=")
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Lax"}


def test_over_tls_the_cookie_is_bound_to_this_very_host(session: Session) -> None:
    connection = session.connection()
    app = create_app(
        Settings.from_environment({**SETTINGS, "CONTROLPLANE_SECURE_COOKIES": "true"}),
        sessions=lambda: Session(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ),
    )
    add_person(session, "editor")
    client = PageClient(app)
    answer = client.post(
        "/sign-in", {"email": "editor@example.com", "password": PASSWORD}, base_url="https://localhost"
    )
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("__Host-session=")
    assert set(attributes) == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert client.get("/settings/profile", base_url="https://localhost").status == 200


def test_reading_pages_without_signing_in_makes_no_session(client: PageClient, session: Session) -> None:
    answer = client.get("/sign-in")
    assert "Set-Cookie" not in answer.headers
    assert session.scalars(select(BrowserSession)).all() == []
