"""The list of changes: its query with chips and facets, its strip of days, its views, and what stands above it."""

import datetime as dt
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit import checks
from controlplane.audit.finding import PAGE
from controlplane.audit.models import AuditAnchor, AuditArchive
from controlplane.audit.verify import verify
from controlplane.db import now
from tests.audit.events import lines, move_last_to, told
from tests.page import PageClient, words

ClientAs = Callable[[Role | str], PageClient]


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
