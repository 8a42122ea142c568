"""Emergencies are marked, and looked at afterwards by somebody else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import reviews, verify
from controlplane.audit.models import AuditEvent, EmergencyReview
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from tests.audit.events import ADA, GRACE, told
from tests.page import PageClient

ClientAs = Callable[[Role | str], PageClient]
REVIEWER = replace(GRACE, role=Role.PUBLISHER)


@pytest.fixture
def emergency(first_data: Session) -> AuditEvent:
    event = told(
        first_data,
        "aborted version 2 at 10 % of users in production",
        action="rollout.aborted",
        environment="production",
        emergency=True,
        reason="Answers came in the wrong language",
    )
    first_data.commit()
    return event


def test_somebody_else_agrees_to_it_and_that_is_recorded(first_data: Session, emergency: AuditEvent) -> None:
    assert reviews.open_count(first_data) == 1
    review = reviews.answer(first_data, emergency.id, agreed=True, comment="", actor=REVIEWER)
    assert (review.state, review.reviewer_name) == ("agreed", "Grace Hopper")
    assert reviews.open_count(first_data) == 0
    assert reviews.open_reviews(first_data) == []
    newest = first_data.query(AuditEvent).order_by(AuditEvent.sequence.desc()).first()
    assert newest is not None
    assert newest.action == "emergency.agreed"
    assert newest.sentence == (
        "agreed to the emergency of Ada Lovelace: aborted version 2 at 10 % of users in production"
    )
    assert not newest.emergency


def test_nobody_looks_at_their_own(first_data: Session, emergency: AuditEvent) -> None:
    with pytest.raises(Forbidden):
        reviews.answer(first_data, emergency.id, agreed=True, comment="", actor=ADA)
    with pytest.raises(IntegrityError, match="reviewer_is_somebody_else"):
        first_data.execute(
            update(EmergencyReview).values(state="agreed", reviewer_id=ADA.id, reviewer_name=ADA.name)
        )


def test_a_token_is_nobody_and_an_editor_may_not(first_data: Session, emergency: AuditEvent) -> None:
    for actor in (replace(REVIEWER, kind="token"), GRACE, Actor.system("worker", via="worker")):
        with pytest.raises(Forbidden):
            reviews.answer(first_data, emergency.id, agreed=True, comment="", actor=actor)


def test_a_dispute_says_why_and_is_answered_once(first_data: Session, emergency: AuditEvent) -> None:
    with pytest.raises(Refused):
        reviews.answer(first_data, emergency.id, agreed=False, comment="  ", actor=REVIEWER)
    reviews.answer(first_data, emergency.id, agreed=False, comment="Too early", actor=REVIEWER)
    with pytest.raises(Conflict, match="Grace Hopper has looked at it already"):
        reviews.answer(first_data, emergency.id, agreed=True, comment="", actor=replace(REVIEWER, id="x"))


def test_what_was_no_emergency_has_nothing_to_look_at(first_data: Session) -> None:
    event = told(first_data)
    assert reviews.review_of(first_data, event.id) is None
    with pytest.raises(NotFound):
        reviews.answer(first_data, event.id, agreed=True, comment="", actor=REVIEWER)


def test_the_mark_is_part_of_what_is_sealed(first_data: Session, emergency: AuditEvent) -> None:
    told(first_data)
    first_data.commit()
    assert verify.verify(first_data).intact
    first_data.execute(text("ALTER TABLE audit_events DISABLE TRIGGER audit_events_refuse_change"))
    first_data.execute(text("UPDATE audit_events SET emergency = NOT emergency WHERE emergency"))
    assert [each.sequence for each in verify.verify(first_data).breaks] == [emergency.sequence]
    first_data.rollback()


def test_the_pages_mark_it_and_lead_to_it(client_as: ClientAs, emergency: AuditEvent) -> None:
    client = client_as("publisher")
    listed = client.get("/changes")
    assert "1 emergency waits to be looked at" in listed.body
    waiting = client.get(listed.link("Look at it"))
    page = client.get(waiting.link(emergency.sentence))
    assert "Nobody has looked at it since." in page.body
    address = f"/changes/{emergency.id}/review"
    refused = client.post(address, {**page.form(address), "answer": "dispute", "comment": ""})
    assert refused.status == 422
    assert refused.error_of("comment") == "Say what is wrong with it."
    done = client.post(address, {**page.form(address), "answer": "dispute", "comment": "It was not needed"})
    assert done.status == 303
    after = client.get(f"/changes/{emergency.id}")
    assert "disputed it" in after.body
    assert "It was not needed" in after.body
    again = client.post(address, {"answer": "agree", "comment": ""})
    assert again.status == 409
    assert "No emergency waits" in client.get("/changes/emergencies").body


def test_who_may_not_is_told_whom_to_ask(client_as: ClientAs, emergency: AuditEvent) -> None:
    page = client_as("on-call").get(f"/changes/{emergency.id}")
    assert "Publisher. Ask:" in page.body
    assert page.all("textarea") == []
