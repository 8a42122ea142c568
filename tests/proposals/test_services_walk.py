"""Whatever people do in whatever order: the rules hold after each step."""

import random
from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.errors import ControlPlaneError
from controlplane.proposals import services
from controlplane.proposals.content import content_digest, included_in
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.proposals.states import State
from tests.proposals.stage import PREMIUM, PRODUCTION, approve, change, make, publish, reject, submit, warmer

STEPS = 150


def test_the_rules_hold_whatever_people_do(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor
) -> None:
    chance = random.Random(4)
    seen = {State.DRAFT}
    proposal = make(first_data, ada)
    for _ in range(STEPS):
        before, events = State(proposal.state), events_so_far(first_data)
        step = a_step(chance, first_data, proposal, chance.choice([ada, grace, joan]))
        try:
            with first_data.begin_nested():
                step()
        except ControlPlaneError:
            assert events_so_far(first_data) == events
        else:
            assert events_so_far(first_data) == events + 1
        first_data.refresh(proposal)
        after = State(proposal.state)
        seen.add(after)
        assert after is before or before.may_become(after)
        check(first_data, proposal)
        if after.is_over:
            proposal = make(first_data, ada, entries={PREMIUM: warmer(first_data, chance.random())})
    assert seen == set(State) - {State.SCHEDULED, State.CONFLICTED}


def a_step(chance: random.Random, session: Session, proposal: Proposal, actor: Actor) -> Callable[[], object]:
    """Return something that somebody tries, allowed or not."""
    steps: list[tuple[int, Callable[[], object]]] = [
        (4, lambda: submit(session, proposal, actor)),
        (6, lambda: approve(session, proposal, actor)),
        (2, lambda: change(session, proposal, actor, chance.random())),
        (2, lambda: reject(session, proposal, actor)),
        (6, lambda: publish(session, proposal, actor)),
        (1, lambda: withdraw(session, proposal, actor)),
    ]
    return chance.choices([step for _, step in steps], [weight for weight, _ in steps])[0]


def withdraw(session: Session, proposal: Proposal, actor: Actor) -> Proposal:
    return services.withdraw(session, PRODUCTION, proposal.number, revision=proposal.revision, actor=actor)


def check(session: Session, proposal: Proposal) -> None:
    people = select(ProposalParticipant).where(ProposalParticipant.number == proposal.number)
    rows = session.scalars(people.execution_options(populate_existing=True)).all()
    assert not [row for row in rows if row.contributed and row.approved_sha256]
    assert proposal.content_sha256 == content_digest(
        {each.key: each.after for each in included_in(session, proposal)}
    )
    if proposal.state in {State.APPROVED, State.PUBLISHED}:
        assert [row for row in rows if row.approved_sha256 == proposal.content_sha256]


def events_so_far(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(AuditEvent)).one()
