"""What a provider is asked and what it answers."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

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


@dataclass(frozen=True, slots=True)
class StreamPart:
    """A piece of an answer as it comes in.

    Every part but the last has `text`, which may be empty: a sign of life. The last one has the `response`, whose
    text is that of all parts together.
    """

    text: str = ""
    response: ProviderResponse | None = None


class Provider(Protocol):
    """Somebody who runs models. Every failure is raised as a `ProviderError`.

    A call that is cancelled ends at once and leaves nothing open. Nothing is tried twice here: retries, fallbacks and
    their deadline are the caller's (`services.calling`).
    """

    name: str

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """Call the model and wait for its whole answer, `request.timeout_seconds` at the most."""

    def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        """Call the model and hand over its answer as it comes in; see `StreamPart` for the last part.

        A stream that ends before the answer does is an error, not a short answer. Whoever stops reading closes the
        iterator (`contextlib.aclosing`). A provider that cannot stream returns `in_one_part(self.generate(request))`.
        """


@runtime_checkable
class Configurable(Protocol):
    """A provider that can say whether it has what a call needs."""

    def missing(self) -> str | None:
        """What has to be set up before it can be called, in words and without secrets; None when nothing is."""


@runtime_checkable
class NeedsMaxTokens(Protocol):
    """A provider whose API takes no call without `max_tokens`; the registry's limit is sent when none is configured."""

    needs_max_tokens: bool


@runtime_checkable
class Closeable(Protocol):
    """A provider that holds connections or threads."""

    async def close(self) -> None:
        """Give them back. A call after this opens new ones."""


async def in_one_part(answer: Awaitable[ProviderResponse]) -> AsyncIterator[StreamPart]:
    """A whole answer as a stream: its text, then the response."""
    response = await answer
    yield StreamPart(response.text)
    yield StreamPart(response=response)
