import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import checks, pages
from controlplane.audit.finding import PAGE
from controlplane.audit.language import Query, Term
from controlplane.audit.models import AuditAnchor, AuditArchive
from controlplane.audit.object_links import link_to
from controlplane.audit.verify import verify
from controlplane.db import now
from controlplane.prompts import services as prompts
from tests.audit.events import move_last_to, told
from tests.page import Page, PageClient, words

ClientAs = Callable[[Role | str], PageClient]
HOSTILE = "<script>alert(1)</script> \"'><img src=x onerror=alert(2)> {{ 7*7 }}"


def lines(page: Page) -> list[str]:
    """The sentences of a list."""
    return [
        "".join(link.itertext())
        for change in page.all("li", class_="change")
        for link in change.iter("a")
        if link.get("href", "").startswith("/changes/")
    ]


def test_the_list_says_who_did_what_why_and_where(client_as: ClientAs, first_data: Session) -> None:
    told(
        first_data,
        "published release 2: one configuration",
        action="release.published",
        object_kind="release",
        object_key="production/1",
        environment="production",
        release=1,
        reason="For the summer",
    )
    first_data.commit()
    page = client_as("viewer").get("/changes?actor=ada-1")
    assert page.status == 200
    assert lines(page) == ["published release 2: one configuration"]
    for said in ("Ada Lovelace", "“For the summer”", "production", "release 1", "1 change"):
        assert said in page.body
    assert page.link("release 1") == "/production/releases/1"
    assert [heading for heading in page.texts("h2") if " 20" in heading]


def test_the_list_begins_with_the_newest_and_turns_over_both_ways(
    client_as: ClientAs, first_data: Session
) -> None:
    for number in range(PAGE + 2):
        told(first_data, f"change {number}")
    first_data.commit()
    client = client_as("viewer")
    first = client.get("/changes?actor=ada-1&q=change")
    assert lines(first)[:2] == [f"change {PAGE + 1}", f"change {PAGE}"]
    second = client.get(first.link("Older"))
    assert lines(second) == ["change 1", "change 0"]
    assert "?q=change+actor:ada-1&older=" in first.link("Older")
    assert lines(client.get(second.link("Newer"))) == lines(first)


def test_an_address_of_before_the_language_is_said_in_it(client_as: ClientAs, first_data: Session) -> None:
    told(first_data, environment="staging")
    first_data.commit()
    page = client_as("viewer").get(
        "/changes?environment=staging&actor=ada-1&action=model.changed&q=something&after=2020-01-01"
    )
    assert len(lines(page)) == 1
    assert page.by_id("f-q").get("value") == (
        "something actor:ada-1 action:model.changed env:staging after:2020-01-01"
    )


def test_chips_mirror_the_query_and_edit_it(client_as: ClientAs, first_data: Session) -> None:
    told(first_data, environment="staging")
    first_data.commit()
    client = client_as("viewer")
    page = client.get("/changes?q=env:staging+-via:schedule+ada")
    assert page.texts("li", class_="term") == ["env: staging", "not via: schedule", "“ada”"]
    (away,) = [a for a in page.all("a") if a.get("aria-label") == "Take away env: staging"]
    assert away.get("href") == "/changes?q=-via:schedule+ada"
    turned = client.get(page.link("env: staging"))
    assert turned.by_id("f-q").get("value") == "-env:staging -via:schedule ada"
    # An actor who was asked for by id is called by name.
    assert "actor: Ada Lovelace" in client.get("/changes?q=actor:ada-1").texts("li", class_="term")


def test_facets_count_within_the_query_and_choosing_twice_takes_back(
    client_as: ClientAs, first_data: Session
) -> None:
    for environment in ("staging", "staging", "production"):
        told(first_data, environment=environment)
    first_data.commit()
    client = client_as("viewer")
    page = client.get("/changes?q=actor:ada-1")
    (staging,) = [a for a in page.all("a") if words(a) == "staging2"]
    narrowed = client.get(staging.get("href", ""))
    assert narrowed.by_id("f-q").get("value") == "actor:ada-1 env:staging"
    assert len(lines(narrowed)) == 2
    assert "production" not in [words(a)[:10] for a in narrowed.by_id("results").iter("a")]
    (chosen,) = [a for a in narrowed.all("a") if words(a) == "staging2"]
    assert chosen.get("aria-current") == "true"
    assert chosen.get("href") == "/changes?q=actor:ada-1"


def test_a_facet_shows_twelve_values_and_then_the_rest(client_as: ClientAs, first_data: Session) -> None:
    for number in range(15):
        told(first_data, action=f"thing.done_{number:02}", object_kind="thing")
    first_data.commit()
    client = client_as("viewer")
    page = client.get("/changes?q=kind:thing")
    assert "thing.done_11" in page.body
    assert "thing.done_12" not in page.body
    assert "thing.done_14" in client.get(page.link("3 more of What")).body


def test_a_term_that_cannot_be_read_is_marked_and_the_rest_is_found(
    client_as: ClientAs, first_data: Session
) -> None:
    told(first_data, "of this")
    first_data.commit()
    page = client_as("viewer").get("/changes?q=actor:ada-1+actr:x")
    assert page.status == 422
    assert page.texts("mark") == ["actr:x"]
    assert "Did you mean “actor:”?" in page.body
    assert page.by_id("f-q").get("value") == "actor:ada-1 actr:x"
    assert lines(page) == ["of this"]


def test_a_query_that_finds_nothing_says_so(client_as: ClientAs) -> None:
    page = client_as("viewer").get("/changes?environment=gone")
    assert lines(page) == []
    assert "No change matches" in page.body
    assert page.by_id("f-q").get("value") == "env:gone"
    assert client_as("viewer").get("/changes?q=env:gone&older=1").status == 200


def test_the_list_of_one_object_can_be_widened(client_as: ClientAs, first_data: Session) -> None:
    told(first_data, "of another", object_key="CLAUDE")
    told(first_data, "of this")
    first_data.commit()
    page = client_as("viewer").get("/changes?object_kind=model&object_key=GPT_5&actor=ada-1")
    assert lines(page) == ["of this"]
    assert page.link("All changes") == "/changes"
    assert "object: model/GPT_5" in page.texts("li", class_="term")


def test_the_strip_shows_the_days_and_leads_to_them(client_as: ClientAs, first_data: Session) -> None:
    for day in ("2026-10-01", "2026-10-01", "2026-10-03"):
        told(first_data, f"on {day}", environment="staging", emergency=day.endswith("03"))
        move_last_to(first_data, f"{day}T12:00:00+00:00")
    first_data.commit()
    client = client_as("viewer")
    page = client.get("/changes?q=actor:ada-1+before:2026-10-10")
    assert len(page.all("rect", class_="strip-all")) == 2
    assert len(page.all("rect", class_="strip-alarm")) == 1
    found = lines(client.get(page.link("1 Oct 2026")))
    assert [line for line in found if line.startswith("on ")] == ["on 2026-10-01"] * 2


def test_views_are_saved_shared_and_removed(client_as: ClientAs, first_data: Session) -> None:
    publisher, viewer = client_as("publisher"), client_as("viewer")
    page = publisher.get("/changes?q=env:staging")
    saved = publisher.submit(page, "/changes/views", {"name": "Try outs", "shared": "true"})
    assert saved.location == "/changes?q=env:staging"
    assert lines(publisher.get("/changes?q=action:view.shared")) == [
        "shared the view “Try outs” of the changes: env:staging"
    ]
    own = viewer.submit(viewer.get("/changes?q=kind:model"), "/changes/views", {"name": "Of models"})
    listed = viewer.follow(own)
    assert listed.link("Try outs") == "/changes?q=env:staging"
    assert listed.link("Of models") == "/changes?q=kind:model"
    assert "Of models" not in publisher.get("/changes").texts("a")
    (remove,) = [
        form.get("action", "") for form in listed.all("form") if form.get("action", "").endswith("/remove")
    ]
    assert publisher.post(remove).status == 404
    assert viewer.post(remove).status == 303
    assert "Of models" not in viewer.get("/changes").texts("a")
    (shared,) = [
        form.get("action", "")
        for form in publisher.get("/changes").all("form")
        if form.get("action", "").endswith("/remove")
    ]
    assert viewer.post(shared).status == 403
    assert publisher.post(shared).status == 303


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"name": "", "q": "env:staging"}, "This is needed."),
        ({"name": "x" * 61, "q": ""}, "Use at most 60 characters."),
        ({"name": "fine", "q": "actr:x"}, "Did you mean"),
    ],
)
def test_a_view_that_cannot_be_saved_keeps_what_was_typed(
    client_as: ClientAs, sent: dict[str, str], problem: str
) -> None:
    page = client_as("viewer").post("/changes/views", sent)
    assert page.status == 422
    assert problem in page.body
    assert page.by_id("f-name").get("value") == sent["name"]
    assert page.by_id("f-q").get("value") == sent["q"]


def test_sharing_needs_a_publisher(client_as: ClientAs) -> None:
    sent = {"name": "mine", "q": "", "shared": "true"}
    assert client_as("editor").post("/changes/views", sent).status == 403


def test_before_the_first_event_the_list_says_that_it_ends(client_as: ClientAs, first_data: Session) -> None:
    page = client_as("viewer").get("/changes?older=1")
    assert lines(page) == []
    assert "The list ends before here" in page.body


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("older=x", "The place in the list was not understood"),
        ("before=%00", "Changes"),
        ("q=%00", "Changes"),
        ("older=9223372036854775808", "The place in the list was not understood"),
        ("unknown=1", "Changes"),
    ],
)
def test_an_address_that_makes_no_sense_still_gives_a_page(
    client_as: ClientAs, query: str, words: str
) -> None:
    # The frame repeats the address in its form for the theme, NUL and all, which HTML does not allow.
    page = client_as("viewer").get(f"/changes?{query}", unchecked={"html"} if "%00" in query else ())
    assert page.status == 200
    assert words in page.body


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


def test_the_list_says_whether_the_record_is_whole_and_leads_to_how_that_is_known(
    client_as: ClientAs, first_data: Session
) -> None:
    event = told(first_data, environment="production", release=1)
    row = {"sequence": event.sequence, "hash": event.hash, "anchored_at": now()}
    first_data.add(AuditAnchor(name="a", environment="production", release=1, key_id="ours", **row))
    checks.keep(first_data, verify(first_data))
    first_data.commit()
    client = client_as("viewer")
    standing = client.get("/changes").by_id("record-standing")
    assert "Whole" in "".join(standing.itertext())
    assert "anchored at release 1 of production" in "".join(standing.itertext())
    page = client.get("/changes/record")
    assert "production, release 1" in page.texts("a")
    assert "may do anything in the database" in page.body, (
        "the tests connect as the owner, and the page says so"
    )
    assert "Archived months" not in page.body


def test_what_was_tampered_with_stands_above_everything_else(
    client_as: ClientAs, first_data: Session
) -> None:
    first_data.execute(text("ALTER TABLE audit_events DISABLE TRIGGER audit_events_refuse_change"))
    first_data.execute(text("UPDATE audit_events SET sentence = 'nothing happened' WHERE sequence = 2"))
    checks.keep(first_data, verify(first_data))
    first_data.commit()
    client = client_as("viewer")
    assert "Tampered with or damaged" in "".join(client.get("/changes").by_id("record-standing").itertext())
    page = client.get("/changes/record")
    assert "Event 2: its content is not what was written." in page.texts("li")
    assert "The trigger audit_events_refuse_change on audit_events is off or gone." in page.texts("li")


def test_where_months_are_archived_the_list_says_where_it_begins(
    client_as: ClientAs, first_data: Session
) -> None:
    first_data.add(
        AuditArchive(
            month=dt.date(2025, 1, 1),
            part=1,
            name="archive/2025-01.1.ndjson.gz",
            events=1200,
            size=1,
            sha256="f" * 64,
            runs=[],
            archived_at=now(),
        )
    )
    first_data.commit()
    client = client_as("viewer")
    assert "Older months are archived: 1,200 events up to January 2025." in client.get("/changes").body
    assert "archive/2025-01.1.ndjson.gz" in client.get("/changes/record").body
    # 2025-01-15 and none other than that month; the id is made of its moment.
    gone = client.get("/changes/01JHMWE800ZZZZZZZZZZZZZZZZ")
    assert gone.status == 404
    assert "This change is archived" in gone.body
    assert "archive/2025-01.1.ndjson.gz" in gone.body
    assert "Page not found" in client.get("/changes/01HHMWE800ZZZZZZZZZZZZZZZZ").body
    report = client.get("/changes/report?from=2025-01-20&to=2025-02-03").body
    assert "January 2025: archived, and so not counted here" in report
    assert "archived, and so" not in client.get("/changes/report?from=2025-02-01&to=2025-02-03").body
    assert (
        "this is the list at the end of December 2024"
        in client_as("admin").get("/settings/people/access?on=2025-01-10").body
    )


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
