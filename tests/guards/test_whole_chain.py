"""A bad rollout from the model that fails to everyone being back: real Postgres, releases, clients, calls and heartbeats."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.configurations.editing import values_of
from controlplane.configurations.services import get_configuration, save_version
from controlplane.db import now, transaction
from controlplane.fleet.observing import observe
from controlplane.guards import services as guards
from controlplane.guards.acts import OnBreach
from controlplane.guards.measures import Measure
from controlplane.guards.watching import watch
from controlplane.registry.models import Model
from controlplane.releases.worker import Worker
from controlplane.rollouts.ranges import Candidate
from controlplane.rollouts.standing import get_standing
from controlplane.rollouts.starting import start
from controlplane.runtime.client import Client
from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.providers.errors import ProviderError
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.providers.rehearsing import FAILS_FILE
from controlplane.runtime.services.llm import LLMService
from controlplane.runtime.stores.memory import MemoryStore

HERE = "staging"
ADA = Actor(kind="person", id="ada", name="Ada", role=Role.ADMIN, via="browser")
UNITS = [f"user-{number}" for number in range(60)]


class Chain:
    """A product's process, the worker, and a clock that a test moves on."""

    def __init__(self, engine: Engine, fails: Path) -> None:
        self.engine = engine
        self.store = MemoryStore()
        self.worker = Worker(engine, self.store)
        self.worker.round()
        self.client = Client(self.store, HERE, environ={})
        self.metrics = Metrics(HERE)
        self.heartbeat = Heartbeat(self.store, self.client, self.metrics)
        providers = ProviderManager.from_environment(
            {"CONTROLPLANE_PROVIDERS": "echo", FAILS_FILE: str(fails)}
        )
        self.service = LLMService(self.client, providers, metrics=self.metrics)
        self.ahead = dt.timedelta()
        assert self.client.refresh()

    def clock(self) -> dt.datetime:
        return now() + self.ahead

    def export(self) -> None:
        self.worker.round([HERE])
        assert self.client.refresh()

    def calls(self) -> dict[str, int | None]:
        """Every unit calls once: the version that answered, None where nobody did."""
        return asyncio.run(self._calls())

    async def _calls(self) -> dict[str, int | None]:
        answers = await asyncio.gather(*map(self._call, UNITS))
        return dict(zip(UNITS, answers, strict=True))

    async def _call(self, unit: str) -> int | None:
        try:
            answer = await self.service.acting_for(user_id=unit).generate_coaching_response(
                "c-1",
                "core_values",
                "Are our values real?",
                [],
                interaction_code="COACHING_RESPONSE",
                user_tier="premium",
            )
        except ProviderError:
            return None
        return answer.configuration_version

    def minute(self) -> dict[str, int | None]:
        """A minute of calls, told and read, and what the guard makes of it."""
        answers = self.calls()
        assert self.heartbeat.beat()
        observe(self.engine, self.store, HERE, clock=self.clock)
        self.ahead += dt.timedelta(minutes=1)
        watch(self.engine, HERE, clock=self.clock)
        return answers


@pytest.fixture
def chain(engine: Engine, tmp_path: Path) -> Chain:
    return Chain(engine, tmp_path / "echo-fails")


def test_a_model_that_fails_is_found_and_everyone_is_back(chain: Chain, tmp_path: Path) -> None:
    with transaction(chain.engine) as session:
        configuration = get_configuration(session, "COACHING_RESPONSE", tier="premium")
        first = configuration.versions[0]
        values = values_of(first)
        other = session.get_one(Model, values.fallbacks[-1])
        colder = values.model_copy(update={"model": other.code, "fallbacks": [], "reason": "Try it"})
        second = save_version(session, configuration, colder, base_version=first.number, actor=ADA)
        (rollout,) = start(
            session,
            HERE,
            configuration,
            candidates=[Candidate(second.number, 50_000)],
            reason="a rehearsal",
            actor=ADA,
        )
        guards.choose(
            session,
            get_standing(session, HERE, rollout.number),
            on_breach=OnBreach.ABORT,
            least_calls=30,
            tolerances={Measure.ERRORS: 1.0},
            revision=0,
            actor=ADA,
        )
    chain.export()
    before = chain.minute()
    assert set(before.values()) == {first.number, second.number}
    (tmp_path / "echo-fails").write_text(f"{other.provider_model_id}\n")
    for _ in range(8):
        during = chain.minute()
        with transaction(chain.engine) as session:
            if not get_standing(session, HERE, rollout.number).running:
                break
    assert {unit for unit, version in during.items() if version is None} == {
        unit for unit, version in before.items() if version == second.number
    }
    with transaction(chain.engine) as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "rollout.aborted")).one()
        (breach,) = guards.breaches_of(session, rollout.number)
    assert (event.actor_name, event.via, event.reason) == ("Guard", "guard", breach.words)
    assert "everyone is back on version 1" in event.sentence
    chain.export()
    assert set(chain.calls().values()) == {first.number}
