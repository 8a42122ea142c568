"""The queue, the change's own page, sign-off and rules, through a browser."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Role
from controlplane.audit.models import AuditEvent
from tests.page import PageClient
from tests.reviews.stage import emergency, published, review_of
from tests.site import ROOT_ACTOR, add_person

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def urgent(first_data: Session) -> AuditEvent:
    event = emergency(first_data)
    first_data.commit()
    return event


def test_the_list_of_changes_leads_to_an_emergency_and_its_page_takes_the_answer(
    client_as: ClientAs, first_data: Session, urgent: AuditEvent
) -> None:
    client = client_as("publisher")
    listed = client.get("/changes")
    assert "1 emergency waits to be looked at" in listed.body
    waiting = client.get(listed.link("Look at it"))
    page = client.get(waiting.link(urgent.sentence))
    assert "Nobody has looked at it since." in page.body
    assert "an emergency: nobody agreed first" in page.body
    address = f"/changes/{urgent.id}/review"
    refused = client.post(address, {**page.form(address), "answer": "disputed", "comment": ""})
    assert refused.status == 422
    assert "Say what is wrong" in (refused.error_of("comment") or "")
    sent = {**page.form(address), "answer": "disputed", "comment": "It was not needed"}
    assert client.post(address, sent).status == 303
    after = client.get(f"/changes/{urgent.id}")
    assert "Disputed by Publisher One" in after.body
    assert "It was not needed" in after.body
    again = client.post(address, {**sent, "answer": "queried"})
    assert again.status == 409
    assert "has looked at it already" in again.body
    assert client.get("/changes/emergencies").location == "/changes/reviews?only=emergency"


def test_who_may_not_review_is_told_whom_to_ask(client_as: ClientAs, urgent: AuditEvent) -> None:
    add = client_as("publisher")
    page = client_as("on-call").get(f"/changes/{urgent.id}")
    assert "Reviewer or Publisher. Ask: Publisher One" in page.body
    assert page.all("textarea") == []
    assert add.get(f"/changes/{urgent.id}").all("textarea") != []
    queue = client_as("on-call").get("/changes/reviews")
    assert urgent.sentence in queue.body
    assert queue.all("button", value="reviewed") == []


def test_an_answer_in_the_queue_goes_on_with_the_queue(
    client_as: ClientAs, first_data: Session, urgent: AuditEvent
) -> None:
    other = published(first_data)
    first_data.commit()
    client = client_as("publisher")
    page = client.get("/changes/reviews?environment=production")
    assert "2 changes" in page.body
    address = f"/changes/{urgent.id}/review"
    form = page.form(address)
    refused = client.post(address, {**form, "answer": "queried"})
    assert refused.status == 422
    assert "Say what you want to know." in refused.body
    assert refused.by_id(f"comment-{urgent.id}").get("aria-invalid") == "true"
    assert "1 change" in client.get(client.post(address, {**form, "answer": "reviewed"}).location or "").body
    assert review_of(first_data, urgent).state == "reviewed"
    late = client.post(address, {**form, "answer": "disputed", "comment": "Too late"})
    assert late.status == 422
    assert "has looked at it already" in late.body
    assert other.sentence in late.body


def test_a_person_who_was_made_a_reviewer_reviews_and_sees_the_access_list(
    client_as: ClientAs, first_data: Session, urgent: AuditEvent
) -> None:
    client = client_as("viewer")
    assert client.get("/settings/people/access").status == 403
    accounts.set_reviewer(first_data, add_person(first_data, "viewer"), may_review=True, actor=ROOT_ACTOR)
    first_data.commit()
    assert "Viewer One" in client.get("/settings/people/access").body
    assert client.get("/settings/people").status == 403
    address = f"/changes/{urgent.id}/review"
    page = client.get("/changes/reviews")
    assert client.post(address, {**page.form(address), "answer": "reviewed"}).status == 303


def test_an_administrator_makes_a_reviewer(client_as: ClientAs, first_data: Session) -> None:
    viewer = add_person(first_data, "viewer")
    client = client_as("admin")
    page = client.get(f"/settings/people/{viewer.id}")
    address = f"/settings/people/{viewer.id}/reviewer"
    assert client.post(address, page.form(address)).status == 303
    assert "Reviewer" in client.get("/settings/people").body
    assert client.post(address, page.form(address)).status == 422


def test_what_was_asked_is_answered_by_whoever_did_it(client_as: ClientAs, first_data: Session) -> None:
    editor = add_person(first_data, "editor")
    event = published(first_data, actor=accounts.person_actor(editor, ROOT_ACTOR))
    first_data.commit()
    address = f"/changes/{event.id}/review"
    asker = client_as("publisher")
    sent = {**asker.get(f"/changes/{event.id}").form(address), "answer": "queried", "comment": "Why?"}
    assert asker.post(address, sent).status == 303
    client = client_as("editor")
    assert "Answer what was asked" in client.get("/production/").body
    queue = client.get("/changes/reviews?show=asked")
    assert "Why?" in queue.body
    page = client.get(f"/changes/{event.id}")
    assert "You had a part in this" in page.body
    first_data.execute(text("UPDATE people SET may_review = true WHERE id = :id"), {"id": editor.id})
    forged = client_as("editor").post(address, {"answer": "reviewed"})
    assert forged.status == 403
    assert "somebody else than who made the change" in forged.body
    assert client.post(f"{address}/reply", {"reply": " "}).status == 422
    assert client.post(f"{address}/reply", {"reply": "It was agreed by mail"}).status == 303
    assert "It was agreed by mail" in asker.get("/changes/reviews").body


def test_a_filter_is_signed_off_through_its_page(client_as: ClientAs, first_data: Session) -> None:
    events = [published(first_data, number) for number in (1, 2)]
    first_data.commit()
    client = client_as("publisher")
    queue = client.get("/changes/reviews?environment=production")
    page = client.get(queue.link("Sign off all of this …"))
    assert page.heading == "Sign off 2 changes at once"
    address = "/changes/reviews/sign-off"
    form = page.form(address)
    short = client.post(address, {**form, "statement": "ok"})
    assert short.status == 422
    assert short.error_of("statement")
    wrong = client.post(address, {**form, "statement": "All of these are fine", "sha256": "0" * 64})
    assert wrong.status == 409
    for moment in ("yesterday", "9999-12-31T23:59:59"):
        odd = {**form, "statement": "All of these are fine", "at": moment, "when": "today"}
        assert client.post(address, odd).status == 409
    done = client.post(address, {**form, "statement": "All of these are fine"})
    shown = client.get(done.location or "")
    assert "The set is the one that was signed" in shown.body
    assert events[0].sentence in shown.body
    assert "Nothing waits for you" in client.get("/changes/reviews").body


def test_the_rules_are_shown_to_all_and_changed_by_administrators(client_as: ClientAs) -> None:
    assert (
        "every change of high or medium risk, 1 in 10 of the rest"
        in client_as("viewer").get("/changes/reviews/rules").body
    )
    client = client_as("admin")
    address = "/changes/reviews/rules"
    form = client.get(address).form(address)
    assert client.post(address, {**form, "zone": "Atlantis"}).error_of("zone")
    assert client.post(address, {**form, "days_high": "40"}).error_of("days_high")
    assert client.post(address, form).status == 422
    assert client.post(address, {**form, "days_high": "2"}).status == 303
    assert "High risk within 2 d" in client.get(address).body
    stale = client.post(address, {**form, "days_high": "3"})
    assert stale.status == 409
    assert "High risk within 2 d" in stale.body
    again = stale.form(address)
    assert (again["days_high"], again["revision"]) == ("3", "1")
    assert client.post(address, again).status == 303


def test_what_of_the_address_makes_no_sense_is_named(client_as: ClientAs) -> None:
    page = client_as("viewer").get("/changes/reviews?risk=enormous&after=nothing&environment=%00")
    assert "“enormous” is nothing that risk can be" in page.body
