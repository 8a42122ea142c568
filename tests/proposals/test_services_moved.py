"""Somebody else changes meanwhile what a proposal changes, or something beside it."""

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.errors import Conflict, Refused
from controlplane.proposals import services
from controlplane.proposals.steps import hold
from controlplane.releases.authority import EMERGENCY, Authority
from controlplane.releases.services import publish_entries
from tests.proposals.stage import (
    DEFAULT,
    PREMIUM,
    PRODUCTION,
    REASON,
    approve,
    change,
    events_of,
    make,
    make_submitted,
    publish,
    rule,
    submit,
    temperature_live,
    warmer,
)


def move(session: Session, actor: Actor, temperature: float, key: str = PREMIUM) -> int:
    """Somebody changes what is live, in an emergency."""
    release = publish_entries(
        session,
        PRODUCTION,
        {key: warmer(session, temperature, key)},
        reason=REASON,
        actor=actor,
        action="release.published",
        sentence="published in an emergency",
        source_name="saved",
        authority=EMERGENCY,
    )
    return release.number


def test_other_keys_may_move(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    move(first_data, grace, 0.1, DEFAULT)
    assert publish(first_data, proposal, grace).number == 3
    assert (temperature_live(first_data), temperature_live(first_data, DEFAULT)) == (0.9, 0.1)


def test_an_included_key_that_moved_stops_it(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    move(first_data, grace, 0.1)
    with pytest.raises(services.Moved, match=r"COACHING_RESPONSE · premium") as conflict:
        publish(first_data, proposal, grace)
    assert (conflict.value.number, conflict.value.keys) == (proposal.number, (PREMIUM,))
    assert proposal.state == "approved"

    for _ in range(2):
        services.mark_conflicted(first_data, PRODUCTION, proposal.number, actor=grace)
    assert (proposal.state, temperature_live(first_data)) == ("conflicted", 0.1)
    assert [each.action for each in events_of(first_data, 1)][-2:] == [
        "proposal.approved",
        "proposal.conflicted",
    ]
    with pytest.raises(Conflict, match="is conflicted"):
        publish(first_data, proposal, grace)

    change(first_data, proposal, ada, 0.5)
    assert proposal.state == "in_review"
    with pytest.raises(Refused, match="needs 1 approval"):
        publish(first_data, proposal, grace)
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)
    assert temperature_live(first_data) == 0.5


def test_what_moved_and_came_back_is_no_conflict(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    move(first_data, grace, 0.1)
    services.mark_conflicted(first_data, PRODUCTION, proposal.number, actor=grace)
    move(first_data, grace, 0.7)
    assert submit(first_data, proposal, ada).state == "approved"
    assert publish(first_data, proposal, grace).number == 4


def test_what_somebody_else_made_live_just_so_is_no_conflict(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    entries = {PREMIUM: warmer(first_data), DEFAULT: warmer(first_data, key=DEFAULT)}
    proposal = make_submitted(first_data, ada, entries=entries)
    approve(first_data, proposal, grace)
    move(first_data, grace, 0.9)
    publish(first_data, proposal, grace)
    assert temperature_live(first_data, DEFAULT) == 0.9


def test_nothing_is_marked_that_did_not_move(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    assert services.mark_conflicted(first_data, PRODUCTION, proposal.number, actor=grace).state == "in_review"


def test_the_second_of_two_who_edit_one_object_is_told(first_data: Session, ada: Actor, grace: Actor) -> None:
    rule(first_data, approvals=0)
    mine = make(first_data, ada, entries={PREMIUM: warmer(first_data, 0.2)})
    publish(first_data, make(first_data, grace), grace)
    late = make(first_data, ada, entries={PREMIUM: warmer(first_data, 0.3)}, base=1)
    for proposal in (mine, late):
        submit(first_data, proposal, ada)
        assert (proposal.state, proposal.note) == (
            "conflicted",
            "Changed meanwhile by somebody else: COACHING_RESPONSE · premium.",
        )
    assert temperature_live(first_data) == 0.9


def test_what_was_changed_behind_the_services_is_not_what_was_agreed_to(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    hold(first_data, PRODUCTION, proposal.number)
    first_data.connection().exec_driver_sql(
        "UPDATE proposal_entries SET after = replace(after, '0.9', '1.9')"
    )
    with pytest.raises(Conflict, match="not what its digest says"):
        publish(first_data, proposal, grace)


def test_a_release_cannot_name_a_proposal_that_it_is_not(first_data: Session, grace: Actor) -> None:
    publish_entries(
        first_data,
        PRODUCTION,
        {PREMIUM: warmer(first_data)},
        reason=REASON,
        actor=grace,
        action="release.published",
        sentence="published something",
        source_name="saved",
        authority=Authority.approved(7),
    )
    with pytest.raises(Exception, match="is not what proposal 7 became"):
        first_data.connection().exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
