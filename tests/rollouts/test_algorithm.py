"""The algorithm of a configuration or gate stays what it was made with: another one would draw everybody again."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.configurations import services as configurations
from controlplane.configurations.editing import values_of
from controlplane.configurations.models import Configuration
from controlplane.registry.models import Interaction
from controlplane.releases.saved import live_entries, saved_entries
from controlplane.rollouts import gates, standing
from controlplane.runtime.entries import gate_key
from tests.releases.changing import move
from tests.rollouts.walk import KEY, REASON, Walk

GATE = gate_key("COACHING_RESPONSE")


@pytest.fixture
def old(walk: Walk) -> Walk:
    """The same, as if the rows had been there before there was a second algorithm, and published."""
    walk.session.execute(text("UPDATE configurations SET algorithm = 'v1'"))
    walk.session.execute(text("UPDATE interactions SET gate_algorithm = 'v1'"))
    walk.session.expire_all()
    documents = live_entries(walk.session, "production")
    move(walk.session, "production", {key: {**documents[key], "algorithm": "v1"} for key in (KEY, GATE)})
    return walk


def live(walk: Walk, key: str) -> str:
    document = standing.live_entry(walk.session, "production", key).document
    assert document is not None
    algorithm: str = document["algorithm"]
    return algorithm


def saved(session: Session, key: str) -> str:
    documents, _ = saved_entries(session, "production")
    algorithm: str = documents[key]["algorithm"]
    return algorithm


def test_what_is_made_now_gets_the_second_algorithm(walk: Walk) -> None:
    assert walk.configuration.algorithm == "v2"
    assert walk.session.get_one(Interaction, "COACHING_RESPONSE").gate_algorithm == "v2"
    assert (live(walk, KEY), live(walk, GATE)) == ("v2", "v2")


def test_an_old_configuration_keeps_the_first_through_a_rollout_and_all_that_follows(old: Walk) -> None:
    assert live(old, KEY) == "v1"
    configuration = old.session.get_one(Configuration, old.configuration.id)
    newest = configurations.latest_version(old.session, configuration)
    values = values_of(newest).model_copy(update={"temperature": 0.9, "reason": "Warmer"})
    configurations.save_version(
        old.session, configuration, values, base_version=newest.number, actor=old.actor
    )
    assert saved(old.session, KEY) == "v1"
    rollout = old.start(10_000, to_version=newest.number + 1)
    assert live(old, KEY) == "v1"
    old.move(rollout, 50_000)
    assert live(old, KEY) == "v1"
    old.finish(rollout)
    assert live(old, KEY) == "v1"
    configurations.archive_configuration(old.session, configuration, reason="Not needed", actor=old.actor)
    configurations.restore_configuration(old.session, configuration, reason="Needed", actor=old.actor)
    assert (saved(old.session, KEY), live(old, KEY)) == ("v1", "v1")


def test_an_old_gate_keeps_the_first_when_its_share_moves(old: Walk) -> None:
    for share in (50_000, 80_000):
        gates.set_gate(
            old.session, "production", "COACHING_RESPONSE", share=share, reason=REASON, actor=old.actor
        )
        assert live(old, GATE) == "v1"
    assert saved(old.session, GATE) == "v1"
