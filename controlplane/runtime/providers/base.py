"""What a provider is asked and what it answers."""

from dataclasses import dataclass, replace
from typing import Literal, Protocol

OPTIONAL_PARAMETERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
"""What a model may or may not take; the registry says which. `max_tokens` every model takes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """One call of a model. None means "not set": it is not sent, and the model's own default holds."""

    model_id: str
    messages: tuple[Message, ...]
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    timeout_seconds: float = 60.0

    def without(self, *names: str) -> "ProviderRequest":
        """The same request with these parameters not set."""
        return replace(self, **dict.fromkeys(names, None)) if names else self  # type: ignore[arg-type]

    def only_taking(self, parameters: tuple[str, ...]) -> tuple["ProviderRequest", tuple[str, ...]]:
        """The request with only the optional parameters named, and the names of those that were left out."""
        dropped = tuple(
            name for name in OPTIONAL_PARAMETERS if getattr(self, name) is not None and name not in parameters
        )
        return self.without(*dropped), dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResponse:
    """What a model answered. Token counts are the provider's own; None when it gave none."""

    text: str
    provider: str
    model_id: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str | None = None
    latency_ms: float = 0.0
    dropped_parameters: tuple[str, ...] = ()
    stands_in_for: str | None = None
    """The provider that would have been called, when this one answered in its place."""


class Provider(Protocol):
    """Somebody who runs models. Every failure is raised as a `ProviderError`."""

    name: str

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """Call the model and wait for its whole answer."""
