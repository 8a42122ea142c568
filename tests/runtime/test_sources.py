"""Both sources on all stores, with the first data."""

import copy
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.releases.saved import bodies_of, live_entries
from controlplane.runtime import Client, canonical
from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.file import FileStore
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime.emulator import emulator, make_store
from tests.runtime.publishing import ENVIRONMENT
from tests.runtime.source_contract import Content, Make, Source, SourceContract

DEFAULT = "configuration/COACHING_RESPONSE/default/*"


class TestSources(SourceContract):
    pass


@pytest.fixture(params=["memory", "file", "aws"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "file":
        return FileStore(tmp_path)
    made = make_store(request.getfixturevalue("emulator_url"), f"store-{uuid.uuid4()}")
    made.ensure()
    return made


@pytest.fixture(params=["client", "lookup"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Source] = []

    def make_one(store: ReleaseStore) -> Source:
        # Intervals so long that only the test says when to look.
        source: Source = (
            Client(store, ENVIRONMENT, poll_seconds=10_000, environ={})
            if request.param == "client"
            else LookupSource(store, ENVIRONMENT, poll_seconds=10_000, environ={})
        )
        made.append(source)
        return source

    yield make_one
    for source in made:
        source.close()


@pytest.fixture(scope="module")
def emulator_url() -> Iterator[str]:
    with emulator() as url:
        yield url


@pytest.fixture(scope="module")
def first(loaded_engine: Engine) -> Content:
    """The first data, as a first run publishes it."""
    with Session(loaded_engine) as session:
        live = live_entries(session, ENVIRONMENT)
        return Content(live, bodies_of(session, live))


@pytest.fixture(scope="module")
def rich(first: Content) -> Content:
    """The first data with all that a release can have: tenants' rows, rollouts, gates, pins, dates, a default for all."""
    documents, bodies = copy.deepcopy(first.documents), dict(first.bodies)
    (old,) = documents[DEFAULT]["variants"]
    body = "Coach {{ user_message }}, briefly.\n"
    sha256 = canonical.digest(body.encode())
    bodies[sha256] = body
    pinned = {"code": "coaching_response", "version": 7, "sha256": sha256}
    newer = {"version": 9, "model": "CLAUDE_3_HAIKU", "prompt": pinned, "fallbacks": []}
    split = [
        {**old, "ranges": [[0, 60_000]]},
        {**old, **newer, "ranges": [[100_000, 60_000]]},
    ]
    over = {**old, "version": 3, "effective_until": "2026-01-01T00:00:00Z"}

    def row(salt: str, *variants: dict[str, object]) -> dict[str, object]:
        return {**documents[DEFAULT], "salt": salt, "variants": list(variants)}

    documents |= {
        "configuration/COACHING_RESPONSE/premium/acme": row("a1", *split),
        "configuration/COACHING_RESPONSE/default/acme": {**row("a2", *split), "unit": "tenant"},
        "configuration/COACHING_RESPONSE/default/größe-7": row("a3", over),
        "configuration/COACHING_RESPONSE/default/*": row("a4", *split),
        "configuration/*/default/*": row("a5", {**old, "prompt": pinned}),
        "gate/COACHING_RESPONSE": {**documents["gate/COACHING_RESPONSE"], "ranges": [[0, 30_000]]},
    }
    del documents["configuration/KPI_ANALYSIS/default/*"]
    return Content(documents, bodies)
