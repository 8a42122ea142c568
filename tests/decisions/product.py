"""A product whose calls are recorded: the runtime's own services on a release of the database, and what they were told."""

import datetime as dt
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.decisions.reading import Bounds, hour_of, keep
from controlplane.explain.answering import newest_snapshot
from controlplane.runtime import decisions
from controlplane.runtime.providers import ProviderManager, ProviderRequest
from controlplane.runtime.recording import Recorder
from controlplane.runtime.services import LLMResponse, LLMService
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime import coaching

PRODUCTION = "production"
KEY = b"a key of a test, which is long enough"
PROVIDERS = ("bedrock", "openai", "anthropic", "echo")
BOUNDS = Bounds()


@dataclass(frozen=True)
class Asked:
    """One call of the product."""

    interaction: str
    tier: str | None
    tenant: str | None
    user: str | None
    look_up: bool = True


@dataclass
class Product:
    """A process of a product: calls go in, recorded batches come out."""

    session: Session
    environment: str = PRODUCTION
    store: MemoryStore = field(default_factory=MemoryStore)

    async def call(self, asked: Sequence[Asked]) -> "Answered":
        """Make these calls by what is live now, each in its order, and record all of them."""
        live = newest_snapshot(self.session, self.environment)
        providers = {name: coaching.Recorder(name) for name in PROVIDERS}
        recorder = Recorder(self.store, self.environment, rate=1, key=KEY)
        service = LLMService(
            coaching.Releases(live, environment=self.environment),
            ProviderManager(dict(providers)),
            recorder=recorder,
        )
        answered = Answered()
        for one in asked:
            before = {name: len(each.requests) for name, each in providers.items()}
            answered.responses.append(
                await service.acting_for(tenant_id=one.tenant, user_id=one.user).generate_coaching_response(
                    "c-1",
                    "goals",
                    "Are our values real?",
                    coaching.HISTORY,
                    interaction_code=one.interaction,
                    user_tier=one.tier,
                    use_config_lookup=one.look_up,
                    template_parameters={"business_context": {"name": "Bäckerei Ost"}},
                )
            )
            (sent,) = [
                request for name, each in providers.items() for request in each.requests[before[name] :]
            ]
            answered.sent.append(sent)
        assert recorder.flush()
        assert recorder.state.dropped == 0
        return answered

    def read(self, *, at: dt.datetime | None = None, rate: float | None = None) -> int:
        """Read what was recorded into the table, as the chore does, in the test's own transaction."""
        found = 0
        for hour in list(self.store.list_decision_hours(self.environment)):
            for name in list(self.store.list_decisions(self.environment, hour)):
                data = self.store.read_decisions(self.environment, hour, name, limit=10_000_000)
                found += keep(
                    self.session,
                    self.environment,
                    hour,
                    name,
                    decisions.read(data),
                    at=at or now(),
                    bounds=BOUNDS,
                )
        return found


@dataclass
class Answered:
    """What calls came to: what the product was told, and what the models were sent."""

    responses: list[LLMResponse] = field(default_factory=list)
    sent: list[ProviderRequest] = field(default_factory=list)

    @property
    def named(self) -> Counter[tuple[str, str | None, int | None, str | None]]:
        """How many calls were answered from where; the model is the one that was asked first."""
        return Counter(
            (
                each.path.value,
                each.configuration,
                each.configuration_version,
                each.attempts[0].model_code,
            )
            for each in self.responses
        )

    def differs(self, other: "Answered") -> list[bool]:
        """Of each call, whether its model was sent something else, or another model was asked."""
        return [
            _told(one, sent) != _told(another, sent_then)
            for one, sent, another, sent_then in zip(
                self.responses, self.sent, other.responses, other.sent, strict=True
            )
        ]


def _told(response: LLMResponse, sent: ProviderRequest) -> tuple[Any, ...]:
    return (
        response.path,
        response.provider,
        sent.model_id,
        sent.system,
        sent.messages,
        sent.temperature,
        sent.max_tokens,
        sent.top_p,
        sent.frequency_penalty,
        sent.presence_penalty,
    )


def calls(number: int, *, seed: int = 7, interactions: Sequence[str] = ("COACHING_RESPONSE",)) -> list[Asked]:
    """Calls of every kind: with and without tier, tenant and user, some of whom did not want look-up."""
    draw = random.Random(seed)
    return [
        Asked(
            draw.choice(interactions),
            draw.choice((None, "free", "basic", "premium", "premium")),
            draw.choice((None, "acme", "globex")),
            draw.choice((None, *(f"u-{draw.randrange(400)}" for _ in range(6)))),
            draw.random() > 0.05,
        )
        for _ in range(number)
    ]


def decision(**changed: Any) -> decisions.Decision:
    """One recorded call that nothing is known of but what is given."""
    values: dict[str, Any] = {"at": now(), "interaction": "COACHING_RESPONSE", **changed}
    return decisions.Decision(**values)


def put(
    session: Session,
    *found: decisions.Decision,
    rate: float = 0.01,
    environment: str = PRODUCTION,
    **header: Any,
) -> None:
    """Keep recorded calls as if they had been read."""
    batch = decisions.Batch(
        decisions.Header(environment=environment, process="web-1", rate=rate, **header), list(found)
    )
    at = now()
    keep(session, environment, hour_of(at), uuid.uuid4().hex, batch, at=at, bounds=BOUNDS)
