"""Reviews: opened with the event, answered by somebody else, never by whoever had a part in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Actor, Role
from controlplane.audit import verify
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.reviews import listing, services, signing_off
from controlplane.reviews.listing import Wanted
from controlplane.reviews.models import EventReview, ReviewStep, SignOff
from controlplane.reviews.opening import rules_of
from controlplane.reviews.rules import DEFAULTS, Rule, Rules
from controlplane.reviews.services import answer, reply
from controlplane.reviews.states import Level, State
from tests.audit.events import ADA, told
from tests.proposals.stage import make_submitted, person, rule
from tests.reviews.stage import GRACE, LINUS, emergency, newest, published, review_of
from tests.site import ROOT_ACTOR, add_person

ActorAs = Callable[[Role | str], Actor]


def test_a_change_of_production_is_opened_with_its_risk_and_a_deadline(first_data: Session) -> None:
    event = published(first_data)
    review = review_of(first_data, event)
    assert (review.state, review.asked, review.barred) == ("unreviewed", "rule", [ADA.id])
    assert review.risk >= 35
    assert "production" in [each["words"] for each in review.reasons]
    assert sum(each["points"] for each in review.reasons) == review.risk
    assert review.due_at is not None
    assert review.due_at == event.at + (rules_of(first_data).due(event.at, Level(review.level)) - event.at)


@pytest.mark.parametrize("action", ["person.signed_in", "proposal.approved", "review.reviewed"])
def test_what_changes_nothing_is_not_opened(first_data: Session, action: str) -> None:
    event = told(first_data, action=action, environment="production")
    assert listing.review_of(first_data, event.id) is None
    with pytest.raises(NotFound):
        answer(first_data, event.id, state=State.REVIEWED, actor=GRACE)


def test_what_a_first_run_begins_with_is_nobodys_decision(first_data: Session) -> None:
    assert first_data.scalar(select(func.count()).select_from(AuditEvent))
    assert listing.waiting_count(first_data) == 0


def test_somebody_else_reviews_it_and_that_is_an_event_that_nobody_reviews(first_data: Session) -> None:
    event = published(first_data)
    before = listing.waiting_count(first_data)
    answer(first_data, event.id, state=State.REVIEWED, actor=GRACE)
    review = review_of(first_data, event)
    assert (review.state, review.reviewer_name, review.steps) == ("reviewed", "Grace Hopper", 1)
    told_of = newest(first_data)[0]
    assert told_of.action == "review.reviewed"
    assert told_of.sentence == "reviewed the change of Ada Lovelace: published release 1 of production"
    assert told_of.after == {"change": event.id, "state": "reviewed"}
    assert listing.review_of(first_data, told_of.id) is None
    assert listing.waiting_count(first_data) == before - 1
    assert verify.verify(first_data).intact


def test_an_emergency_is_agreed_to_or_disputed_by_the_same_means(first_data: Session) -> None:
    event = emergency(first_data)
    review = review_of(first_data, event)
    assert (review.asked, review.level) == ("emergency", int(Level.HIGH))
    assert listing.emergency_count(first_data) == 1
    with pytest.raises(Refused):
        answer(first_data, event.id, state=State.DISPUTED, comment="  ", actor=GRACE)
    answer(first_data, event.id, state=State.DISPUTED, comment="Too early", actor=GRACE)
    assert listing.emergency_count(first_data) == 0
    assert newest(first_data)[0].sentence == (
        "disputed the emergency of Ada Lovelace: aborted version 2 at 10 % of users in production"
    )
    with pytest.raises(Conflict, match="Grace Hopper has looked at it already"):
        answer(first_data, event.id, state=State.DISPUTED, comment="Mine as well", actor=LINUS, steps=0)
    # A dispute is settled with a word about what was done, and stays in the history.
    with pytest.raises(Refused):
        answer(first_data, event.id, state=State.REVIEWED, actor=LINUS)
    answer(first_data, event.id, state=State.REVIEWED, comment="Started again on Monday", actor=LINUS)
    assert [each.kind for each in listing.thread(first_data, event.id)] == ["disputed", "reviewed"]


def test_a_query_is_answered_by_whoever_did_it_and_closed_by_the_reviewer(first_data: Session) -> None:
    event = published(first_data)
    answer(first_data, event.id, state=State.QUERIED, comment="Why on a Friday?", actor=GRACE)
    asked = Wanted(show="asked")
    waiting = listing.queue(first_data, asked, actor=ADA, now=now())
    assert [row.event.id for row in waiting.rows] == [event.id]
    assert [
        row.event.id for row in listing.needing(first_data, "production", actor=ADA, now=now(), limit=5)
    ] == [event.id]
    for _ in range(2):  # a button pressed twice
        reply(first_data, event.id, comment="The customer asked for it", actor=ADA)
    assert newest(first_data)[0].action == "review.answered"
    assert listing.needing(first_data, "production", actor=ADA, now=now(), limit=5) == []
    reply(first_data, event.id, comment="I remember that", actor=LINUS)
    answer(first_data, event.id, state=State.REVIEWED, comment="Fine then", actor=GRACE)
    assert [(each.kind, each.person_name) for each in listing.thread(first_data, event.id)] == [
        ("queried", "Grace Hopper"),
        ("answered", "Ada Lovelace"),
        ("commented", "Linus"),
        ("reviewed", "Grace Hopper"),
    ]


def test_nobody_reviews_their_own_and_the_database_says_so_too(first_data: Session) -> None:
    event = published(first_data)
    with pytest.raises(Forbidden):
        answer(first_data, event.id, state=State.REVIEWED, actor=ADA)
    by_hand = {"state": "reviewed", "reviewer_name": "Ada", "reviewed_at": now(), "steps": 1}
    first_data.commit()
    with pytest.raises(IntegrityError, match="reviewer_is_somebody_else"):
        first_data.execute(update(EventReview).values(reviewer_id=ADA.id, **by_hand))
    first_data.rollback()
    with pytest.raises(IntegrityError, match="is not for ada-1 to review"):
        first_data.execute(
            text(
                "INSERT INTO review_steps (event_id, kind, person_id, person_name, at)"
                " VALUES (:id, 'reviewed', 'ada-1', 'Ada', now())"
            ),
            {"id": event.id},
        )
    first_data.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event_reviews SET barred = '{}', steps = steps + 1",
        "UPDATE event_reviews SET risk = 0, steps = steps + 1",
        "UPDATE event_reviews SET asked = NULL, due_at = NULL, steps = steps + 1",
        "UPDATE event_reviews SET actor_id = 'somebody', steps = steps + 1",
        "UPDATE event_reviews SET reviewer_id = 'linus', steps = steps + 1 WHERE state = 'reviewed'",
        "DELETE FROM event_reviews",
        "TRUNCATE event_reviews CASCADE",
        "UPDATE review_steps SET comment = 'otherwise'",
        "DELETE FROM review_steps",
        "INSERT INTO event_reviews VALUES ('01J00000000000000000000000', now(), NULL, 'x', '{}', 1, 1, '[]')",
    ],
)  # fmt: skip
def test_of_a_review_only_the_answer_is_ever_written(first_data: Session, statement: str) -> None:
    event = published(first_data)
    answer(first_data, event.id, state=State.REVIEWED, actor=GRACE)
    first_data.commit()
    with pytest.raises(DBAPIError):
        first_data.execute(text(statement))
    first_data.rollback()


def test_whoever_wrote_or_agreed_to_what_went_live_does_not_review_it(first_data: Session) -> None:
    rule(first_data, approvals=1)
    writer, other = person(first_data, "editor", "Writer"), person(first_data, "publisher", "Other")
    proposal = make_submitted(first_data, writer)
    first_data.execute(
        text(
            "INSERT INTO proposal_participants (environment, number, person_id, name, contributed, approved_sha256,"
            " approved_at, self_approval) VALUES ('production', :number, :id, 'Other', false, 'x', now(), false)"
        ),
        {"number": proposal.number, "id": other.id},
    )
    event = published(first_data, proposal=proposal.number)
    review = review_of(first_data, event)
    assert set(review.barred) == {ADA.id, writer.id, other.id}
    with pytest.raises(Forbidden, match="somebody else"):
        answer(first_data, event.id, state=State.REVIEWED, actor=other)
    marks = [each["mark"] for each in review.reasons]
    assert "unapproved" not in marks


def test_nobody_reviews_what_was_done_to_their_own_rights(first_data: Session) -> None:
    grace = add_person(first_data, "publisher", name="Grace")
    accounts.change_role(first_data, grace, role=Role.ADMIN, actor=ROOT_ACTOR)
    event = newest(first_data)[0]
    assert str(grace.id) in review_of(first_data, event).barred


def test_a_reviewer_needs_no_right_to_publish_and_others_may_not(
    first_data: Session, actor_as: ActorAs
) -> None:
    event = published(first_data)
    for actor in (actor_as("on-call"), replace(GRACE, kind="token"), Actor.system("worker", via="worker")):
        with pytest.raises(Forbidden):
            answer(first_data, event.id, state=State.REVIEWED, actor=actor)
    compliance = replace(actor_as("viewer"), may_review=True)
    assert answer(first_data, event.id, state=State.REVIEWED, actor=compliance).state == "reviewed"
    with pytest.raises(Forbidden):
        reply(first_data, event.id, comment="Hello", actor=actor_as("viewer"))


def test_the_right_to_review_is_given_and_recorded(first_data: Session) -> None:
    viewer = add_person(first_data, "viewer")
    accounts.set_reviewer(first_data, viewer, may_review=True, actor=ROOT_ACTOR)
    assert accounts.person_actor(viewer, ROOT_ACTOR).is_reviewer
    event = newest(first_data)[0]
    assert (event.action, event.after) == ("person.reviewer_made", {"may_review": True})
    with pytest.raises(Refused):
        accounts.set_reviewer(first_data, viewer, may_review=True, actor=ROOT_ACTOR)


def test_the_queue_is_by_risk_and_the_oldest_of_it_first(first_data: Session) -> None:
    first, second = published(first_data, 1), published(first_data, 2)
    urgent = emergency(first_data)
    own = published(first_data, 3, actor=GRACE)
    found = listing.queue(first_data, Wanted(), actor=GRACE, now=now())
    ids = [row.event.id for row in found.rows]
    assert ids[0] == urgent.id or review_of(first_data, first).level == Level.HIGH
    assert [each for each in ids if each in {first.id, second.id}] == [first.id, second.id]
    assert own.id not in ids
    assert found.own == 1
    after_first = listing.queue(first_data, Wanted(), actor=GRACE, now=now(), after=ids[0])
    assert [row.event.id for row in after_first.rows] == ids[1:]
    assert listing.queue(
        first_data, Wanted(only="emergency"), actor=GRACE, now=now()
    ).rows[0].event.id == urgent.id  # fmt: skip
    later = now() + (rules_of(first_data).due(now(), Level.HIGH) - now()) * 2
    assert urgent.id in [
        row.event.id for row in listing.queue(first_data, Wanted(when="overdue"), actor=GRACE, now=later).rows
    ]
    assert listing.counts(first_data, actor=GRACE, now=now())["overdue"] == 0


def sign(session: Session, wanted: Wanted, actor: Actor = GRACE, **other: Any) -> SignOff:
    at = now()
    chosen = signing_off.choose(session, wanted, actor=actor, at=at)
    values: dict[str, Any] = {
        "statement": "Looked at the diff of each",
        "through": chosen.through,
        "count": chosen.count,
        "sha256": chosen.sha256,
        "at": at,
    }
    return signing_off.sign_off(session, wanted, actor=actor, **{**values, **other})


def test_a_filter_is_signed_off_at_once_with_the_exact_set_named(first_data: Session) -> None:
    others = [published(first_data, number) for number in (1, 2, 3)]
    own, urgent = published(first_data, 4, actor=GRACE), emergency(first_data)
    saved = told(first_data, action="person.role_changed")
    wanted = Wanted(environment="production")
    chosen = signing_off.choose(first_data, wanted, actor=GRACE, at=now())
    assert (chosen.ids, chosen.own, chosen.emergencies) == (
        tuple(sorted(each.id for each in others)), 1, 1,
    )  # fmt: skip
    signed = sign(first_data, wanted)
    assert (signed.count, signed.sha256) == (3, signing_off.digest_of([each.id for each in others]))
    for event in others:
        review = review_of(first_data, event)
        assert (review.state, review.reviewer_id) == ("reviewed", GRACE.id)
        assert [each.sign_off for each in listing.thread(first_data, event.id)] == [signed.number]
    assert {review_of(first_data, each).state for each in (own, urgent, saved)} == {"unreviewed"}
    event = newest(first_data)[0]
    assert (event.action, event.object_key) == ("review.signed_off", str(signed.number))
    assert event.sentence == (
        f"signed off 3 changes at once, as sign-off {signed.number} (production), the set {signed.sha256[:12]}"
    )
    assert event.after is not None
    assert (event.after["count"], event.after["sha256"]) == (3, signed.sha256)
    assert signing_off.get_sign_off(first_data, signed.number)[1] == sorted(each.id for each in others)
    assert first_data.scalar(select(func.count()).select_from(ReviewStep)) == 3


def test_a_set_that_is_another_one_by_now_is_not_signed_off(first_data: Session) -> None:
    first, second = published(first_data, 1), published(first_data, 2)
    at = now()
    seen = signing_off.choose(first_data, Wanted(), actor=GRACE, at=at)
    answer(first_data, first.id, state=State.REVIEWED, actor=LINUS)
    frozen: dict[str, Any] = {"through": seen.through, "count": seen.count, "sha256": seen.sha256, "at": at}
    with pytest.raises(Conflict, match="Others answered meanwhile"):
        sign(first_data, Wanted(), **frozen)
    assert review_of(first_data, second).state == "unreviewed"


def test_what_is_done_after_the_set_was_shown_is_no_part_of_it(first_data: Session) -> None:
    first = published(first_data, 1)
    at = now()
    seen = signing_off.choose(first_data, Wanted(), actor=GRACE, at=at)
    second = published(first_data, 2)
    signed = sign(first_data, Wanted(), through=seen.through, count=seen.count, sha256=seen.sha256, at=at)
    assert signed.count == 1
    assert [review_of(first_data, each).state for each in (first, second)] == ["reviewed", "unreviewed"]


def test_a_sign_off_has_a_statement_and_something_in_it(first_data: Session, actor_as: ActorAs) -> None:
    published(first_data)
    with pytest.raises(Refused) as short:
        sign(first_data, Wanted(), statement=" fine ")
    assert "statement" in short.value.errors
    with pytest.raises(Refused, match="nothing to sign off"):
        sign(first_data, Wanted(environment="staging"))
    with pytest.raises(Forbidden):
        sign(first_data, Wanted(), actor=actor_as("editor"))


def test_other_rules_hold_for_what_is_done_from_then_on(first_data: Session, actor_as: ActorAs) -> None:
    before = told(first_data, action="model.changed")
    assert review_of(first_data, before).asked is None
    rules = Rules({"*": Rule(1, 0)}, days_low=60)
    services.set_rules(first_data, rules, revision=0, actor=actor_as("admin"))
    event = newest(first_data)[0]
    assert event.action == "review.rules_changed"
    assert event.sentence == (
        "changed the rules of review: what is saved for all: every change; low risk within 60 instead of 30 days"
    )
    assert review_of(first_data, event).asked == "rule"
    after = review_of(first_data, told(first_data, action="model.changed"))
    assert after.asked == "rule"
    assert review_of(first_data, before).asked is None
    with pytest.raises(Conflict):
        services.set_rules(first_data, DEFAULTS, revision=0, actor=actor_as("admin"))
    with pytest.raises(Refused):
        services.set_rules(first_data, rules, revision=1, actor=actor_as("admin"))
    with pytest.raises(Forbidden):
        services.set_rules(first_data, DEFAULTS, revision=1, actor=actor_as("publisher"))


def test_lesser_changes_are_sampled_by_their_ids(first_data: Session, actor_as: ActorAs) -> None:
    services.set_rules(first_data, Rules({"*": Rule(4, 2)}), revision=0, actor=actor_as("admin"))
    events = [told(first_data, action="prompt.version_saved") for _ in range(30)]
    asked = {event.id for event in events if review_of(first_data, event).asked == "sample"}
    assert 0 < len(asked) < 30
