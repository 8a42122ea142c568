"""The SDKs of OpenAI and Anthropic against a fake that nobody here wrote."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controlplane.runtime.providers import Message, Provider, ProviderError
from controlplane.runtime.providers.anthropic import AnthropicProvider
from controlplane.runtime.providers.openai import OpenAIProvider
from tests.runtime.fakes.aimock import Aimock, AimockMissing, aimock
from tests.runtime.fakes.asking import REQUEST, TURNS, ask

# One event loop for all tests: each loop has a client of its own, which takes a while to make.
pytestmark = pytest.mark.asyncio(loop_scope="module")
BOTH = pytest.mark.parametrize("streaming", [False, True])
NAMES = pytest.mark.parametrize("name", ["openai", "anthropic"], scope="module")


@pytest.fixture(scope="module")
def mock() -> Iterator[Aimock]:
    try:
        with aimock() as running:
            yield running
    except AimockMissing as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def provider(name: str, mock: Aimock) -> Provider:
    if name == "openai":
        return OpenAIProvider(api_key="k", base_url=f"{mock.url}/v1")
    return AnthropicProvider(api_key="k", base_url=mock.url)


@NAMES
@BOTH
async def test_exactly_what_the_request_says_arrives(
    mock: Aimock, name: str, provider: Provider, streaming: bool
) -> None:
    response = await ask(provider, REQUEST, streaming=streaming)
    asked: Any = mock.last_asked()["body"]
    assert asked["model"] == REQUEST.model_id
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, *TURNS]
    assert (asked["temperature"], asked["max_tokens"]) == (0.3, 50)
    if name == "openai":
        assert (asked["top_p"], asked["frequency_penalty"], asked["presence_penalty"]) == (0.9, 0.2, 0.5)
    assert response.text == "Gut, danke. Und selbst? Schön, dass du fragst."
    assert (response.input_tokens, response.output_tokens) == (21, 6)
    assert response.finish_reason == {"openai": "stop", "anthropic": "end_turn"}[name]


@NAMES
@BOTH
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("who are you", "authentication"),
        ("too fast", "rate_limit"),
        ("no such model", "model_not_found"),
        ("overloaded", "unavailable"),
        ("out of order", "unavailable"),
        ("strange", "bad_request"),
    ],
)
async def test_each_refusal_has_its_type(
    name: str, provider: Provider, said: str, kind: str, streaming: bool
) -> None:
    with pytest.raises(ProviderError) as caught:
        await ask(provider, replace(REQUEST, messages=(Message("user", said),)), streaming=streaming)
    assert (caught.value.kind, caught.value.provider) == (kind, name)


@NAMES
@BOTH
async def test_an_answer_that_was_cut_off_says_so(name: str, provider: Provider, streaming: bool) -> None:
    request = replace(REQUEST, messages=(Message("user", "cut off"),))
    response = await ask(provider, request, streaming=streaming)
    assert (response.text, response.finish_reason) == (
        "As far as",
        {"openai": "length", "anthropic": "max_tokens"}[name],
    )


@NAMES
async def test_a_stream_that_breaks_off_is_no_answer(name: str, provider: Provider) -> None:
    request = replace(REQUEST, messages=(Message("user", "broken off"),))
    with pytest.raises(ProviderError) as caught:
        await ask(provider, request, streaming=True)
    assert caught.value.kind == "unavailable"
