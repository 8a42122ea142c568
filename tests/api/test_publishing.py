"""Going live with a token: what was asked for and nothing else, once, by the rules; and undoing."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.proposals.models import Proposal
from controlplane.releases.history import latest_release
from controlplane.releases.saved import live_entries
from controlplane.reviews.models import EventReview
from controlplane.samples.services import create_sample
from tests.api.conftest import ProgramOf
from tests.api.ways import ADA, PLACE, REASON, abort, save_text, values
from tests.page import PageClient
from tests.proposals.stage import rule
from tests.proposals.test_must_pass import FAILS
from tests.releases.changing import save_prompt
from tests.site import add_person, client_of
from tests.tokens.stage import Answer, Program

KEY = "prompt/coaching_response"
CONFIGURATION = "configuration/COACHING_RESPONSE/premium/*"
PUBLISH = "/production/publish"


def number(session: Session) -> int:
    session.expire_all()
    latest = latest_release(session, "production")
    assert latest is not None
    return latest.number


def publish(caller: Program, entries: Any = "all", **more: Any) -> Answer:
    return caller.post(PUBLISH, {"entries": entries, **REASON, **more})


def test_what_is_named_goes_live_and_a_colleague_s_work_does_not(
    first_data: Session, program: ProgramOf
) -> None:
    caller = program("publisher")
    save_text(first_data)
    assert caller.put(PLACE, {**values(0.3), "base_version": 1}).status == 200
    waiting = caller.get("/production/unpublished").json["entries"]
    assert {each["key"] for each in waiting} == {KEY, CONFIGURATION}
    made = publish(caller, [CONFIGURATION])
    assert (made.status, made.json["published"], made.json["release"]) == (201, True, 2)
    assert made.headers["Location"] == "/api/v1/production/releases/2"
    changed = caller.get("/production/releases/2").json["changes"]
    assert [each["key"] for each in changed] == [CONFIGURATION]
    assert [each["key"] for each in caller.get("/production/unpublished").json["entries"]] == [KEY]


def test_asked_twice_it_is_published_once(first_data: Session, program: ProgramOf) -> None:
    caller = program("publisher")
    save_text(first_data)
    assert publish(caller).status == 201
    for entries in ("all", [KEY]):
        again = publish(caller, entries)
        assert (again.status, again.json["published"]) == (200, False)
    assert number(first_data) == 2


def test_what_was_taken_back_does_not_return_with_everything(first_data: Session, program: ProgramOf) -> None:
    caller = program("publisher")
    save_text(first_data)
    publish(caller)
    back = caller.post("/production/rollback", {"release": 1, **REASON})
    assert (back.status, back.json["release"], back.json["emergency"]) == (201, 3, False)
    (entry,) = caller.get("/production/unpublished").json["entries"]
    assert entry["in_all"] is False
    assert publish(caller).json["published"] is False
    assert publish(caller, [KEY]).status == 201


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({**REASON}, "entries"),
        ({**REASON, "entries": []}, "entries"),
        ({**REASON, "entries": "some"}, "entries"),
        ({**REASON, "entries": ["prompt/nobody"]}, "entries"),
        ({"entries": [KEY]}, "reason"),
        ({"entries": [KEY], "reason": "short"}, "reason"),
        ({**REASON, "entries": [KEY], "force": True}, "force"),
    ],
)
def test_what_is_not_said_whole_is_not_published(
    first_data: Session, program: ProgramOf, document: dict[str, Any], field: str
) -> None:
    save_text(first_data)
    answer = program("publisher").post(PUBLISH, document)
    assert answer.status == 422
    assert list(answer.errors) == [field]
    assert number(first_data) == 1


def test_where_others_have_to_agree_it_is_proposed_once_and_published_after(
    app: Flask, first_data: Session, program: ProgramOf
) -> None:
    rule(first_data, approvals=1)
    caller = program("publisher")
    save_text(first_data)
    asked = publish(caller)
    assert asked.status == 202
    assert (asked.json["published"], asked.json["state"], asked.json["approvals_needed"]) == (
        False,
        "in_review",
        1,
    )
    assert asked.headers["Location"] == "/api/v1/production/proposals/1"
    assert asked.json["page"].endswith("/production/proposals/1")
    again = publish(caller)
    assert (again.status, again.json["proposal"]) == (202, 1)
    assert [row.number for row in first_data.scalars(select(Proposal))] == [1], (
        "the second attempt left nothing"
    )
    path = "/production/proposals/1/publish"
    early = caller.post(path)
    assert early.status == 422
    assert "needs 1 approval" in early.json["detail"]
    approve(client_of(app, add_person(first_data, "publisher", email="joan@example.com")), 303)
    assert caller.get("/production/proposals/1").json["state"] == "approved"
    made = caller.post(path)
    assert (made.status, made.json["release"], made.json["proposal"]) == (201, 2, 1)
    repeated = caller.post(path)
    assert (repeated.status, repeated.json["published"], repeated.json["release"]) == (200, False, 2)


def test_whoever_asks_for_review_is_not_answered_with_a_draft(
    first_data: Session, program: ProgramOf
) -> None:
    rule(first_data, approvals=1)
    caller = program("publisher")
    document = {"entries": [save_text(first_data)], **REASON}
    for _ in range(2):
        draft = caller.post("/production/proposals", {**document, "draft": True})
        assert (draft.json["proposal"], draft.json["state"]) == (1, "draft")
    for path, status in ((PUBLISH, 202), ("/production/proposals", 200)):
        asked = caller.post(path, document)
        assert (asked.status, asked.json["proposal"], asked.json["state"]) == (status, 2, "in_review")


def approve(client: PageClient, status: int) -> None:
    page = client.get("/production/proposals/1")
    sent = {"revision": "1", "seen_sha256": "0" * 64}
    for form in page.all("form"):
        if form.get("action") == "/production/proposals/1/approve":
            sent = page.form("/production/proposals/1/approve")
    answer = client.post("/production/proposals/1/approve", sent)
    assert answer.status == status, answer.body


def test_a_token_is_its_owner_when_somebody_has_to_agree(
    app: Flask, first_data: Session, program: ProgramOf
) -> None:
    """Who wrote through a token cannot approve in the browser, and there is no address at which a token approves."""
    rule(first_data, approvals=1)
    caller = program("publisher")
    saved = caller.get("/templates/coaching_response").json
    document = {"body": f"{saved['body']}More.\n", "base_version": 1, **REASON}
    assert caller.put("/templates/coaching_response", document).status == 200
    # Somebody else proposes it: the one who wrote it through a token is an author all the same.
    other = program("editor")
    assert other.post("/production/proposals", {"entries": [KEY], **REASON}).status == 201
    page = client_of(app, caller.owner).get("/production/proposals/1")  # type: ignore[arg-type]
    shown = caller.get("/production/proposals/1").json
    sent = {"revision": "2", "seen_sha256": shown["content_sha256"]}
    answer = client_of(app, caller.owner).post("/production/proposals/1/approve", sent)  # type: ignore[arg-type]
    assert page.status == 200
    assert answer.status == 422
    assert "You wrote part of this" in answer.body
    for path in (
        "/production/proposals/1/approve",
        "/production/proposals/1/reject",
        "/production/proposals/1/schedule",
    ):
        assert caller.post(path).status == 404
    approve(client_of(app, add_person(first_data, "publisher", email="joan@example.com")), 303)
    assert caller.get("/production/proposals/1").json["state"] == "approved"


def test_a_change_by_a_token_is_not_reviewed_by_its_owner(
    app: Flask, first_data: Session, program: ProgramOf
) -> None:
    caller = program("publisher")
    caller.post("/production/switches/COACHING_RESPONSE/throw", REASON)
    event = first_data.scalars(select(AuditEvent).where(AuditEvent.action == "switch.thrown")).one()
    review = first_data.scalars(select(EventReview).where(EventReview.event_id == event.id)).one()
    assert str(caller.owner.id) in review.barred  # type: ignore[union-attr]
    sent = {"answer": "reviewed", "steps": "0"}
    answer = client_of(app, caller.owner).post(f"/changes/{event.id}/review", sent)  # type: ignore[arg-type]
    assert answer.status in {403, 422}
    assert review.state == "unreviewed"


def test_a_proposal_comes_from_other_sources_too(first_data: Session, program: ProgramOf) -> None:
    caller = program("publisher")
    save_text(first_data)
    assert caller.post("/staging/publish", {"entries": "all", **REASON}).status == 201
    promoted = caller.post(
        "/production/proposals", {"source": "environment:staging", "entries": "all", **REASON}
    )
    assert (promoted.status, promoted.json["source"], promoted.json["state"]) == (
        201, "staging release 2", "approved",
    )  # fmt: skip
    again = caller.post(
        "/production/proposals", {"source": "environment:staging", "entries": "all", **REASON}
    )
    assert (again.status, again.json["proposal"]) == (200, promoted.json["proposal"])
    draft = caller.post(
        "/staging/proposals", {"source": "release:2:revert", "entries": [KEY], "draft": True, **REASON}
    )
    assert (draft.status, draft.json["state"]) == (201, "draft")
    nothing = caller.post("/staging/proposals", {"entries": "all", **REASON})
    assert (nothing.status, nothing.json["proposed"]) == (200, False)
    wrong = caller.post("/staging/proposals", {"source": "change:01J", "entries": "all", **REASON})
    assert list(wrong.errors) == ["source"]


def test_an_editor_proposes_and_cannot_publish(first_data: Session, program: ProgramOf) -> None:
    caller = program("editor")
    save_text(first_data)
    assert publish(caller).status == 403
    assert caller.post("/production/proposals", {"entries": [KEY], **REASON}).status == 201
    assert number(first_data) == 1


def test_who_is_on_call_rolls_back_without_asking_and_it_is_marked(
    first_data: Session, program: ProgramOf
) -> None:
    rule(first_data, approvals=0)
    publisher = program("publisher")
    save_text(first_data)
    publish(publisher)
    rule(first_data, approvals=1)
    caller = program("on-call")
    refused = caller.post("/production/rollback", {"release": 1})
    assert (refused.status, list(refused.errors)) == (422, ["reason"])
    back = caller.post("/production/rollback", {"release": 1, **REASON})
    assert (back.status, back.json["emergency"]) == (201, True)
    assert live_entries(first_data, "production") == live_entries(first_data, "production", at=1)
    again = caller.post("/production/rollback", {"release": 1, **REASON})
    assert (again.status, again.json["published"]) == (200, False)
    assert caller.post("/production/rollback", {"release": 99, **REASON}).status == 404
    slip = caller.post("/production/rollback", {"release": 1, "entries": ["prompt/coaching"], **REASON})
    assert slip.errors == {"entries": "Neither live nor in release 1: prompt/coaching."}


def test_a_rollout_is_aborted_once(first_data: Session, program: ProgramOf) -> None:
    path, document = abort(first_data)
    caller = program("on-call")
    (running,) = caller.get("/production/rollouts").json["rollouts"]
    assert (running["state"], running["share"]) == ("running", 10.0)
    assert path.endswith(f"/{running['rollout']}/abort")
    assert caller.post(path, document).status == 201
    late = caller.post(path, document)
    assert late.status == 409
    assert "is over since" in late.json["detail"]
    assert caller.get("/production/rollouts").json["rollouts"] == []


def test_kill_switches_are_turned_and_everything_only_with_the_environment_s_code(program: ProgramOf) -> None:
    caller = program("on-call")
    everything = "/production/switches/everything"
    refused = caller.post(f"{everything}/throw", REASON)
    assert (refused.status, list(refused.errors)) == (422, ["confirm"])
    unreadable = caller.post(
        "/production/switches/COACHING_RESPONSE/throw", {"reason": "Provider\x00 is down"}
    )
    assert (unreadable.status, list(unreadable.errors)) == (422, ["reason"])
    assert caller.post(f"{everything}/throw", {**REASON, "confirm": "production"}).status == 200
    (thrown,) = caller.get("/production/switches").json["thrown"]
    assert (thrown["target"], thrown["thrown_by"]) == ("everything", "On-call One (token pipeline 0)")
    assert caller.post(f"{everything}/throw", {**REASON, "confirm": "production"}).status == 409
    assert caller.post(f"{everything}/lift", REASON).json == {"target": "everything", "thrown": False}
    assert caller.post(f"{everything}/lift", REASON).status == 409
    assert caller.post("/production/switches/NOBODY/throw", REASON).status == 404


def test_a_text_that_fails_with_what_must_pass_is_not_published(
    first_data: Session, program: ProgramOf
) -> None:
    save_prompt(first_data, suffix=FAILS)
    create_sample(
        first_data,
        "COACHING_RESPONSE",
        name="Of growth",
        values={"conversation_context": "Coach: Hello.", "user_message": "Hello.", "topic": "growth"},
        must_pass=True,
        actor=ADA,
    )
    first_data.commit()
    answer = publish(program("publisher"))
    assert answer.status == 422
    assert "does not render with “Of growth”" in answer.json["detail"]
    assert number(first_data) == 1
