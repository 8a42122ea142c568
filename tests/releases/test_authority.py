"""What may go live without anybody's agreement, and what may not."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.errors import Forbidden, Refused
from controlplane.registry.models import Environment
from controlplane.releases import services
from controlplane.releases.authority import EMERGENCY, Authority
from controlplane.releases.history import get_release, latest_release
from controlplane.releases.saved import live_entries
from controlplane.reviews.listing import emergency_count
from controlplane.rollouts import services as rollouts
from tests.rollouts.walk import Walk, second_version

ActorAs = Callable[[Role | str], Actor]
WHY = "a test of who may do what"


@pytest.fixture
def production(first_data: Session) -> Environment:
    """Production, where one other person has to agree."""
    environment = first_data.get_one(Environment, "production")
    environment.approvals = 1
    first_data.flush()
    return environment


def numbers(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def change(session: Session) -> dict[str, dict[str, object]]:
    key = "tier/premium"
    return {key: {**live_entries(session, "production")[key], "name": "Premium Plus"}}


def test_nothing_goes_live_without_the_agreement_that_is_asked_for(
    first_data: Session, production: Environment, actor_as: ActorAs
) -> None:
    before = numbers(first_data)
    for role in (Role.PUBLISHER, Role.ADMIN):
        with pytest.raises(Refused, match="somebody else has to agree"):
            services.publish(
                first_data,
                "production",
                source=change(first_data),
                keys=["tier/premium"],
                reason=WHY,
                actor=actor_as(role),
                source_name="saved",
            )
    assert numbers(first_data) == before


def test_a_release_says_which_proposal_it_publishes(
    first_data: Session, production: Environment, actor_as: ActorAs
) -> None:
    release = services.publish(
        first_data,
        "production",
        source=change(first_data),
        keys=["tier/premium"],
        reason=WHY,
        actor=actor_as("publisher"),
        source_name="saved",
        authority=Authority.approved(7),
    )
    assert (release.proposal, release.emergency) == (7, False)
    event = first_data.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()
    assert (event.proposal, event.emergency) == (7, False)


@pytest.mark.parametrize("role", ["viewer", "editor", "on-call"])
def test_only_the_roles_that_an_environment_names_publish_in_it(
    first_data: Session, actor_as: ActorAs, role: str
) -> None:
    with pytest.raises(Forbidden):
        services.publish_saved(
            first_data,
            "production",
            keys=["tier/premium"],
            seen={},
            reason=WHY,
            actor=actor_as(role),
            base=1,
        )


def test_an_environment_may_keep_publishing_to_its_administrators(
    first_data: Session, actor_as: ActorAs
) -> None:
    first_data.get_one(Environment, "production").publish_role = "admin"
    first_data.flush()
    with pytest.raises(Forbidden, match="Admin"):
        services.publish(
            first_data,
            "production",
            source=change(first_data),
            keys=["tier/premium"],
            reason=WHY,
            actor=actor_as("publisher"),
            source_name="saved",
        )


def test_on_call_takes_a_release_back_at_once_and_it_is_looked_at_afterwards(
    first_data: Session, production: Environment, actor_as: ActorAs
) -> None:
    services.publish(
        first_data,
        "production",
        source=change(first_data),
        keys=["tier/premium"],
        reason=WHY,
        actor=actor_as("admin"),
        source_name="saved",
        authority=Authority.approved(1),
    )
    with pytest.raises(Refused):
        services.roll_back(
            first_data, "production", to=1, reason="", actor=actor_as("on-call"), authority=EMERGENCY
        )
    back = services.roll_back(
        first_data, "production", to=1, reason=WHY, actor=actor_as("on-call"), authority=EMERGENCY
    )
    assert back.emergency
    assert back.snapshot_sha256 == get_release(first_data, "production", 1).snapshot_sha256
    assert emergency_count(first_data) == 1
    with pytest.raises(Forbidden):
        services.roll_back(
            first_data, "production", to=2, reason=WHY, actor=actor_as("editor"), authority=EMERGENCY
        )


def test_an_emergency_has_a_reason_even_where_nothing_else_needs_one(
    first_data: Session, actor_as: ActorAs
) -> None:
    first_data.get_one(Environment, "staging").approvals = 1
    first_data.flush()
    assert not first_data.get_one(Environment, "staging").protected
    with pytest.raises(Refused) as refusal:
        services.publish_entries(
            first_data,
            "staging",
            {"tier/premium": None},
            reason="",
            actor=actor_as("on-call"),
            action="release.reverted",
            sentence="took it back",
            source_name="saved",
            authority=EMERGENCY,
        )
    assert "reason" in refusal.value.errors


def test_where_no_rule_is_gone_around_nothing_is_an_emergency(first_data: Session, actor_as: ActorAs) -> None:
    first = latest_release(first_data, "staging")
    assert first is not None
    services.publish(
        first_data,
        "staging",
        source={"tier/premium": {**live_entries(first_data, "staging")["tier/premium"], "name": "Other"}},
        keys=["tier/premium"],
        reason="",
        actor=actor_as("publisher"),
        source_name="saved",
    )
    back = services.roll_back(
        first_data, "staging", to=first.number, reason="", actor=actor_as("on-call"), authority=EMERGENCY
    )
    assert not back.emergency
    assert emergency_count(first_data) == 0


def test_what_runs_may_be_moved_and_aborted_but_nothing_new_begins_unseen(
    first_data: Session, actor_as: ActorAs
) -> None:
    publisher = actor_as("publisher")
    walk = Walk(first_data, publisher, second_version(first_data, actor_as("admin")))
    rollout = walk.start(share=10_000)
    first_data.get_one(Environment, "production").approvals = 1
    first_data.flush()
    assert not rollouts.set_share(first_data, rollout, share=20_000, reason=WHY, actor=publisher).emergency
    with first_data.begin_nested() as savepoint:
        assert rollouts.abort(first_data, rollout, reason=WHY, actor=publisher).emergency
        savepoint.rollback()
    assert rollouts.abort(first_data, rollout, reason=WHY, actor=actor_as("on-call")).emergency
    with pytest.raises(Refused, match="somebody else has to agree"):
        walk.start(share=10_000)


def test_aborting_in_a_protected_environment_is_looked_at_afterwards_whoever_does_it(
    first_data: Session, actor_as: ActorAs
) -> None:
    publisher = actor_as("publisher")
    walk = Walk(first_data, publisher, second_version(first_data, actor_as("admin")))
    rollout = walk.start(share=10_000)
    assert rollouts.abort(first_data, rollout, reason=WHY, actor=publisher).emergency
    assert emergency_count(first_data) == 1
