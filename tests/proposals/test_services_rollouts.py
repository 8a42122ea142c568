"""A published proposal may begin a rollout, or end one: then its row says so."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.errors import Refused
from controlplane.releases import services as releases
from controlplane.releases.authority import EMERGENCY
from controlplane.releases.compose import Document
from controlplane.releases.saved import live_entry
from controlplane.rollouts import documents, standing
from controlplane.rollouts import services as rollouts
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.standing import Standing, State
from controlplane.runtime.bucketing import BUCKETS
from tests.proposals.stage import PREMIUM, PRODUCTION, REASON, approve, make_submitted, publish

TEN = BUCKETS // 10


def live(session: Session) -> Document:
    found = live_entry(session, PRODUCTION, PREMIUM)
    assert found is not None
    return found


def in_rollout(session: Session, share: int = TEN, *, to_version: int = 2) -> Document:
    """Return what is live with another version beside it."""
    document = live(session)
    (only,) = document["variants"]
    return documents.with_candidate(document, {**only, "version": to_version, "temperature": 0.9}, share)


def go_live(session: Session, author: Actor, publisher: Actor, document: Document | None) -> int:
    proposal = approve(session, make_submitted(session, author, entries={PREMIUM: document}), publisher)
    return publish(session, proposal, publisher).number


def rows(session: Session) -> list[tuple[int, int, str, str]]:
    found = session.scalars(select(Rollout).order_by(Rollout.number))
    return [(row.from_version, row.to_version, row.state, row.started_by) for row in found]


def running(session: Session) -> Standing:
    (found,) = standing.running(session, PRODUCTION)
    return found


def test_two_versions_are_a_rollout_that_can_be_moved(first_data: Session, ada: Actor, grace: Actor) -> None:
    number = go_live(first_data, ada, grace, in_rollout(first_data))
    assert rows(first_data) == [(1, 2, "running", "Grace")]
    here = running(first_data)
    assert (here.share, here.first.release) == (TEN, number)
    rollouts.set_share(first_data, here.rollout, share=5 * TEN, reason=REASON, actor=grace)
    rollouts.finish(first_data, running(first_data).rollout, reason=REASON, actor=grace)
    assert rows(first_data) == [(1, 2, "finished", "Grace")]
    assert documents.versions_of(live(first_data)) == (2,)


@pytest.mark.parametrize(("version", "state"), [(1, State.ABORTED), (2, State.FINISHED)])
def test_one_version_ends_it(
    first_data: Session, ada: Actor, grace: Actor, version: int, state: State
) -> None:
    go_live(first_data, ada, grace, in_rollout(first_data))
    go_live(first_data, ada, grace, documents.with_only(live(first_data), version))
    assert rows(first_data) == [(1, 2, state.value, "Grace")]
    assert standing.running(first_data, PRODUCTION) == []


def test_another_two_versions_end_one_and_begin_the_next(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    once = live(first_data)
    go_live(first_data, ada, grace, in_rollout(first_data))
    (only,) = once["variants"]
    other = documents.with_candidate(once, {**only, "version": 3, "temperature": 0.2}, TEN)
    go_live(first_data, ada, grace, other)
    assert rows(first_data) == [(1, 2, "aborted", "Grace"), (1, 3, "running", "Grace")]


def test_another_share_is_the_same_rollout(first_data: Session, ada: Actor, grace: Actor) -> None:
    go_live(first_data, ada, grace, in_rollout(first_data))
    go_live(first_data, ada, grace, documents.with_shares(live(first_data), {2: 3 * TEN}))
    assert rows(first_data) == [(1, 2, "running", "Grace")]
    assert running(first_data).share == 3 * TEN


def test_two_versions_that_come_back_are_that_rollout_again(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    go_live(first_data, ada, grace, in_rollout(first_data))
    both = live(first_data)
    releases.roll_back(first_data, PRODUCTION, to=1, reason=REASON, actor=grace, authority=EMERGENCY)
    go_live(first_data, ada, grace, both)
    assert rows(first_data) == [(1, 2, "running", "Grace")]
    assert running(first_data).share == TEN


def test_a_removal_ends_it(first_data: Session, ada: Actor, grace: Actor) -> None:
    go_live(first_data, ada, grace, in_rollout(first_data))
    go_live(first_data, ada, grace, None)
    assert rows(first_data) == [(1, 2, "aborted", "Grace")]


def test_a_configuration_of_somewhere_else_has_no_row(first_data: Session, ada: Actor, grace: Actor) -> None:
    key = PREMIUM.replace("/premium/*", "/premium/acme")
    proposal = make_submitted(first_data, ada, entries={key: in_rollout(first_data)})
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)
    assert rows(first_data) == []


def test_starting_one_directly_still_needs_the_agreement(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    with pytest.raises(Refused, match="propose it for review"):
        releases.publish_entries(
            first_data,
            PRODUCTION,
            {PREMIUM: in_rollout(first_data)},
            reason=REASON,
            actor=grace,
            action="rollout.started",
            sentence="started it",
            source_name="rollout",
        )
