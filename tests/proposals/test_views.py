"""A change from its proposal to its release, as people walk it in the browser."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.proposals.services import get_proposal
from controlplane.releases.authority import MOVE
from controlplane.releases.saved import live_entry
from controlplane.releases.services import publish_entries
from tests.page import PageClient
from tests.proposals.browsing import LIST, ONE, UNPUBLISHED, do, done, fresh, in_days, offered, propose, state
from tests.proposals.stage import rule
from tests.releases.changing import PREMIUM, PROMPT, PUBLISHER, REASON, save_configuration, save_prompt
from tests.site import add_person, client_of

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


@pytest.fixture
def publisher(client_as: ClientAs) -> PageClient:
    return client_as("publisher")


@pytest.fixture
def other(app: Flask, first_data: Session) -> PageClient:
    return client_of(app, add_person(first_data, "publisher", email="joan@example.com", name="Joan Clarke"))


@pytest.fixture
def changed(first_data: Session) -> Session:
    """One approval is asked for, and a configuration is saved that is not live yet."""
    rule(first_data, approvals=1)
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    return first_data


def test_a_change_is_proposed_approved_by_another_and_published(
    editor: PageClient, publisher: PageClient, changed: Session
) -> None:
    page = propose(editor)
    assert (page.heading, state(page)) == ("Proposal 1", "In review")
    assert "Needs 1 approval. Ask: Publisher One." in page.body
    assert REASON in page.body

    page = done(publisher, "approve")
    assert state(page) == "Approved"

    answer = do(publisher, "publish")
    assert (answer.status, answer.location) == (303, "/production/releases/2")
    assert "CLAUDE_3_HAIKU" in publisher.follow(answer).body
    live = live_entry(fresh(changed), "production", PREMIUM)
    assert live
    assert live["variants"][0]["model"] == "CLAUDE_3_HAIKU"
    page = editor.get(ONE)
    assert state(page) == "Published in release 2"
    assert "Publisher One" in page.body


def test_a_second_click_on_publish_leads_to_the_same_release(
    publisher: PageClient, editor: PageClient, changed: Session
) -> None:
    propose(editor)
    page = done(publisher, "approve")
    first = publisher.submit(page, f"{ONE}/publish")
    second = publisher.submit(page, f"{ONE}/publish")
    assert (
        (first.status, first.location) == (second.status, second.location) == (303, "/production/releases/2")
    )
    assert publisher.get("/production/releases/3").status == 404


def test_several_entries_go_live_together(
    publisher: PageClient, editor: PageClient, changed: Session
) -> None:
    save_prompt(changed, suffix="Be brief.")
    page = propose(editor)
    assert "2 entries" in page.body
    assert "They go live together, or not at all." in page.body
    done(publisher, "approve")
    do(publisher, "publish")
    prompt = live_entry(fresh(changed), "production", PROMPT)
    configuration = live_entry(changed, "production", PREMIUM)
    assert prompt
    assert configuration
    assert (prompt["version"], configuration["variants"][0]["version"]) == (2, 2)


def test_who_wrote_part_of_it_is_told_whom_to_ask(
    publisher: PageClient, other: PageClient, changed: Session
) -> None:
    page = propose(publisher)
    assert "You wrote part of this. Ask: Joan Clarke." in page.body
    assert "approve" not in offered(page)
    data = other.get(ONE).form(f"{ONE}/approve")

    refused = publisher.post(f"{ONE}/approve", data)

    assert refused.status == 422
    assert "You wrote part of this: somebody else has to agree to it." in refused.body
    assert state(publisher.get(ONE)) == "In review"


def test_changes_are_asked_for_made_and_submitted_again(
    editor: PageClient, publisher: PageClient, changed: Session
) -> None:
    propose(editor)
    refused = do(publisher, "reject")
    assert (refused.status, refused.error_of("comment")) == (422, "Say what is to change.")

    page = done(publisher, "reject", comment="Too cheap to be good")
    assert state(page) == "Changes asked for"
    assert "Changes were asked for: “Too cheap to be good”" in page.body
    assert "Too cheap to be good" in publisher.get(f"{ONE}?part=conversation").body

    save_configuration(changed, model="CLAUDE_3_HAIKU", temperature=0.2)
    page = editor.get(ONE)
    assert "Saved again since: COACHING_RESPONSE · premium." in page.body
    page = done(editor, "update")
    assert "temperature 0.7 → 0.2" in page.body
    assert state(done(editor, "submit")) == "In review"
    done(publisher, "approve")
    assert do(publisher, "publish").location == "/production/releases/2"


def test_an_approval_is_for_what_was_seen(
    editor: PageClient, publisher: PageClient, changed: Session
) -> None:
    propose(editor)
    opened = publisher.get(ONE)
    save_configuration(changed, model="CLAUDE_3_HAIKU", temperature=0.2)
    done(editor, "update")

    late = publisher.submit(opened, f"{ONE}/approve")

    assert late.status == 409
    assert "was changed since you opened this page" in late.body
    assert "temperature 0.7 → 0.2" in late.body
    assert state(publisher.get(ONE)) == "In review"


def test_an_edit_voids_what_was_approved(editor: PageClient, publisher: PageClient, changed: Session) -> None:
    propose(editor)
    assert state(done(publisher, "approve")) == "Approved"
    save_configuration(changed, model="CLAUDE_3_HAIKU", temperature=0.2)
    page = done(editor, "update")
    assert state(page) == "In review"
    assert "publish" not in offered(publisher.get(ONE))


def test_it_is_scheduled_shown_in_both_zones_and_cancelled(
    editor: PageClient, publisher: PageClient, changed: Session
) -> None:
    propose(editor)
    done(publisher, "approve")
    page = done(publisher, "schedule", due=in_days(30), zone="Asia/Kolkata")
    assert state(page) == "Scheduled"
    assert "09:00 Asia/Kolkata (03:30 UTC)" in page.body
    assert "09:00 Asia/Kolkata (03:30 UTC)" in publisher.get(LIST).body
    page = done(publisher, "unschedule")
    assert state(page) == "Approved"


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("due", {"due": in_days(-2)}, "This time has passed."),
        ("due", {"due": "soon"}, "Enter a date and a time, such as 2026-12-01T09:00."),
        ("due", {"due": in_days(800)}, "This is more than a year ahead."),
        ("zone", {"due": in_days(3), "zone": "Mars/Olympus"}, "There is no time zone Mars/Olympus."),
    ],
)
def test_a_time_that_cannot_be_is_refused_as_typed(
    publisher: PageClient,
    editor: PageClient,
    changed: Session,
    field: str,
    values: dict[str, str],
    words: str,
) -> None:
    propose(editor)
    done(publisher, "approve")
    page = do(publisher, "schedule", **values)
    assert page.status == 422
    assert words in (page.error_of(field) or "")
    assert page.by_id("f-due").get("value") == values["due"]


def test_what_others_changed_meanwhile_stops_it_and_leads_to_the_choice(
    editor: PageClient, publisher: PageClient, changed: Session
) -> None:
    propose(editor)
    page = done(publisher, "approve")
    live = live_entry(changed, "production", PREMIUM)
    assert live
    theirs = {**live, "variants": [{**live["variants"][0], "max_tokens": 77}]}
    publish_entries(
        changed, "production", {PREMIUM: theirs}, reason=REASON, actor=PUBLISHER, action="rollout.raised",
        sentence="moved something", source_name="rollout", authority=MOVE,
    )  # fmt: skip
    changed.commit()

    stopped = publisher.submit(page, f"{ONE}/publish")

    assert stopped.status == 409
    assert "Changed meanwhile by somebody else: COACHING_RESPONSE · premium." in stopped.body
    assert stopped.link("Choose what shall hold") == f"{ONE}/conflict"
    assert get_proposal(fresh(changed), "production", 1).state == "conflicted"
    assert state(publisher.get(ONE)) == "Conflict"


def test_it_is_withdrawn(editor: PageClient, changed: Session) -> None:
    propose(editor)
    page = done(editor, "withdraw", reason="No longer wanted")
    assert state(page) == "Withdrawn"
    assert "No longer wanted" in page.body
    assert offered(page) == set()
    assert offered(editor.get(f"{ONE}?part=conversation")) == {"comment"}


def test_people_talk_about_it(editor: PageClient, publisher: PageClient, changed: Session) -> None:
    propose(editor)
    page = done(publisher, "comment", body="What does it cost?\n<b>Much?</b>")
    assert "What does it cost? <b>Much?</b>" in page.body
    assert do(publisher, "comment").error_of("body") == "Write something."


def test_where_nobody_has_to_agree_one_may_propose_as_well_as_publish(
    publisher: PageClient, first_data: Session
) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    assert "Publish" in publisher.get(UNPUBLISHED).texts("button")
    assert state(propose(publisher)) == "Approved"
    assert do(publisher, "publish").location == "/production/releases/2"


def test_where_somebody_has_to_agree_one_can_only_propose(publisher: PageClient, changed: Session) -> None:
    page = publisher.get(UNPUBLISHED)
    assert "Propose for review" in page.texts("button")
    assert "Publish" not in page.texts("button")
    assert "Somebody else has to agree before it goes live." in page.body
    refused = publisher.post(UNPUBLISHED, {**page.form(LIST), "reason": REASON})
    assert refused.status == 422
    assert "propose it for review" in refused.body


def test_proposing_without_a_reason_or_what_was_saved_meanwhile_is_told_as_typed(
    editor: PageClient, changed: Session
) -> None:
    page = editor.get(UNPUBLISHED)
    refused = editor.submit(page, LIST, {"reason": "no"})
    assert refused.status == 422
    assert "Say why in 10 to 500 characters" in (refused.error_of("reason") or "")
    save_configuration(changed, model="CLAUDE_3_HAIKU", temperature=0.1)
    late = editor.submit(page, LIST, {"reason": REASON})
    assert late.status == 409
    assert "Saved again since you opened this page" in late.body


def test_a_rollout_is_proposed_and_begins_when_it_is_published(
    publisher: PageClient, other: PageClient, changed: Session
) -> None:
    new = publisher.get("/production/rollouts/new?configuration=COACHING_RESPONSE/premium")
    page = publisher.follow(publisher.submit(new, f"{LIST}/rollout", {"share": "10", "reason": REASON}))
    assert "a rollout that is to begin" in page.body
    assert "version 2 0 % → 10 % of users" in page.body
    done(other, "approve")
    do(other, "publish")
    assert "COACHING_RESPONSE · premium version 1 → 2 10 %" in other.get("/production/rollouts").body


def test_a_rollout_that_cannot_begin_is_not_proposed(publisher: PageClient, changed: Session) -> None:
    new = publisher.get("/production/rollouts/new?configuration=COACHING_RESPONSE/premium")
    refused = publisher.submit(new, f"{LIST}/rollout", {"share": "10", "to_version": "1", "reason": REASON})
    assert refused.status == 422
    assert "Version 1 is live for everyone already." in refused.body


def test_a_plan_is_not_dropped_in_silence_from_a_rollout_that_is_proposed(
    publisher: PageClient, changed: Session
) -> None:
    page = publisher.get("/staging/rollouts/new?configuration=COACHING_RESPONSE/premium")
    sent = {**page.form("/staging/rollouts"), "plan": "quick", "share": "10", "reason": REASON}
    refused = publisher.post("/staging/proposals/rollout", sent)
    assert refused.status == 422
    assert (
        refused.error_of("plan") == "A proposal brings no plan: give it one on its page once it has started."
    )
