"""The same call several times at once, as when a program that waited in vain sends it again: done once, and refused to nobody."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.config import Settings
from controlplane.web.app import create_app
from tests.api.ways import PLACE, REASON, values
from tests.site import SETTINGS
from tests.tokens.stage import Program, program_of

TIMES = 4


@pytest.fixture
def caller(engine: Engine, cheap_passwords: None) -> Program:
    """A program of a publisher, on a site whose calls really are at once."""
    app = create_app(
        Settings.from_environment(SETTINGS), sessions=lambda: Session(engine, expire_on_commit=False)
    )
    with Session(engine, expire_on_commit=False) as session:
        return program_of(app, session, Role.PUBLISHER)


def at_once(caller: Program, method: str, path: str, document: Mapping[str, Any]) -> list[int]:
    """Return how each was answered, in order of their numbers."""
    with ThreadPoolExecutor(TIMES) as threads:
        calls = [threads.submit(caller.call, method, path, json=document) for _ in range(TIMES)]
        return sorted(each.result().status for each in calls)


def test_the_same_call_at_once_is_done_once_and_refused_to_nobody(caller: Program) -> None:
    body = caller.get("/templates/coaching_response").json["body"]
    text = {"body": f"{body}More.\n", "base_version": 1, **REASON}
    assert at_once(caller, "PUT", "/templates/coaching_response", text) == [200] * TIMES
    assert caller.get("/templates/coaching_response").json["version"] == 2
    assert at_once(caller, "PUT", PLACE, {**values(), "base_version": 1}) == [200] * TIMES
    assert caller.get(PLACE).json["version"] == 2
    once = [200] * (TIMES - 1) + [201]
    assert at_once(caller, "POST", "/production/publish", {"entries": "all", **REASON}) == once
    assert at_once(caller, "POST", "/production/rollback", {"release": 1, **REASON}) == once
    assert caller.get("/production/live").json["release"] == 3
