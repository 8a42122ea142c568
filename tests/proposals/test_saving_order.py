"""Several versions saved in one transaction: whoever saves one of the same objects meanwhile is in nobody's way."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import make_engine, transaction
from controlplane.proposals import conflicts
from controlplane.proposals.decisions import OWN, Sent
from controlplane.proposals.services import get_proposal
from controlplane.releases.saved import saved_entries
from tests.conftest import Databases
from tests.proposals.stage import PRODUCTION, make, person, rule
from tests.releases.changing import EDITOR, move, save_prompt

CODES: Final = ("coaching_response", "kpi_analysis")
KEYS: Final = tuple(f"prompt/{code}" for code in CODES)
# As the trigger takes it: see the migration that chains the audit.
END_OF_THE_CHAIN: Final = "SELECT pg_try_advisory_xact_lock(7205114094)"
WAITING: Final = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def engine(databases: Databases, first_data_template: str) -> Iterator[Engine]:
    name, url = databases.copy(first_data_template)
    engine = make_engine(url)
    yield engine
    engine.dispose()
    databases.drop(name)


def both_texts_moved(engine: Engine) -> None:
    """Two templates are proposed, and both are changed by somebody who is faster."""
    with Session(engine) as session:
        for suffix in ("Mine.", "Theirs."):
            for code in CODES:
                save_prompt(session, code=code, suffix=suffix)
            saved, _ = saved_entries(session, PRODUCTION)
            if suffix == "Mine.":
                make(session, EDITOR, entries={key: saved[key] for key in KEYS})
                session.commit()
        move(session, PRODUCTION, {key: saved[key] for key in KEYS})


def decide(engine: Engine, actor: Actor) -> str:
    with transaction(engine) as session:
        proposal = get_proposal(session, PRODUCTION, 1)
        found = conflicts.conflicts_of(session, proposal)
        return conflicts.decide(
            session,
            PRODUCTION,
            1,
            revision=proposal.revision,
            seen={each.key: each.digest for each in found},
            sent={each.key: Sent({"version": OWN}, f"Both, for {each.key}.\n") for each in found},
            actor=actor,
        ).state


def wait_until_somebody_waits(engine: Engine) -> None:
    for _ in range(1_000):
        with engine.connect() as connection:
            if connection.scalar(text(WAITING)):
                return
        time.sleep(0.01)
    pytest.fail("nobody waits")


def test_who_saves_the_second_text_meanwhile_does_not_meet_a_deadlock(engine: Engine) -> None:
    both_texts_moved(engine)
    with transaction(engine) as session:
        rule(session, approvals=1)
        editor = person(session, Role.EDITOR, "Joan")

    with ThreadPoolExecutor(max_workers=1) as threads:
        with engine.begin() as saver:
            saver.execute(text("SELECT FROM prompts WHERE code = :code FOR UPDATE"), {"code": CODES[-1]})
            deciding = threads.submit(decide, engine, editor)
            wait_until_somebody_waits(engine)
            free = saver.scalar(text(END_OF_THE_CHAIN))
        assert deciding.result() == "draft"
    assert free
