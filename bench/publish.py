"""Publishing one key in embedded Postgres, where 16 configurations are live and where 5,000 are.

Floor: the small environment. All that is live is read and written into the new snapshot, so the cost grows with it; the ratio
says how steeply. Once by the wall's clock, which counts Postgres in, and once in our own processor time.

Limit: 250 ms in the large environment. The first publish of a process checks every entry; later ones what they change.
"""

import time
from collections.abc import Iterator

from sqlalchemy import Engine

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import INTERACTION, Document, Documents, configurations
from bench.timing import Clock, Pair, in_turns, once
from controlplane.accounts.actor import Actor
from controlplane.db import make_engine, transaction
from controlplane.first_data import load as first_data
from controlplane.local.postgres import temporary
from controlplane.registry import services as registry
from controlplane.registry.inputs import EnvironmentInput
from controlplane.releases.saved import saved_entries
from controlplane.releases.services import publish_entries
from controlplane.runtime.entries import configuration_key
from controlplane.web.cli import migrate

_ACTOR = Actor.system("bench", via="command line")
_KEY = configuration_key(INTERACTION)
_LIMIT = Limit(250, of="here")


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    with temporary() as url:
        migrate(url)
        engine = make_engine(url)
        try:
            return _measure(engine, effort)
        finally:
            engine.dispose()


def _measure(engine: Engine, effort: Effort) -> list[Figure]:
    small, large = effort.published
    _prepare(engine, "small", small)
    _prepare(engine, "large", large)
    documents = _temperatures()
    found = [
        ("the wall's clock", _compare(engine, documents, time.perf_counter_ns, effort)),
        ("processor time", _compare(engine, documents, time.process_time_ns, effort)),
    ]
    return [
        Figure(
            f"publish one key on {large:,} configurations (floor: on {small}), {by}",
            pair.subject / 1e6,
            "ms",
            pair.floor / 1e6,
            pair.ratio,
            _LIMIT,
        )
        for by, pair in found
    ]


def _compare(engine: Engine, documents: Iterator[Document], clock: Clock, effort: Effort) -> Pair:
    return in_turns(
        lambda: once(lambda: _publish(engine, "large", {_KEY: next(documents)}), clock=clock),
        lambda: once(lambda: _publish(engine, "small", {_KEY: next(documents)}), clock=clock),
        rounds=effort.loads,
    )


def _temperatures() -> Iterator[Document]:
    """Yield the document with one number changed, never twice the same: no change is no release."""
    (document,) = configurations(1).values()
    older, newer = document["variants"]
    for number in range(1, 500):  # in steps too small to come to the 0.7 that is live at first
        yield {
            **document,
            "variants": [older, {**newer, "temperature": number / 1_000}],
        }


def _prepare(engine: Engine, environment: str, count: int) -> None:
    with transaction(engine) as session:
        if first_data.is_empty(session):
            first_data.load(session)
        given = EnvironmentInput(code=environment, name=environment.title(), protected=False, position=9)
        registry.create_environment(session, given, actor=_ACTOR)
        saved, _ = saved_entries(session, environment)
    bare = {key: document for key, document in saved.items() if not key.startswith("configuration/")}
    _publish(engine, environment, bare | configurations(count))


def _publish(engine: Engine, environment: str, changes: Documents) -> None:
    with transaction(engine) as session:
        publish_entries(
            session,
            environment,
            changes,
            reason="A benchmark",
            actor=_ACTOR,
            action="rollout.raised",
            sentence="raised a share",
            source_name="rollout",
        )
