import threading
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.accounts import passwords
from controlplane.accounts.actor import Role
from controlplane.accounts.models import BrowserSession, Person
from controlplane.audit.models import AuditEvent
from controlplane.config import Settings
from controlplane.web.app import create_app
from tests.page import PageClient, words
from tests.site import PASSWORD, SETTINGS, add_person, client_of

ClientAs = Callable[[Role | str], PageClient]


def test_signing_in_leads_to_the_page_that_was_asked_for(client: PageClient, session: Session) -> None:
    add_person(session, Role.ADMIN)
    turned_away = client.get("/settings/people?x=1")
    assert turned_away.status == 303
    form = client.follow(turned_away)
    answer = client.submit(form, "/sign-in", {"email": " ADMIN@example.com", "password": PASSWORD})
    assert answer.location == "/settings/people?x=1"
    assert client.follow(answer).heading == "People"


def test_a_wrong_password_is_refused_with_the_form_as_typed(client: PageClient, session: Session) -> None:
    add_person(session, Role.ADMIN)
    page = client.sign_in("admin@example.com", "wrong")
    assert page.status == 422
    assert page.one("title").text == "Error: Sign in · LLM control plane"
    assert page.form("/sign-in")["email"] == "admin@example.com"
    assert "e-mail address or the password is wrong" in page.body
    assert "wrong" not in [each.get("value") for each in page.all("input")]


def test_unknown_disabled_and_wrong_are_answered_alike(client: PageClient, session: Session) -> None:
    person = add_person(session, Role.EDITOR)
    person.active = False
    session.commit()
    tries = [
        ("editor@example.com", PASSWORD),
        ("editor@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
    ]
    answers = {words(client.sign_in(email, password).by_id("error-summary")) for email, password in tries}
    assert answers == {"There is a problem The e-mail address or the password is wrong."}


def test_sign_ins_and_refusals_are_on_record(client: PageClient, session: Session) -> None:
    add_person(session, Role.EDITOR)
    client.sign_in("editor@example.com", "wrong")
    client.sign_in("nobody@example.com", "wrong")
    client.sign_in("my secret password", "wrong")
    client.sign_in("editor@example.com", PASSWORD)
    client.post("/sign-out")
    told = session.execute(
        select(AuditEvent.action, AuditEvent.object_key, AuditEvent.address)
        .where(AuditEvent.action != "person.added")
        .order_by(AuditEvent.sequence)
    ).all()
    assert [(action, key) for action, key, _ in told] == [
        ("person.sign_in_refused", "editor@example.com"),
        ("person.sign_in_refused", "nobody@example.com"),
        ("person.sign_in_refused", "(not an address)"),
        ("person.signed_in", "editor@example.com"),
        ("person.signed_out", "editor@example.com"),
    ]
    assert {address for *_, address in told} == {"127.0.0.1"}


def test_a_session_id_planted_before_sign_in_is_worth_nothing_after_it(app: Flask, session: Session) -> None:
    add_person(session, Role.EDITOR)
    victim = PageClient(app)
    victim.flask.set_cookie("session", "planted-by-somebody-else")
    victim.sign_in("editor@example.com", PASSWORD)
    assert victim.get("/settings/profile").status == 200
    cookie = victim.flask.get_cookie("session")
    assert cookie is not None
    assert cookie.value != "planted-by-somebody-else"

    attacker = PageClient(app)
    attacker.flask.set_cookie("session", "planted-by-somebody-else")
    assert attacker.get("/settings/profile").status == 303


def test_signing_in_again_ends_the_session_before(app: Flask, session: Session) -> None:
    client = client_of(app, add_person(session, Role.EDITOR))
    first = client.flask.get_cookie("session")
    client.sign_in("editor@example.com", PASSWORD)
    second = client.flask.get_cookie("session")
    assert first is not None
    assert second is not None
    assert first.value != second.value
    thief = PageClient(app)
    thief.flask.set_cookie("session", first.value)
    assert thief.get("/settings/profile").status == 303


def test_signing_out_ends_the_session_for_whoever_kept_the_cookie(
    app: Flask, client_as: ClientAs, session: Session
) -> None:
    client = client_as("editor")
    kept = client.flask.get_cookie("session")
    assert kept is not None
    page = client.follow(client.post("/sign-out"))
    assert page.heading == "Sign in"
    assert "You have signed out." in page.body
    assert client.flask.get_cookie("session") is None
    assert session.scalars(select(BrowserSession)).all() == []

    thief = PageClient(app)
    thief.flask.set_cookie("session", kept.value)
    assert thief.get("/settings/profile").status == 303


def test_the_database_does_not_hold_the_cookie(client_as: ClientAs, session: Session) -> None:
    client = client_as("editor")
    cookie = client.flask.get_cookie("session")
    row = session.scalars(select(BrowserSession)).one()
    assert cookie is not None
    assert cookie.value not in row.token_sha256 + str(row.data)
    assert str(row.person_id) == client.actor_id


def test_tries_are_throttled_per_account_even_with_the_right_password(
    client: PageClient, session: Session
) -> None:
    add_person(session, Role.EDITOR)
    for _ in range(8):
        assert client.sign_in("editor@example.com", "wrong").status == 422
    page = client.sign_in("Editor@Example.com", PASSWORD)
    assert page.status == 429
    assert 0 < int(page.headers["Retry-After"]) <= 15 * 60
    assert "Too many attempts. Try again in 15 minutes." in page.body


def test_tries_are_throttled_per_address(client: PageClient, session: Session) -> None:
    add_person(session, Role.EDITOR)
    for number in range(40):
        assert client.sign_in(f"somebody-{number}@example.com", "wrong").status == 422
    assert client.sign_in("editor@example.com", PASSWORD).status == 429
    elsewhere = client.post(
        "/sign-in",
        {"email": "editor@example.com", "password": PASSWORD},
        environ_overrides={"REMOTE_ADDR": "127.0.0.2"},
    )
    assert elsewhere.status == 303


def test_guessing_the_present_password_in_an_open_session_is_throttled_too(
    engine: Engine,
) -> None:
    # On connections of its own: on the others' single one, what is rolled back after the refusal takes the tries along.
    settings = Settings.from_environment(SETTINGS | {"DATABASE_URL": "postgresql://unused"})
    with Session(engine, expire_on_commit=False) as database:
        person = add_person(database, Role.EDITOR)
    here = client_of(create_app(settings, sessions=lambda: Session(engine, expire_on_commit=False)), person)
    given = {"current": "wrong", "new": "another long password", "again": "another long password"}
    for _ in range(8):
        assert here.post("/settings/profile", given).status == 422
    page = here.post("/settings/profile", given | {"current": PASSWORD})
    assert page.status == 429
    assert "Too many attempts" in page.text
    assert 0 < int(page.headers["Retry-After"]) <= 15 * 60


def test_when_all_places_for_passwords_are_taken_nothing_counts_as_a_try(
    client: PageClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_person(session, Role.EDITOR)
    monkeypatch.setattr(passwords, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.0)
    with passwords._slots:
        for _ in range(9):
            page = client.sign_in("editor@example.com", PASSWORD)
            assert page.status == 429
            assert page.headers["Retry-After"] == "5"
    assert client.sign_in("editor@example.com", PASSWORD).status == 303


def test_a_right_password_forgives_the_tries_before(client: PageClient, session: Session) -> None:
    add_person(session, Role.EDITOR)
    for _ in range(3):
        for _ in range(7):
            client.sign_in("editor@example.com", "wrong")
        assert client.sign_in("editor@example.com", PASSWORD).status == 303


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "http:evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "https:/evil.example",
        "/%0d%0aLocation: x\r\n",
        "//evil.example/%2f..",
        "//localhost@evil.example",
        "",
    ],
)
def test_sign_in_never_leads_off_the_site(client: PageClient, session: Session, onward: str) -> None:
    add_person(session, Role.EDITOR)
    answer = client.post("/sign-in", {"email": "editor@example.com", "password": PASSWORD, "next": onward})
    assert answer.status == 303
    assert answer.location == "/"


@pytest.mark.parametrize("onward", ["/", "/production/", "/changes?q=a+b&before=3", "/interactions/A%20B"])
def test_sign_in_leads_on_to_pages_of_the_site(client: PageClient, session: Session, onward: str) -> None:
    add_person(session, Role.EDITOR)
    answer = client.post("/sign-in", {"email": "editor@example.com", "password": PASSWORD, "next": onward})
    assert answer.location == onward


def test_changing_ones_password_keeps_this_session_and_ends_the_others(
    app: Flask, client_as: ClientAs, session: Session
) -> None:
    here = client_as("editor")
    there = PageClient(app)
    there.sign_in("editor@example.com", PASSWORD)
    page = here.get("/settings/profile")
    answer = here.submit(
        page,
        "/settings/profile",
        {"current": PASSWORD, "new": "four unrelated little words", "again": "four unrelated little words"},
    )
    assert "Your password is changed" in here.follow(answer).text
    assert there.get("/settings/profile").status == 303
    assert PageClient(app).sign_in("editor@example.com", PASSWORD).status == 422
    assert PageClient(app).sign_in("editor@example.com", "four unrelated little words").status == 303


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        (
            {"current": "wrong", "new": "a" * 12, "again": "a" * 12},
            "current",
            "This is not your present password.",
        ),
        ({"current": PASSWORD, "new": "short", "again": "short"}, "new", "Use at least 12 characters."),
        ({"current": PASSWORD, "new": "a" * 12, "again": "b" * 12}, "again", "The two new passwords differ."),
        ({"current": "", "new": "a" * 12, "again": "a" * 12}, "current", "This is needed."),
        (
            {"current": PASSWORD, "new": "EDITOR@example.com", "again": "EDITOR@example.com"},
            "new",
            "Choose another one than your name, your address or the present password.",
        ),
    ],
)
def test_a_refused_password_says_so_beside_its_field(
    client_as: ClientAs, given: dict[str, str], field: str, message: str
) -> None:
    page = client_as("editor").post("/settings/profile", given)
    assert page.status == 422
    assert page.error_of(field) == message


def test_an_administrator_adds_a_person_who_can_sign_in_with_the_password_shown_once(
    app: Flask, client_as: ClientAs, session: Session
) -> None:
    admin = client_as("admin")
    form = admin.get("/settings/people/new")
    shown = admin.submit(
        form,
        "/settings/people/new",
        {"name": "Ada Lovelace", "email": "ada@example.com", "role": "publisher"},
    )
    assert shown.status == 201
    password = shown.one("button", data_copy=shown.all("code")[0].text or "").get("data-copy") or ""
    assert "Ada Lovelace" in admin.get("/settings/people").body
    assert PageClient(app).sign_in("ada@example.com", password).status == 303
    everything = [str(row) for row in session.execute(select(AuditEvent.sentence, AuditEvent.after))]
    everything += [str(row.data) for row in session.scalars(select(BrowserSession))]
    assert not any(password in each for each in everything)


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"name": " ", "email": "a@b"}, "name", "This is needed."),
        (
            {"name": "A", "email": "not an address"},
            "email",
            "Enter an e-mail address, such as ada@example.com.",
        ),
        ({"name": "A", "email": "ADMIN@example.com"}, "email", "Somebody has this address already."),
        (
            {"name": "A", "email": "a@b", "role": "emperor"},
            "role",
            "Choose one of 'viewer', 'editor', 'on-call', 'publisher' or 'admin'.",
        ),
    ],
)
def test_a_person_who_cannot_be_added_comes_back_as_typed(
    client_as: ClientAs, given: dict[str, str], field: str, message: str
) -> None:
    page = client_as("admin").post("/settings/people/new", given)
    assert page.status == 422
    assert page.error_of(field) == message
    assert page.form("/settings/people/new")["email"] == given["email"]


def test_a_change_of_role_ends_the_sessions_of_the_person(
    app: Flask, client_as: ClientAs, session: Session
) -> None:
    editor = client_as("editor")
    admin = client_as("admin")
    page = admin.get(f"/settings/people/{editor.actor_id}")
    admin.follow(admin.submit(page, f"/settings/people/{editor.actor_id}/role", {"role": "viewer"}))
    assert editor.get("/settings/profile").status == 303
    editor.sign_in("editor@example.com", PASSWORD)
    assert "Viewer" in editor.get("/settings/profile").body
    last = session.scalars(select(AuditEvent).where(AuditEvent.action == "person.role_changed")).one()
    assert last.sentence == "made Editor One Viewer (was Editor); they have to sign in again"
    assert (last.before, last.after) == ({"role": "editor"}, {"role": "viewer"})


def test_a_disabled_person_is_out_at_once_until_enabled(app: Flask, client_as: ClientAs) -> None:
    editor = client_as("editor")
    admin = client_as("admin")
    where = f"/settings/people/{editor.actor_id}"
    assert "Disabled" in admin.follow(admin.post(f"{where}/disable")).body
    assert editor.get("/settings/profile").status == 303
    assert editor.sign_in("editor@example.com", PASSWORD).status == 422
    assert admin.post(f"{where}/disable").status == 422
    admin.follow(admin.post(f"{where}/enable"))
    assert editor.sign_in("editor@example.com", PASSWORD).status == 303


def test_the_last_administrator_cannot_be_removed(client_as: ClientAs, session: Session) -> None:
    admin = client_as("admin")
    where = f"/settings/people/{admin.actor_id}"
    for path, given in [("disable", {}), ("role", {"role": "viewer"})]:
        page = admin.post(f"{where}/{path}", given)
        assert page.status == 422
        assert "Admin One is the last administrator" in page.body
    session.expire_all()
    person = session.scalars(select(Person)).one()
    assert (person.role, person.active) == ("admin", True)


def test_a_lost_password_is_replaced(app: Flask, client_as: ClientAs) -> None:
    editor = client_as("editor")
    admin = client_as("admin")
    shown = admin.post(f"/settings/people/{editor.actor_id}/password")
    password = shown.all("code")[0].text or ""
    assert editor.get("/settings/profile").status == 303
    assert PageClient(app).sign_in("editor@example.com", PASSWORD).status == 422
    assert PageClient(app).sign_in("editor@example.com", password).status == 303


@pytest.mark.parametrize("role", ["viewer", "editor", "publisher"])
def test_only_administrators_see_people(client_as: ClientAs, role: str) -> None:
    client = client_as(role)
    page = client.get("/settings/people")
    assert page.status == 403
    assert "This needs the role Admin." in page.body
    assert "People" not in page.texts("a")
    assert client.post("/settings/people/new", {"name": "A", "email": "a@b"}).status == 403


def test_names_are_shown_as_text(client_as: ClientAs) -> None:
    admin = client_as("admin")
    hostile = "<img src=x onerror=alert(1)>"
    admin.post("/settings/people/new", {"name": hostile, "email": "x@example.com", "role": "viewer"})
    page = admin.get("/settings/people")
    assert hostile in page.body
    assert page.all("img") == []


def test_the_theme_is_kept_in_a_cookie_and_written_by_the_server(client_as: ClientAs) -> None:
    client = client_as("viewer")
    answer = client.post("/settings/theme", {"theme": "dark", "next": "/settings/profile"})
    page = client.follow(answer)
    assert page.one("html").get("data-theme") == "dark"
    client.post("/settings/theme", {"theme": "system"})
    assert client.get("/settings/profile").one("html").get("data-theme") is None
    client.post("/settings/theme", {"theme": "<script>"})
    assert client.get("/settings/profile").one("html").get("data-theme") is None
