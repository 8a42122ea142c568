import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from tests.guards.guarded import Guarded
from tests.rollouts.walk import Walk, second_version


@pytest.fixture
def guarded(first_data: Session, actor_as: Callable[[Role | str], Actor]) -> Guarded:
    """A rollout of COACHING_RESPONSE · premium at 50 % in production since some hours, with no calls yet."""
    actor = actor_as(Role.PUBLISHER)
    walk = Walk(first_data, actor, second_version(first_data, replace(actor, role=Role.ADMIN)))
    rollout = walk.start(50_000)
    rollout.started_at -= dt.timedelta(hours=8)  # so that a test has minutes to fill that are over
    first_data.flush()
    return Guarded(walk, rollout)
