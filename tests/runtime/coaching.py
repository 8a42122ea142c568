"""A release with two coaching configurations, and a provider that remembers what it was asked."""

from dataclasses import dataclass, field
from typing import Any

from controlplane.runtime import Snapshot, snapshot
from controlplane.runtime.canonical import digest
from controlplane.runtime.providers import ProviderRequest, ProviderResponse

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


def prompt(interaction: str, body: str, *, version: int) -> dict[str, Any]:
    data = body.encode()
    return {"interaction": interaction, "version": version, "sha256": digest(data), "size": len(data)}


def release(entries: Documents | None = None, *, bodies: tuple[str, ...] = ()) -> bytes:
    texts = {digest(body.encode()): body for body in (PROMPT, DEFAULT_PROMPT, *bodies)}
    return snapshot.build(documents() if entries is None else entries, texts)


@dataclass
class Releases:
    """What a client is to the services: something with a snapshot."""

    snapshot: Snapshot | None

    @classmethod
    def of(cls, entries: Documents | None = None) -> "Releases":
        return cls(Snapshot.load(release(entries), release=12, environment="production"))


@dataclass
class Recorder:
    """A provider at the edge of the world: remembers requests, and answers or fails as told."""

    name: str
    failures: list[Exception] = field(default_factory=list)
    requests: list[ProviderRequest] = field(default_factory=list)

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        return ProviderResponse(
            text=f"{self.name} says hello",
            provider=self.name,
            model_id=request.model_id,
            input_tokens=1_000,
            output_tokens=200,
            finish_reason="end_turn",
            latency_ms=5.0,
        )
