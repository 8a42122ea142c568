"""Every address of the API: without a token, with each scope, for another environment, and with tokens that are none."""

import datetime as dt
import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Role
from controlplane.api import reading_views
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.registry.inputs import RESERVED_ENVIRONMENTS
from controlplane.tokens import counting, minting
from controlplane.tokens.models import ApiToken
from controlplane.tokens.scopes import Scope
from tests.api.conftest import ProgramOf
from tests.api.ways import REASON, WAYS, WRITING, publish
from tests.architecture.addresses import routes_of
from tests.page import PageClient
from tests.proposals.stage import rule
from tests.site import ROOT_ACTOR
from tests.tokens.stage import Answer, Program, stop_the_clock


def call(program: Program, name: str, session: Session) -> Answer:
    path, document = WAYS[name].case(session)
    return program.call(name.partition(" ")[0], path, **({} if document is None else {"json": document}))


def test_every_address_is_tried_here_and_in_the_table(app: Flask) -> None:
    routes = {route.name: route.access for route in routes_of(app) if route.is_api}
    assert routes == {name: f"token: {way.scope}" for name, way in WAYS.items()}


def test_no_code_of_an_environment_hides_an_address(app: Flask) -> None:
    first = {route.rule.split("/")[3] for route in routes_of(app) if route.is_api} - {"<environment>"}
    assert first <= RESERVED_ENVIRONMENTS


def test_nothing_opens_without_a_token_or_for_a_session(
    app: Flask, client_as: Callable[[str], PageClient]
) -> None:
    admin = client_as("admin").flask
    for name in WAYS:
        method, _, rule = name.partition(" ")
        path = rule.replace("<environment>", "production").replace("<int:number>", "1")
        for browser in (app.test_client(), admin):
            answer = browser.open(path, method=method, headers={"Sec-Fetch-Site": "same-origin"}, json={})
            assert answer.status_code == 401, name
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="LLM control plane"'
            assert answer.mimetype == "application/problem+json"
            assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_opens_what_needs_it_and_nothing_else(
    first_data: Session, program: ProgramOf, scope: Scope
) -> None:
    """A publisher's token of one scope alone; what the call comes to is the other tests' business."""
    caller = program("admin", scopes=[scope])
    for name, way in WAYS.items():
        method, _, rule = name.partition(" ")
        path = (
            rule.removeprefix("/api/v1").replace("<environment>", "production").replace("<int:number>", "1")
        )
        answer = caller.call(method, path, **({} if method == "GET" else {"json": {}}))
        if way.scope is scope:
            assert answer.status not in {401, 403}, name
        else:
            assert answer.status == 403, name
            assert answer.json["scope"] == way.scope
            assert f'scope="{way.scope}"' in answer.headers["WWW-Authenticate"]
            assert answer.json["detail"] == f"This needs the scope {way.scope}; the token has {scope}."


def test_a_token_of_one_environment_is_for_that_one_alone(first_data: Session, program: ProgramOf) -> None:
    caller = program("admin", environment="staging")
    elsewhere = [name for name in WAYS if "<environment>" in name]
    assert len(elsewhere) > 10
    for name in elsewhere:
        method, _, rule = name.partition(" ")
        path = (
            rule.removeprefix("/api/v1").replace("<environment>", "production").replace("<int:number>", "1")
        )
        answer = caller.call(method, path, **({} if method == "GET" else {"json": {}}))
        assert (answer.status, answer.json["detail"]) == (403, "The token is for staging alone."), name
    assert caller.get("/staging/live").status == 200
    assert [each["code"] for each in caller.get("/environments").json["environments"]] == ["staging"]
    assert "for staging alone" in caller.get("/changes").json["detail"]
    source = {"source": "environment:production", "entries": "all", "reason": "a test of promotion"}
    assert caller.post("/staging/proposals", source).status == 403


def test_an_environment_that_is_not_there_is_said_to_be_so(program: ProgramOf) -> None:
    answer = program("viewer").get("/nowhere/live")
    assert (answer.status, answer.json["detail"]) == (404, "There is no environment nowhere.")


# What a token may be that is none, and how it is answered.
WRONG = {
    "none at all": (None, 401, "Send a token"),
    "another prefix": ("ghp_" + "a" * 36, 401, "cut off, mistyped"),
    "cut off": (minting.mint().text[:-3], 401, "cut off, mistyped"),
    "never made": (minting.mint().text, 401, "not known"),
    "long": ("lcp_" + "a" * 5000, 401, "cut off, mistyped"),
    "other signs": ("lcp_ä", 401, "cut off, mistyped"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_token_opens_nothing(app: Flask, kind: str) -> None:
    text, status, words = WRONG[kind]
    answer = Program(app).get(
        "/environments", headers={} if text is None else {"Authorization": f"Bearer {text}"}
    )
    assert answer.status == status
    assert words in answer.json["detail"]
    assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == (text is not None)


@pytest.mark.parametrize("header", ["Basic {}", "Token {}", "{}", "Bearer", "bearer  {}"])
def test_a_token_is_sent_as_a_bearer_and_in_no_other_way(program: ProgramOf, header: str) -> None:
    caller = program("viewer")
    answer = caller.get("/environments", headers={"Authorization": header.format(caller.token)})
    assert answer.status == (200 if header.startswith("bearer") else 401)


def test_a_token_in_an_address_is_not_accepted_even_beside_one_in_the_header(program: ProgramOf) -> None:
    caller = program("viewer")
    for path in (f"/environments?access_token={caller.token}", f"/production/explain?unit={caller.token}"):
        for each in (caller, caller.with_token(None)):
            answer = each.get(path)
            assert answer.status == 400
            assert "revoke it" in answer.json["detail"]
            assert str(caller.token) not in answer.response.get_data(as_text=True)


def test_a_token_in_a_cookie_or_a_body_is_not_looked_at(app: Flask, program: ProgramOf) -> None:
    caller = program("editor")
    browser = app.test_client()
    browser.set_cookie("session", caller.token or "")
    assert browser.get("/api/v1/environments").status_code == 401
    assert caller.with_token(None).post("/staging/proposals", {"token": caller.token}).status == 401


def test_revoked_expired_and_disabled_are_told_apart(first_data: Session, program: ProgramOf) -> None:
    def told(caller: Program) -> str:
        answer = caller.get("/environments")
        assert answer.status == 401
        return str(answer.json["detail"])

    revoked, expired, disabled = (program(role) for role in ("viewer", "editor", "publisher"))
    rows = {row.owner_id: row for row in first_data.scalars(select(ApiToken))}
    gone = rows[revoked.owner.id]  # type: ignore[union-attr]
    gone.revoked_at, gone.revoked_by = now(), "somebody"
    old = rows[expired.owner.id]  # type: ignore[union-attr]
    old.created_at, old.expires_at = now() - dt.timedelta(days=2), now() - dt.timedelta(days=1)
    accounts.disable(first_data, disabled.owner, actor=ROOT_ACTOR)  # type: ignore[arg-type]
    first_data.commit()
    assert "revoked on" in told(revoked)
    assert "expired on" in told(expired)
    assert "can no longer sign in" in told(disabled)


def test_a_lower_role_takes_effect_with_the_next_call(first_data: Session, program: ProgramOf) -> None:
    caller = program("publisher")
    assert caller.post("/staging/publish", {"entries": "all"}).status == 200
    accounts.change_role(first_data, caller.owner, role=Role.VIEWER, actor=ROOT_ACTOR)  # type: ignore[arg-type]
    first_data.commit()
    answer = caller.post("/staging/publish", {"entries": "all"})
    assert answer.status == 403
    assert "Publisher One, whose token this is, is Viewer" in answer.json["detail"]
    assert caller.get("/staging/live").status == 200


def test_a_refusal_is_in_the_record_once_an_hour(
    first_data: Session, program: ProgramOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch)
    caller = program("editor", scopes=[Scope.READ])
    for _ in range(3):
        caller.put("/templates/coaching_response", {"body": "x"})
    query = select(AuditEvent).where(AuditEvent.action == "token.refused")
    (told,) = first_data.scalars(query)
    assert told.sentence.startswith(
        "was refused PUT /api/v1/templates/coaching_response: This needs the scope edit; the token has read"
    )
    assert (told.actor_kind, told.owner_name, told.via) == ("token", "Editor One", "token")


def test_made_up_environments_are_one_reason_and_no_fault_of_ours(
    first_data: Session, program: ProgramOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch)
    caller = program("editor", environment="staging")
    # Longer than what an index can hold, however it packs it.
    scattered = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(48))
    for made_up in ("a%00b", scattered, "one", "two", "%F0%9F%98%80"):
        assert caller.get(f"/{made_up}/live").status == 403
    for other in ("three", "four"):
        document = {"source": f"environment:{other}", "entries": "all", **REASON}
        assert caller.post("/staging/proposals", document).status == 403
    (told,) = first_data.scalars(select(AuditEvent).where(AuditEvent.action == "token.refused"))
    assert "GET /api/v1/a b/live: The token is for staging alone" in told.sentence


def test_what_an_environment_keeps_for_administrators_no_token_does(
    first_data: Session, program: ProgramOf
) -> None:
    rule(first_data, publish_role="admin")
    path, document = publish(first_data)
    answer = program("admin").post(path, document)
    assert (answer.status, answer.json["detail"]) == (403, "This needs the role Admin.")


def test_no_part_of_a_token_s_secret_comes_into_a_log_or_the_record(
    app: Flask,
    first_data: Session,
    program: ProgramOf,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caller = program("viewer")
    secret = (caller.token or "").rpartition("_")[2]

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    with caplog.at_level(logging.DEBUG):
        caller.get("/environments")
        caller.put("/templates/coaching_response", {"body": "x"})
        caller.get(f"/environments?token={caller.token}")
        caller.get(f"/{caller.token}/live")
        replace(caller, token=f"{caller.token}x").get("/environments")
        monkeypatch.setattr(reading_views, "list_environments", breaks)
        monkeypatch.setattr(reading_views, "get_prompt", breaks)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        try:
            assert caller.get("/environments").status == 500
            assert caller.get("/templates/a%0Arequest%20forged").status == 500
        finally:
            app.config["PROPAGATE_EXCEPTIONS"] = None
    assert "failed: GET /api/v1/environments" in caplog.text
    assert "failed: GET /api/v1/templates/a\\u000arequest forged" in caplog.text
    assert secret not in caplog.text
    recorded = [str(vars(event)) for event in first_data.scalars(select(AuditEvent))]
    assert not [event for event in recorded if secret in event]


def test_too_many_calls_are_told_when_to_come_back(
    program: ProgramOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "CALLS_A_MINUTE", 0)
    answer = program("viewer").get("/environments")
    assert answer.status == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.json["title"] == "Too many calls"


def test_an_address_that_is_not_there_is_answered_as_a_program_expects(app: Flask) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nothing/of/that", 404),
        ("POST", "/api/v1/environments", 405),
        ("DELETE", "/api/v2/x", 404),
    ):
        answer = Answer(app.test_client().open(path, method=method))
        assert (answer.status, answer.json["status"]) == (status, status)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", WRITING)
def test_every_change_is_recorded_with_token_and_owner(
    first_data: Session, program: ProgramOf, name: str
) -> None:
    caller = program("admin", name="robot")
    answer = call(caller, name, first_data)
    assert answer.status in {200, 201}, answer.json
    newest = select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)
    event = first_data.scalars(newest).one()
    assert event.action == WRITING[name].action
    assert (event.actor_kind, event.actor_name, event.via) == ("token", "Admin One (token robot)", "token")
    assert (event.actor_id, event.owner_id) == (str(caller.owner.id), event.actor_id)  # type: ignore[union-attr]
    assert event.owner_name == "Admin One"
    assert str(event.token) in str(caller.token)
    assert event.actor_role in {"editor", "publisher"}
