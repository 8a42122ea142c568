"""A release with two coaching configurations, and a provider that remembers what it was asked."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.runtime import Client, Snapshot, snapshot
from controlplane.runtime.canonical import digest
from controlplane.runtime.providers import ProviderError, ProviderManager, ProviderRequest, ProviderResponse
from controlplane.runtime.providers.base import StreamPart
from controlplane.runtime.services import LLMResponse, LLMService
from controlplane.runtime.sources import ReleaseSource, SourceState
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.runtime.switches import KillSwitches, Switch, document
from tests.runtime.faults import pointer_to

PROMPT = """You are a coach{% if topic %} on {{ topic }}{% endif %}{% if phase %}, in {{ phase }}{% endif %}.
So far:
{{ conversation_context }}
Answer this: {{ user_message }}"""
DEFAULT_PROMPT = "Be helpful about: {{ user_message }}"

Documents = dict[str, dict[str, Any]]


def model(provider: str, model_id: str, **others: Any) -> dict[str, Any]:
    return {
        "provider": provider,
        "provider_model_id": model_id,
        "context_window": 10_000,
        "max_output_tokens": 4_000,
        "input_price_per_million": 3,
        "output_price_per_million": 15,
        "capabilities": ["chat"],
        "parameters": ["temperature", "top_p"],
        "active": True,
        **others,
    }


def variant(version: int, model: str, **others: Any) -> dict[str, Any]:
    return {
        "version": version,
        "model": model,
        "prompt": {"code": "coaching_response"},
        "fallbacks": [],
        "ranges": [[0, 100_000]],
        **others,
    }


def configuration(salt: str, *variants: dict[str, Any]) -> dict[str, Any]:
    return {"salt": salt, "algorithm": "v1", "unit": "user", "variants": list(variants)}


def documents() -> Documents:
    parameters = [
        {"name": "conversation_context", "type": "text", "required": True},
        {"name": "user_message", "type": "text", "required": True},
        {"name": "topic", "type": "string"},
        {"name": "phase", "type": "string"},
    ]
    bare = {"category": "coaching", "description": "", "parameters": parameters}
    return {
        "tier/free": {"name": "Free", "rank": 0},
        "tier/premium": {"name": "Premium", "rank": 2},
        "model/SMALL": model("north", "small-1", max_output_tokens=1_000),
        "model/LARGE": model("north", "large-1"),
        "model/OTHER": model("south", "other-1", parameters=["temperature", "presence_penalty"]),
        "model/UNPRICED": model("south", "unpriced-1", output_price_per_million=None),
        "interaction/COACHING_RESPONSE": bare,
        "interaction/UNCONFIGURED": {"category": "test", "description": "", "parameters": parameters},
        "prompt/coaching_response": prompt("COACHING_RESPONSE", PROMPT, version=4),
        "prompt/unconfigured": prompt("UNCONFIGURED", DEFAULT_PROMPT, version=1),
        "configuration/COACHING_RESPONSE/default/*": configuration(
            "a1", variant(3, "SMALL", temperature=0.4, max_tokens=800)
        ),
        "configuration/COACHING_RESPONSE/premium/*": configuration(
            "b2",
            variant(7, "LARGE", temperature=0.7, max_tokens=4_000, top_p=0.9, fallbacks=["OTHER", "SMALL"]),
        ),
    }


def environment_default() -> Documents:
    chosen = {**variant(1, "SMALL"), "prompt": {"code": "unconfigured"}}
    return {"configuration/*/default/*": configuration("c3", chosen)}


def pinned(body: str, version: int) -> dict[str, Any]:
    return {"code": "coaching_response", "version": version, "sha256": digest(body.encode())}


def prompt(interaction: str, body: str, *, version: int) -> dict[str, Any]:
    data = body.encode()
    return {"interaction": interaction, "version": version, "sha256": digest(data), "size": len(data)}


def release(entries: Documents | None = None, *, bodies: tuple[str, ...] = ()) -> bytes:
    texts = {digest(body.encode()): body for body in (PROMPT, DEFAULT_PROMPT, *bodies)}
    return snapshot.build(documents() if entries is None else entries, texts)


@dataclass
class Releases:
    """What a client is to the services, with a release that no client would take: unchecked, or none at all."""

    snapshot: Snapshot | None
    environment: str = "production"
    last_error: str | None = None
    age_seconds: float | None = 0.0
    switches: KillSwitches = field(default_factory=KillSwitches)

    @classmethod
    def of(cls, entries: Documents | None = None, *, bodies: tuple[str, ...] = ()) -> "Releases":
        return cls(Snapshot.load(release(entries, bodies=bodies), release=12, environment="production"))

    def view(self, interaction: str, tenant_id: str | None = None) -> Snapshot | None:
        return self.snapshot

    async def view_async(self, interaction: str, tenant_id: str | None = None) -> Snapshot | None:
        return self.snapshot

    @property
    def release(self) -> int | None:
        return None if self.snapshot is None else self.snapshot.release

    @property
    def state(self) -> SourceState:
        return self


class Published:
    """A real client of a real store, and the way to publish into it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.client = Client(self.store, "production")

    @classmethod
    def of(cls, entries: Documents | None = None, *, bodies: tuple[str, ...] = ()) -> "Published":
        published = cls()
        published.publish(release(entries, bodies=bodies), 12)
        return published

    def publish(self, data: bytes, number: int) -> None:
        """Make a release live, and have the client take it."""
        self.store.write_snapshot("production", digest(data), data)
        assert self.store.move_pointer(pointer_to(data, number, allow_shrink=True))
        assert self.client.refresh(), self.client.state.last_error

    def switch_off(self, interaction: str | None, *, version: int) -> None:
        """Throw the switch of an interaction, or of everything."""
        switch = Switch("ada@example.com", "2026-11-22T10:00:00Z", "wrong tone")
        thrown = (
            KillSwitches(interactions={interaction: switch})
            if interaction
            else KillSwitches(everything=switch)
        )
        self.store.write_switches(
            "production", document(thrown, environment="production", version=version), version=version
        )
        assert self.client.refresh(), self.client.state.last_error


@dataclass
class Recorder:
    """A provider at the edge of the world: remembers requests, and answers or fails as told."""

    name: str
    failures: list[Exception] = field(default_factory=list)
    requests: list[ProviderRequest] = field(default_factory=list)
    says: str = ""

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        return ProviderResponse(
            text=self.says or f"{self.name} says hello",
            provider=self.name,
            model_id=request.model_id,
            input_tokens=1_000,
            output_tokens=200,
            finish_reason="end_turn",
            latency_ms=5.0,
        )

    async def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        response = await self.generate(request)
        for word in re.findall(r"\S+\s*", response.text):
            yield StreamPart(word)
        yield StreamPart(response=response)


@dataclass
class Breaking(Recorder):
    """A provider whose stream stops after so many words: with a problem, or by never going on."""

    after: int = 0
    problem: Exception | None = None
    closed: bool = False

    async def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        try:
            async for part in super().stream(request):
                if self.after == 0:
                    await self._stop()
                self.after -= 1
                yield part
        finally:
            self.closed = True

    async def _stop(self) -> None:
        if self.problem is not None:
            raise self.problem
        await asyncio.Event().wait()


HISTORY: list[Mapping[str, object]] = [
    {"role": "assistant", "content": "What matters most to you?"},
    {"role": "user", "content": "Our people."},
]


class Place:
    """A service between a real client and recording providers."""

    def __init__(
        self,
        entries: Documents | None = None,
        *,
        bodies: tuple[str, ...] = (),
        releases: ReleaseSource | None = None,
        north: Recorder | None = None,
        **settings: Any,
    ) -> None:
        self.published = Published.of(entries, bodies=bodies)
        self.north, self.south, self.bedrock = (
            north or Recorder("north"),
            Recorder("south"),
            Recorder("bedrock"),
        )
        providers = ProviderManager({"north": self.north, "south": self.south, "bedrock": self.bedrock})
        self.service = LLMService(
            releases or self.published.client, providers, **{"user_id": "u-1", **settings}
        )

    async def counted(self) -> dict[str, dict[str, int]]:
        """What the service has counted, without what did not occur."""
        counters = (await self.service.get_service_health()).counters
        return {name: dict(counts) for name, counts in counters.items() if counts}

    async def ask(self, **others: Any) -> LLMResponse:
        asked = {"interaction_code": "COACHING_RESPONSE", "user_tier": "premium", **others}
        return await self.service.generate_coaching_response(
            "c-1", "goals", "Are our values real?", HISTORY, **asked
        )


def failing(kind: type[ProviderError]) -> ProviderError:
    return kind("as told", provider="north", model_id="large-1")
