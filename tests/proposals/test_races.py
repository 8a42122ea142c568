"""A thousand races on a real Postgres: whoever is faster, nobody approves alone and nothing is lost."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.accounts.models import Person
from controlplane.audit.models import AuditEvent
from controlplane.audit.verify import verify
from controlplane.db import make_engine, transaction
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.proposals.content import content_digest, included_in
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.proposals.participants import agreement_of
from controlplane.proposals.schedule import publish_due
from controlplane.proposals.steps import AlreadyPublished
from controlplane.registry.models import Environment
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entry
from controlplane.tokens.scopes import Scope
from controlplane.tokens.services import create_token, token_actor
from tests.conftest import Databases
from tests.proposals.arena import Arena, Proposed, outcomes_of
from tests.proposals.stage import PRODUCTION, rule, set_person

ROUNDS: Final = {
    "approving against editing": 150,
    "two editors": 50,
    "two publishers": 50,
    "authors approving": 300,
    "a co-editor approving": 50,
    "approving against withdrawing": 200,
    "two approvers": 100,
    "the clock against a publisher": 50,
    "publishing against a lower role": 50,
}


@pytest.fixture(scope="module")
def arena(databases: Databases, first_data_template: str) -> Iterator[Arena]:
    name, url = databases.copy(first_data_template)
    engine = make_engine(url)
    with ThreadPoolExecutor(max_workers=3) as threads:
        yield Arena.on(engine, threads)
    with Session(engine) as session:
        assert verify(session).intact
    engine.dispose()
    databases.drop(name)


@pytest.fixture(autouse=True)
def nothing_went_wrong(arena: Arena) -> Iterator[None]:
    """After each kind of race: nobody approved alone, and what is published was agreed to and is one release."""
    yield
    with Session(arena.engine) as session:
        alone = select(ProposalParticipant).where(
            ProposalParticipant.contributed, ProposalParticipant.approved_sha256.is_not(None)
        )
        assert session.scalars(alone).all() == []
        published = session.scalars(select(Proposal).where(Proposal.state == "published")).all()
        named = select(Release.number, Release.proposal).where(Release.proposal.is_not(None))
        assert sorted(session.execute(named)) == sorted((each.release, each.number) for each in published)
        for proposal in published:
            agreed_and_live(session, proposal)


def agreed_and_live(session: Session, proposal: Proposal) -> None:
    included = included_in(session, proposal)
    assert content_digest({each.key: each.after for each in included}) == proposal.content_sha256
    for each in included:
        assert live_entry(session, PRODUCTION, each.key, at=proposal.release) == each.after
    agreed = select(ProposalParticipant.name).where(
        ProposalParticipant.number == proposal.number,
        ProposalParticipant.approved_sha256 == proposal.content_sha256,
        ~ProposalParticipant.contributed,
    )
    assert session.scalars(agreed).all()


def stands(arena: Arena, proposed: list[Proposed]) -> list[tuple[str, str, list[str]]]:
    """Return the state of each proposal, its content by its entries, and who agrees to it."""
    with Session(arena.engine) as session:
        rules = session.get_one(Environment, PRODUCTION)
        rows = [session.get_one(Proposal, (PRODUCTION, each.number)) for each in proposed]
        return [
            (
                row.state,
                content_digest({each.key: each.after for each in included_in(session, row)}),
                sorted(each.name for each in agreement_of(session, row, rules).given),
            )
            for row in rows
        ]


def approved_or_too_late(outcome: Any) -> bool:
    return outcome is None or isinstance(outcome, Conflict)


def test_there_are_a_thousand() -> None:
    assert sum(ROUNDS.values()) == 1_000


def test_approving_against_editing(arena: Arena) -> None:
    proposed = arena.proposals(ROUNDS["approving against editing"], arena.ada)
    edits = []
    for each in proposed:
        approval, edit = arena.race(
            partial(each.approve, arena.grace), partial(each.change, arena.ada, "Changed")
        )
        assert approved_or_too_late(approval)
        edits.append(edit)
    assert stands(arena, proposed) == [("in_review", edit, []) for edit in edits]


def test_two_editors_at_once(arena: Arena) -> None:
    proposed = arena.proposals(ROUNDS["two editors"], arena.ada)
    kept = []
    for each in proposed:
        outcomes = arena.race(
            partial(each.change, arena.ada, "Ada's"), partial(each.change, arena.joan, "Joan's")
        )
        assert len(outcomes_of(outcomes, Conflict)) == 1
        kept += outcomes_of(outcomes, str)
    assert stands(arena, proposed) == [("in_review", content, []) for content in kept]


def test_two_publishers_at_once(arena: Arena) -> None:
    for each in arena.proposals(ROUNDS["two publishers"], arena.ada, approved_by=arena.grace):
        outcomes = arena.race(partial(each.publish, arena.grace), partial(each.publish, arena.joan))
        (late,) = outcomes_of(outcomes, AlreadyPublished)
        assert outcomes_of(outcomes, int) == [late.release]


def through_a_token(arena: Arena, owner: Actor) -> Actor:
    """Somebody as their token acts, with every scope there is."""
    with transaction(arena.engine) as session:
        person = session.get_one(Person, uuid.UUID(owner.id))
        token, _ = create_token(
            session, name=f"races {owner.name}", scopes=list(Scope), environment=None, days=1, actor=owner
        )
        return token_actor(token, person, replace(owner, via="token"))


@pytest.mark.parametrize("wrote", ["in the browser", "through a token"])
def test_authors_approving_themselves_and_through_a_token(arena: Arena, wrote: str) -> None:
    """Whichever way it was written: a person and their token are one, and a token agrees to nothing at all."""
    owner = arena.grace if wrote == "in the browser" else arena.joan
    token = through_a_token(arena, owner)
    author = owner if wrote == "in the browser" else token
    proposed = arena.proposals(ROUNDS["authors approving"] // 2, author)
    for each in proposed:
        by_token, oneself = arena.race(partial(each.approve, token), partial(each.approve, owner))
        assert isinstance(by_token, Forbidden)
        assert isinstance(oneself, Refused)
    assert stands(arena, proposed) == [("in_review", each.content, []) for each in proposed]


def test_a_co_editor_approving(arena: Arena) -> None:
    proposed = arena.proposals(ROUNDS["a co-editor approving"], arena.grace)
    edits = []
    for each in proposed:
        approval, edit = arena.race(
            partial(each.approve, arena.joan), partial(each.change, arena.joan, "Joan's")
        )
        assert approved_or_too_late(approval)
        edits.append(edit)
    assert stands(arena, proposed) == [("in_review", edit, []) for edit in edits]


def test_approving_against_withdrawing(arena: Arena) -> None:
    proposed = arena.proposals(ROUNDS["approving against withdrawing"], arena.ada)
    for each in proposed:
        approval, withdrawal = arena.race(
            partial(each.approve, arena.grace), partial(each.withdraw, arena.ada)
        )
        assert approved_or_too_late(approval)
        assert withdrawal is None
    assert {state for state, _, _ in stands(arena, proposed)} == {"withdrawn"}


def test_two_approvers_at_once(arena: Arena) -> None:
    with transaction(arena.engine) as session:
        rule(session, approvals=2)
    proposed = arena.proposals(ROUNDS["two approvers"], arena.ada)
    for each in proposed:
        assert arena.race(partial(each.approve, arena.grace), partial(each.approve, arena.joan)) == [
            None,
            None,
        ]
    assert stands(arena, proposed) == [("approved", each.content, ["Grace", "Joan"]) for each in proposed]
    with transaction(arena.engine) as session:
        rule(session, approvals=1)


def test_the_clock_against_a_publisher(arena: Arena) -> None:
    rounds = ROUNDS["the clock against a publisher"]
    for each in arena.proposals(rounds, arena.ada, approved_by=arena.grace, scheduled_by=arena.joan):
        arena.make_due(each.number)
        clock = partial(publish_due, arena.engine, PRODUCTION)
        one, other, by_hand = arena.race(clock, clock, partial(each.publish, arena.grace))
        assert one + other + isinstance(by_hand, int) == 1
        assert isinstance(by_hand, int | AlreadyPublished)


def test_publishing_against_a_lower_role(arena: Arena) -> None:
    rounds = ROUNDS["publishing against a lower role"]
    for each in arena.proposals(rounds, arena.ada, approved_by=arena.grace):
        publishing, _ = arena.race(
            partial(each.publish, arena.joan), partial(arena.lower, arena.grace), spread=1 / 20
        )
        with transaction(arena.engine) as session:
            newest = select(AuditEvent.action).order_by(AuditEvent.sequence.desc()).limit(2)
            told = session.scalars(newest).all()
            set_person(session, arena.grace, role="publisher")
        if isinstance(publishing, int):
            assert told == ["person.role_changed", "release.published"]
        else:
            assert isinstance(publishing, Refused)
