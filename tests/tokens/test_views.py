"""The pages of tokens: made and shown once, listed, revoked by name."""

import re
from collections.abc import Callable

from flask import Flask
from sqlalchemy.orm import Session

from controlplane.tokens.scopes import Scope
from tests.page import Page, PageClient
from tests.site import add_person, client_of
from tests.tokens.stage import Program, make_token, program_of

ROOT = "/settings/tokens"
NEW = f"{ROOT}/new"

ClientAs = Callable[[str], PageClient]


def token_on(page: Page) -> str:
    found = re.search(r"lcp_\w{12}_\w{36}", page.text)
    assert found, page.body
    return found[0]


def test_a_token_is_made_shown_once_and_opens_the_api(app: Flask, client_as: ClientAs) -> None:
    client = client_as("editor")
    form = client.get(NEW).form(NEW)
    assert (form["scopes"], form["days"], form.get("environment")) == ("read", "90", "")
    made = client.post(NEW, {**form, "name": "pipeline", "scopes": ["read", "edit"]})
    assert made.status == 201
    assert made.headers["Cache-Control"] == "no-store"
    token = token_on(made)
    assert token not in str(made.headers), "neither in an address nor in a cookie"
    shown = client.get(made.link("I have copied it"))
    assert token not in shown.text
    assert token.rpartition("_")[0] in shown.text
    assert "never" in shown.body
    assert Program(app, token).get("/environments").status == 200
    listed = client.get(ROOT)
    assert "pipeline" in listed.texts("th", scope="row")
    assert "from 127.0.0.1" in listed.body


def test_loading_the_answer_again_makes_no_second_token(client_as: ClientAs) -> None:
    client = client_as("editor")
    sent = {**client.get(NEW).form(NEW), "name": "pipeline"}
    client.post(NEW, sent)
    again = client.post(NEW, sent)
    assert again.status == 422
    assert "choose another" in (again.error_of("name") or "")
    assert again.form(NEW)["name"] == "pipeline"


def test_scopes_beyond_ones_role_are_seen_and_cannot_be_chosen(client_as: ClientAs) -> None:
    client = client_as("editor")
    page = client.get(NEW)
    assert "Needs Publisher" in page.body
    chosen = {each.get("value"): each.get("disabled") for each in page.all("input", type="checkbox")}
    assert [name for name, disabled in chosen.items() if disabled is not None] == ["publish", "operate"]
    refused = client.post(NEW, {**page.form(NEW), "name": "x", "scopes": ["read", "publish"]})
    assert refused.status == 422
    assert "cannot give away publish" in refused.body


def test_there_is_none_that_lives_for_ever(client_as: ClientAs) -> None:
    client = client_as("editor")
    for days in ("0", "366", "never", "1e9"):
        answer = client.post(NEW, {**client.get(NEW).form(NEW), "name": "x", "days": days})
        assert answer.status == 422, days
        assert answer.error_of("days"), days


def test_a_token_is_revoked_by_typing_its_name(app: Flask, first_data: Session) -> None:
    program = program_of(app, first_data, "publisher", name="deploy pipeline")
    client = client_of(app, program.owner)  # type: ignore[arg-type]
    page = client.get(client.get(ROOT).link("deploy pipeline"))
    action = next(each.get("action", "") for each in page.all("form") if "revoke" in each.get("action", ""))
    refused = client.post(action, {"confirm": "pipeline"})
    assert refused.status == 422
    assert refused.error_of("confirm") == "Type deploy pipeline, the token's name."
    assert program.get("/environments").status == 200
    client.follow(client.post(action, {"confirm": "deploy pipeline"}))
    gone = program.get("/environments")
    assert gone.status == 401
    assert "revoked" in gone.json["detail"]


def test_others_tokens_are_administrators_business(
    app: Flask, first_data: Session, client_as: ClientAs
) -> None:
    token, _ = make_token(
        first_data, add_person(first_data, "publisher"), scopes=[Scope.READ], name="nightly"
    )
    page = client_as("editor")
    assert "nightly" not in page.get(ROOT).body
    assert page.get(f"{ROOT}/{token.key}").status == 404
    assert page.post(f"{ROOT}/{token.key}/revoke", {"confirm": "nightly"}).status == 404
    admin = client_as("admin")
    assert "Publisher One" in admin.get(ROOT).body
    assert admin.post(f"{ROOT}/{token.key}/revoke", {"confirm": "nightly"}).status == 303


def test_a_page_says_what_an_owner_s_role_took_from_a_token(
    app: Flask, first_data: Session, client_as: ClientAs
) -> None:
    owner = add_person(first_data, "publisher")
    token, _ = make_token(first_data, owner, scopes=[Scope.READ, Scope.PUBLISH])
    owner.role = "viewer"
    first_data.commit()
    page = client_as("admin").get(f"{ROOT}/{token.key}")
    assert "Publisher One is Viewer now: Publish has no effect." in page.body


def test_what_was_done_with_a_token_shows_token_and_owner(
    app: Flask, first_data: Session, client_as: ClientAs
) -> None:
    program = program_of(app, first_data, "on-call", name="pager")
    program.post("/production/switches/COACHING_RESPONSE/throw", {"reason": "answers are wrong tonight"})
    admin = client_as("admin")
    token = admin.get(admin.get(ROOT).link("pager"))
    done = admin.get(token.link("What was done with it"))
    assert "threw the kill switch of COACHING_RESPONSE" in done.body
    assert "via:token" in done.body
    found = admin.get("/changes?q=via:token+action:switch.thrown")
    change = admin.get(
        next(each.get("href", "") for each in found.all("a") if "/changes/01" in each.get("href", ""))
    )
    assert "On-call One (token pager)" in change.body
    assert re.search(r"token lcp_\w{12} of On-call One", change.body)


def test_what_a_program_saves_leaves_its_owner_s_draft_alone(
    app: Flask, first_data: Session, client_as: ClientAs
) -> None:
    program = program_of(app, first_data, "editor")
    client = client_as("editor")
    client.post(
        "/production/templates/coaching_response/draft", {"body": "What I am writing", "base_version": "1"}
    )
    saved = program.get("/templates/coaching_response").json
    answer = program.put(
        "/templates/coaching_response",
        {"body": saved["body"] + "More.\n", "base_version": 1, "reason": "From the repository"},
    )
    assert answer.status == 200
    assert "What I am writing" in client.get("/production/templates/coaching_response/edit").text
