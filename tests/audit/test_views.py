"""The page of one change, and how changes are linked to what they are about."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import pages
from controlplane.audit.language import Query, Term
from controlplane.audit.object_links import link_to
from controlplane.prompts import services as prompts
from tests.audit.events import lines, told
from tests.page import PageClient

ClientAs = Callable[[Role | str], PageClient]
HOSTILE = "<script>alert(1)</script> \"'><img src=x onerror=alert(2)> {{ 7*7 }}"


def test_a_change_has_a_page_of_its_own_with_all_that_is_known(
    client_as: ClientAs, first_data: Session
) -> None:
    actor = Actor(
        kind="person", id="ada-1", name="Ada Lovelace", role=Role.PUBLISHER, via="browser",
        request_id="01REQUEST", address="192.0.2.7", user_agent="Browser/1",
    )  # fmt: skip
    earlier = told(first_data, "came before")
    event = told(
        first_data,
        "changed the price of GPT_5",
        actor=actor,
        reason="Cheaper now",
        before={"price": 2, "name": "GPT 5", "limits": {"tokens": 10}},
        after={"price": 1, "name": "GPT 5", "limits": {"tokens": 20}},
    )
    later = told(first_data, "came after")
    first_data.commit()
    page = client_as("viewer").get(f"/changes/{event.id}")
    assert page.heading == f"Change {event.sequence}"
    for said in (
        "Ada Lovelace changed the price of GPT_5", "Cheaper now", "publisher at that time", "01REQUEST",
        "192.0.2.7", "Browser/1", "limits.tokens", f"sealed as {event.hash[:12]}", event.previous_hash[:12],
    ):  # fmt: skip
        assert said in page.body
    assert not [text for text in page.texts("tr") if text.startswith("name")]
    assert page.link("Before: came before") == f"/changes/{earlier.id}"
    assert page.link("After: came after") == f"/changes/{later.id}"
    assert page.link("Open what was changed") == "/models/GPT_5"
    assert page.link("model GPT_5") == "/changes?q=object:model/GPT_5"


def test_a_changed_text_is_shown_line_by_line(
    client_as: ClientAs, first_data: Session, actor_as: Callable[[str], Actor]
) -> None:
    prompt = prompts.get_prompt(first_data, "coaching_response")
    body = f"{prompt.versions[0].body}\nAlways be kind."
    editor = replace(actor_as("editor"), id=str(uuid4()))
    prompts.save_version(first_data, prompt, body=body, base_version=1, reason="Kinder answers", actor=editor)
    first_data.commit()
    client = client_as("viewer")
    client.get("/production/templates")  # what belongs to no environment is opened in the one last looked at
    listed = client.get("/changes?object_kind=prompt&object_key=coaching_response")
    page = client.get(
        next(a.get("href", "") for a in listed.all("a") if "version 2" in "".join(a.itertext()))
    )
    assert "Always be kind." in page.body
    assert page.one("tr", class_="ins")
    assert page.link("Open what was changed") == "/production/templates/coaching_response"


def test_hostile_text_stays_text_everywhere(client_as: ClientAs, first_data: Session) -> None:
    actor = Actor(
        kind="person", id=HOSTILE, name=HOSTILE, role=Role.VIEWER, via=HOSTILE, request_id=HOSTILE,
        address=HOSTILE, user_agent=HOSTILE,
    )  # fmt: skip
    event = told(
        first_data,
        HOSTILE,
        actor=actor,
        action=HOSTILE,
        object_kind=HOSTILE,
        object_key=HOSTILE,
        environment=HOSTILE,
        reason=HOSTILE,
        before={HOSTILE: HOSTILE},
        after={HOSTILE: f"{HOSTILE}!"},
        release=1,
    )
    first_data.commit()
    client = client_as("viewer")
    client.flask.set_cookie("environment", "production")
    listed = client.get("/changes", query_string={"q": str(Query((Term(HOSTILE, "object"), Term(HOSTILE))))})
    assert lines(listed) == [HOSTILE]
    for page in (listed, client.get(f"/changes/{event.id}")):
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "49" not in page.heading
        assert "{{ 7*7 }}" in page.body


@pytest.mark.parametrize("identifier", ["nothing", "%00", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "%3Cscript%3E"])
def test_a_change_that_never_happened_is_a_page_not_found(client_as: ClientAs, identifier: str) -> None:
    unchecked = {"html"} if "%00" in identifier else set()
    assert client_as("viewer").get(f"/changes/{identifier}", unchecked=unchecked).status == 404


@pytest.mark.parametrize(
    ("kind", "key", "leads_to"),
    [
        (
            "configuration",
            "COACHING_RESPONSE/premium",
            "/production/configurations/COACHING_RESPONSE/premium",
        ),
        (
            "configuration",
            "COACHING_RESPONSE/premium/acme",
            "/production/configurations/COACHING_RESPONSE/premium/acme",
        ),
        ("release", "staging/3", "/production/releases/3"),
        ("gate", "KPI_ANALYSIS", "/production/gates/KPI_ANALYSIS"),
        ("prompt", "coaching_response", "/production/templates/coaching_response"),
        ("interaction", "KPI_ANALYSIS", "/interactions/KPI_ANALYSIS"),
        ("model", "GPT_5", "/models/GPT_5"),
        ("tier", "free", "/tiers"),
        ("environment", "staging", "/environments"),
        ("person", "ada@example.com", "/settings/people"),
        ("something", "else", None),
    ],
)
def test_every_kind_of_object_is_linked_to_where_it_lives(
    client_as: ClientAs, kind: str, key: str, leads_to: str | None
) -> None:
    with client_as("viewer").app.test_request_context("/changes"):
        assert link_to(kind, key, environment="production") == leads_to


@pytest.mark.parametrize(("role", "linked"), [("viewer", False), ("admin", True)])
def test_people_are_linked_only_for_those_who_may_open_them(
    client_as: ClientAs, first_data: Session, role: str, linked: bool
) -> None:
    event = told(first_data, action="person.added", object_kind="person", object_key="ada@example.com")
    first_data.commit()
    page = client_as(role).get(f"/changes/{event.id}")
    assert ("Open what was changed" in page.body) is linked


def test_every_link_to_an_object_in_the_list_opens(client_as: ClientAs) -> None:
    client = client_as("admin")
    page = client.get("/changes")
    links = {
        link.get("href", "")
        for link in page.all("a")
        if link.get("aria-label", "").startswith("Open what was changed")
    }
    assert len(links) > 10
    assert {path: status for path in links if (status := client.get(path).status) != 200} == {}


@pytest.mark.parametrize(
    "path",
    [
        "/models/GPT_5",
        "/interactions/KPI_ANALYSIS",
        "/production/configurations/COACHING_RESPONSE/premium",
        "/production/templates/coaching_response",
    ],
)
def test_the_page_of_an_object_leads_to_all_changes_of_it_and_of_nothing_else(
    client_as: ClientAs, path: str
) -> None:
    client = client_as("viewer")
    links = {
        link.get("href", "")
        for link in client.get(path).all("a")
        if link.get("href", "").startswith("/changes?")
    }
    assert len(links) == 1
    assert "object: " in client.get(links.pop()).body


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ada Lovelace", "AL"),
        ("ada", "A"),
        ("ada@example.com", "AE"),
        ("Jean-Luc Picard", "JL"),
        ("", "?"),
        ("***", "?"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert pages.initials(name) == letters


def test_fields_are_compared_by_their_paths() -> None:
    changes = pages.field_changes(
        {"a": {"b": 1, "same": True}, "gone": "x", "list": [1]},
        {"a": {"b": 2, "same": True}, "new": None, "list": [1, 2]},
    )
    assert [(each.field, each.before, each.after) for each in changes] == [
        ("a.b", "1", "2"), ("gone", "x", None), ("list", "[1]", "[1, 2]"),
    ]  # fmt: skip
    assert pages.field_changes(None, None) == []


def test_what_takes_away_is_red_and_what_goes_live_is_green() -> None:
    actions = [
        "rollout.aborted",
        "person.sign_in_refused",
        "release.published",
        "rollout.raised",
        "model.changed",
    ]
    assert [pages.tone_of(action) for action in actions] == ["failed", "failed", "live", "rolling", "neutral"]


def test_a_ticket_in_a_reason_is_a_link_where_the_operator_says_what_of(
    client_as: ClientAs, first_data: Session, app: Flask
) -> None:
    event = told(first_data, reason="GPT-5 answers too slowly, see OPS-123")
    first_data.commit()
    assert event.ticket == "OPS-123"
    client = client_as("viewer")
    assert "Ticket OPS-123" in client.get(f"/changes/{event.id}").body
    app.config["TICKET_URL"] = "https://tickets.example.com/browse/{ticket}"
    try:
        assert (
            client.get(f"/changes/{event.id}").link("OPS-123") == "https://tickets.example.com/browse/OPS-123"
        )
    finally:
        app.config["TICKET_URL"] = None
