"""What is particular to Anthropic, over real HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controlplane.runtime.providers import (
    ContentFilteredError,
    Message,
    ProviderBadRequestError,
    ProviderRequest,
)
from controlplane.runtime.providers.anthropic import AnthropicProvider
from tests.runtime.fakes import events
from tests.runtime.fakes.asking import REQUEST, TURNS, ask
from tests.runtime.fakes.server import FakeProvider, Reply, running

WHOLE = Reply(body=events.ANTHROPIC_ANSWER)
STREAM = events.streamed(*events.anthropic_texts("Gut, ", "danke."), *events.anthropic_end())
# One event loop for all tests: each loop has a client of its own, which takes a while to make.
pytestmark = pytest.mark.asyncio(loop_scope="module")
BOTH = pytest.mark.parametrize("streaming", [False, True])
WITH_SAMPLING = "2023-06-01"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    with running(FakeProvider(WHOLE)) as server:
        yield server


@pytest.fixture(scope="module")
def provider(server: FakeProvider) -> AnthropicProvider:
    return AnthropicProvider(api_key="the-key", base_url=server.url)


@pytest.fixture
def fake(server: FakeProvider) -> FakeProvider:
    server.begin(WHOLE)
    return server


@BOTH
async def test_exactly_what_the_request_says_arrives(
    fake: FakeProvider, provider: AnthropicProvider, streaming: bool
) -> None:
    fake.usual = STREAM if streaming else WHOLE
    response = await ask(provider, REQUEST, streaming=streaming)
    (asked,) = fake.asked
    assert asked.path == "/v1/messages"
    assert "the-key" in asked.headers.get("authorization", "") + asked.headers.get("x-api-key", "")
    assert asked.headers["anthropic-version"] == WITH_SAMPLING
    assert asked.body == {
        "model": "vendor.model-1:0",
        "system": "Be brief.",
        "messages": TURNS,
        "max_tokens": 50,
        "temperature": 0.3,
        **({"stream": True} if streaming else {}),
    }
    assert response.text == "Gut, danke."
    assert (response.input_tokens, response.output_tokens, response.finish_reason) == (21, 4, "end_turn")
    assert (response.provider, response.model_id) == ("anthropic", "vendor.model-1:0")
    assert response.dropped_parameters == ("top_p", "frequency_penalty", "presence_penalty")
    assert response.latency_ms > 0


async def test_top_p_is_sent_when_there_is_no_temperature(
    fake: FakeProvider, provider: AnthropicProvider
) -> None:
    response = await provider.generate(replace(REQUEST, temperature=None))
    (asked,) = fake.asked
    assert (asked.body["top_p"], "temperature" in asked.body) == (0.9, False)
    assert asked.headers["anthropic-version"] == WITH_SAMPLING
    assert response.dropped_parameters == ("frequency_penalty", "presence_penalty")


async def test_what_is_not_set_is_not_sent_and_leaves_the_version_to_the_sdk(
    fake: FakeProvider, provider: AnthropicProvider
) -> None:
    plain = ProviderRequest(model_id="m", messages=(Message("user", "Hi"),), max_tokens=9)
    await provider.generate(plain)
    (asked,) = fake.asked
    assert asked.body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    assert asked.headers["anthropic-version"] != WITH_SAMPLING


@BOTH
async def test_without_a_limit_the_call_is_not_sent(
    fake: FakeProvider, provider: AnthropicProvider, streaming: bool
) -> None:
    with pytest.raises(ProviderBadRequestError, match="max_tokens"):
        await ask(provider, replace(REQUEST, max_tokens=None), streaming=streaming)
    assert fake.asked == []


@BOTH
@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (401, "authentication_error", "which key?", "authentication"),
        (402, "billing_error", "unpaid", "authentication"),
        (403, "permission_error", "not you", "authentication"),
        (404, "not_found_error", "which model?", "model_not_found"),
        (413, "request_too_large", "what a lot", "context_too_long"),
        (429, "rate_limit_error", "slow down", "rate_limit"),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens", "context_too_long"),
        (400, "invalid_request_error", "Output blocked by content filtering policy", "content_filter"),
        (400, "invalid_request_error", "temperature: at most 1", "bad_request"),
        (400, "invalid_request_error", "Your credit balance is too low", "authentication"),
        (500, "api_error", "oops", "unavailable"),
        (504, "timeout_error", "late", "timeout"),
        (529, "overloaded_error", "busy", "unavailable"),
    ],
)
async def test_each_refusal_has_its_type(
    fake: FakeProvider,
    provider: AnthropicProvider,
    status: int,
    kind: str,
    message: str,
    expected: str,
    streaming: bool,
) -> None:
    fake.usual = events.anthropic_refused(status, kind=kind, message=message, retry_after="7")
    with pytest.raises(Exception, match=message.replace("?", r"\?")) as caught:
        await ask(provider, REQUEST, streaming=streaming)
    found: Any = caught.value
    assert (found.kind, found.provider, found.model_id) == (expected, "anthropic", REQUEST.model_id)
    assert found.retry_after_seconds == 7
    assert len(fake.asked) == 1, "retries are the service's business"


STOPPED = {
    "whole": (Reply(body={**events.ANTHROPIC_ANSWER, "stop_reason": "refusal"}), False),
    "stream": (events.streamed(*events.anthropic_texts("so"), *events.anthropic_end("refusal")), True),
}


@pytest.mark.parametrize(("reply", "streaming"), STOPPED.values(), ids=STOPPED)
async def test_a_refusal_is_not_passed_off_as_an_answer(
    fake: FakeProvider, provider: AnthropicProvider, reply: Reply, streaming: bool
) -> None:
    fake.usual = reply
    with pytest.raises(ContentFilteredError):
        await ask(provider, REQUEST, streaming=streaming)


async def test_an_error_in_the_middle_of_a_stream_has_its_type(
    fake: FakeProvider, provider: AnthropicProvider
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "too much to do"}}
    fake.usual = events.streamed(*events.anthropic_texts("Gut, "), events.event(error, "error"))
    with pytest.raises(Exception, match="too much to do") as caught:
        await ask(provider, REQUEST, streaming=True)
    assert caught.value.kind == "unavailable"  # type: ignore[attr-defined]


async def test_thoughts_are_no_part_of_the_answer(fake: FakeProvider, provider: AnthropicProvider) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    content = [thought, {"type": "text", "text": "Gut."}]
    fake.usual = Reply(body={**events.ANTHROPIC_ANSWER, "content": content})
    assert (await provider.generate(REQUEST)).text == "Gut."
