"""What the tests ask every provider, and how they read a stream."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from controlplane.runtime.providers import Message, Provider, ProviderRequest, ProviderResponse

REQUEST = ProviderRequest(
    model_id="vendor.model-1:0",
    system="Be brief.",
    messages=(Message("user", "Grüß Gott"), Message("assistant", "Servus"), Message("user", "Wie geht's?")),
    temperature=0.3,
    max_tokens=50,
    top_p=0.9,
    frequency_penalty=0.2,
    presence_penalty=0.5,
    timeout_seconds=20,
)
TURNS = [
    {"role": "user", "content": "Grüß Gott"},
    {"role": "assistant", "content": "Servus"},
    {"role": "user", "content": "Wie geht's?"},
]

T = TypeVar("T")


def closing(items: AsyncIterator[T]) -> "aclosing[AsyncGenerator[T, None]]":
    assert isinstance(items, AsyncGenerator)
    return aclosing(items)


async def ask(provider: Provider, request: ProviderRequest, *, streaming: bool) -> ProviderResponse:
    """The answer, whole or put together from its parts, which must be one and the same."""
    if not streaming:
        return await provider.generate(request)
    async with closing(provider.stream(request)) as parts:
        read = [part async for part in parts]
    response = read[-1].response
    assert response is not None
    assert all(part.response is None for part in read[:-1])
    assert "".join(part.text for part in read) == response.text
    return response
