from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.proposals import services
from controlplane.proposals.models import Proposal
from controlplane.proposals.participants import agreement_of, participants_of
from controlplane.registry.models import Environment
from tests.proposals.stage import (
    PRODUCTION,
    approve,
    change,
    events_of,
    make_submitted,
    person,
    publish,
    reject,
    rule,
    set_person,
    submit,
    temperature_live,
)


def contributors(session: Session, proposal: Proposal) -> set[str]:
    return {each.name for each in participants_of(session, proposal) if each.contributed}


def given(session: Session, proposal: Proposal) -> list[str]:
    row = session.get_one(Environment, PRODUCTION)
    return [each.name for each in agreement_of(session, proposal, row).given]


def test_two_approvals_are_two_people(first_data: Session, ada: Actor, grace: Actor, joan: Actor) -> None:
    rule(first_data, approvals=2)
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    assert proposal.state == "in_review"
    with pytest.raises(Refused, match="already"):
        approve(first_data, proposal, grace)
    with pytest.raises(Refused, match="needs 1 more approval"):
        publish(first_data, proposal, grace)
    approve(first_data, proposal, joan)
    assert proposal.state == "approved"
    assert publish(first_data, proposal, joan).number == 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.ON_CALL])
def test_only_who_may_publish_agrees_rejects_and_publishes(
    first_data: Session, ada: Actor, grace: Actor, role: Role
) -> None:
    proposal = make_submitted(first_data, ada)
    somebody = person(first_data, role, "Somebody")
    for act in (
        lambda: approve(first_data, proposal, somebody),
        lambda: reject(first_data, proposal, somebody),
        lambda: publish(first_data, proposal, somebody),
    ):
        with pytest.raises(Forbidden):
            act()
    rule(first_data, publish_role="admin")
    with pytest.raises(Forbidden):
        approve(first_data, proposal, grace)


@pytest.mark.parametrize("kind", ["token", "system", "schedule"])
def test_only_a_person_agrees(first_data: Session, ada: Actor, grace: Actor, kind: str) -> None:
    proposal = make_submitted(first_data, ada)
    with pytest.raises(Forbidden, match="a person"):
        approve(first_data, proposal, replace(grace, kind=kind))
    with pytest.raises(Forbidden, match="a person"):
        reject(first_data, proposal, replace(grace, kind=kind))


def test_nobody_agrees_to_what_they_wrote(first_data: Session, ada: Actor, grace: Actor, joan: Actor) -> None:
    proposal = make_submitted(first_data, grace)
    with pytest.raises(Refused, match="somebody else"):
        approve(first_data, proposal, grace)
    change(first_data, proposal, joan)
    with pytest.raises(Refused, match="somebody else"):
        approve(first_data, proposal, joan)
    assert contributors(first_data, proposal) >= {"Grace", "Joan"}
    assert given(first_data, proposal) == []


def test_an_environment_may_let_people_agree_to_their_own(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    rule(first_data, self_approval=True)
    proposal = make_submitted(first_data, grace)
    approve(first_data, proposal, grace)
    rule(first_data, self_approval=False)
    with pytest.raises(Refused, match="needs 1 approval"):
        publish(first_data, proposal, grace)
    rule(first_data, self_approval=True)
    assert publish(first_data, proposal, grace).number == 2


def test_an_edit_voids_every_agreement(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    seen = proposal.content_sha256
    change(first_data, proposal, ada)
    assert (proposal.state, given(first_data, proposal)) == ("in_review", [])
    with pytest.raises(Refused, match="needs 1 approval"):
        publish(first_data, proposal, grace)
    with pytest.raises(Conflict, match="not what you looked at"):
        approve(first_data, proposal, grace, seen_sha256=seen)
    approve(first_data, proposal, grace)
    assert publish(first_data, proposal, grace).number == 2
    assert temperature_live(first_data) == 0.4


def test_an_edit_that_is_taken_back_does_not_bring_agreements_back(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    content = proposal.content_sha256
    change(first_data, proposal, ada, 0.4)
    change(first_data, proposal, ada, 0.9)
    assert proposal.content_sha256 == content
    assert given(first_data, proposal) == []


def test_who_was_disabled_or_given_a_lower_role_agrees_no_more(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor
) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    set_person(first_data, grace, role="editor")
    with pytest.raises(Refused, match="needs 1 approval"):
        publish(first_data, proposal, joan)
    set_person(first_data, grace, role="publisher", active=False)
    with pytest.raises(Refused, match="needs 1 approval"):
        publish(first_data, proposal, joan)
    set_person(first_data, joan, role="viewer")
    with pytest.raises(Forbidden):
        approve(first_data, proposal, joan)  # as somebody whose request began before
    set_person(first_data, grace, active=True)
    assert publish(first_data, proposal, grace).number == 2


def test_the_rule_of_now_counts(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    rule(first_data, approvals=2)
    with pytest.raises(Refused, match="needs 1 more approval"):
        publish(first_data, proposal, grace)
    rule(first_data, approvals=0)
    assert publish(first_data, proposal, grace).number == 2


def test_changes_can_be_asked_for_and_made(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    with pytest.raises(Refused, match="Say what"):
        reject(first_data, proposal, grace, comment="  ")
    with pytest.raises(Refused, match="AWS access key"):
        reject(first_data, proposal, grace, comment="Not with\nAKIAIOSFODNN7EXAMPLE in it")
    reject(first_data, proposal, grace, comment="Too warm\nfor them")
    assert (proposal.state, proposal.note) == ("rejected", "Too warm for them")
    assert [each.body for each in services.comments_on(first_data, proposal)] == ["Too warm\nfor them"]
    assert events_of(first_data, 1)[-1].reason == "Too warm for them"
    change(first_data, proposal, ada)
    assert (proposal.state, given(first_data, proposal)) == ("draft", [])
    assert submit(first_data, proposal, ada).state == "in_review"


def test_resubmitting_without_a_change_asks_everybody_again(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor
) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    reject(first_data, proposal, joan)
    assert submit(first_data, proposal, ada).state == "in_review"


def test_agreement_to_other_content_is_none(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    proposal.content_sha256 = "f" * 64  # as no service leaves it
    assert given(first_data, proposal) == []
