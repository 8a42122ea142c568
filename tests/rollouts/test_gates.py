from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry import services as registry
from controlplane.registry.inputs import EnvironmentInput
from controlplane.rollouts import gates
from controlplane.runtime.bucketing import BUCKETS
from controlplane.runtime.resolver import in_gate
from tests.rollouts.walk import REASON, Walk, snapshot

ActorAs = Callable[[Role | str], Actor]


def test_a_gate_lets_the_same_people_in_again(walk: Walk) -> None:
    def inside() -> set[str]:
        live = snapshot(walk.session)
        units = [f"u-{number}" for number in range(1_000)]
        return {unit for unit in units if in_gate(live, "COACHING_RESPONSE", unit).included}

    def gate(share: int) -> None:
        gates.set_gate(
            walk.session, "production", "COACHING_RESPONSE", share=share, reason=REASON, actor=walk.actor
        )

    gate(10_000)
    ten = inside()
    gate(50_000)
    assert ten < inside()
    gate(0)
    assert inside() == set()
    gate(10_000)
    assert inside() == ten
    gate(BUCKETS)
    assert len(inside()) == 1_000
    assert [event.sentence for event in walk.events("gate.")] == [
        "lowered the gate of COACHING_RESPONSE from 100 % to 10 % of users in production: the rest take the legacy path",
        "raised the gate of COACHING_RESPONSE from 10 % to 50 % of users in production: the rest take the legacy path",
        "lowered the gate of COACHING_RESPONSE from 50 % to 0 % of users in production: every call takes the legacy path",
        "raised the gate of COACHING_RESPONSE from 0 % to 10 % of users in production: the rest take the legacy path",
        "raised the gate of COACHING_RESPONSE from 10 % to 100 % of users in production: every call goes through configuration lookup",
    ]


def test_a_gate_does_not_move_what_its_page_did_not_see(walk: Walk) -> None:
    def gate(share: int, base: int) -> None:
        gates.set_gate(
            walk.session,
            "production",
            "COACHING_RESPONSE",
            share=share,
            reason=REASON,
            actor=walk.actor,
            base=base,
        )

    gate(10_000, base=1)
    with pytest.raises(Conflict, match="release 2, by Publisher One"):
        gate(20_000, base=1)
    with pytest.raises(NotFound):
        gates.set_gate(walk.session, "production", "NOWHERE", share=1, reason=REASON, actor=walk.actor)


def test_the_gate_of_what_is_not_live_there_is_refused_in_words(
    first_data: Session, actor_as: ActorAs
) -> None:
    registry.create_environment(
        first_data, EnvironmentInput(code="canary", name="Canary"), actor=actor_as("admin")
    )
    with pytest.raises(Refused, match="KPI_ANALYSIS is not live in canary yet"):
        gates.set_gate(
            first_data, "canary", "KPI_ANALYSIS", share=10_000, reason="A try", actor=actor_as("publisher")
        )
