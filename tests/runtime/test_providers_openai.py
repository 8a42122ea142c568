"""What is particular to OpenAI and to those who speak like it, over real HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.runtime.providers import ContentFilteredError, Message, ProviderRequest
from controlplane.runtime.providers.openai import OpenAIProvider
from tests.runtime.fakes import events
from tests.runtime.fakes.asking import REQUEST, TURNS, ask
from tests.runtime.fakes.server import FakeProvider, Reply, running

WHOLE = Reply(body=events.OPENAI_ANSWER)
STREAM = events.streamed(*events.openai_texts("Gut, ", "danke."), *events.openai_end())
# One event loop for all tests: each loop has a client of its own, which takes a while to make.
pytestmark = pytest.mark.asyncio(loop_scope="module")
BOTH = pytest.mark.parametrize("streaming", [False, True])
SAMPLING = {"temperature": 0.3, "top_p": 0.9, "frequency_penalty": 0.2, "presence_penalty": 0.5}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    with running(FakeProvider(WHOLE)) as server:
        yield server


@pytest.fixture(scope="module")
def provider(server: FakeProvider) -> OpenAIProvider:
    return OpenAIProvider("vllm", api_key="the-key", base_url=f"{server.url}/v1")


@pytest.fixture
def fake(server: FakeProvider) -> FakeProvider:
    server.begin(WHOLE)
    return server


@BOTH
async def test_exactly_what_the_request_says_arrives(
    fake: FakeProvider, provider: OpenAIProvider, streaming: bool
) -> None:
    fake.usual = STREAM if streaming else WHOLE
    response = await ask(provider, REQUEST, streaming=streaming)
    (asked,) = fake.asked
    assert (asked.path, asked.headers["authorization"]) == ("/v1/chat/completions", "Bearer the-key")
    assert asked.body == {
        "model": "vendor.model-1:0",
        "messages": [{"role": "system", "content": "Be brief."}, *TURNS],
        "max_tokens": 50,
        **SAMPLING,
        **({"stream": True, "stream_options": {"include_usage": True}} if streaming else {}),
    }
    assert response.text == "Gut, danke."
    assert (response.input_tokens, response.output_tokens, response.finish_reason) == (21, 4, "stop")
    assert (response.provider, response.model_id) == ("vllm", "vendor.model-1:0")
    assert response.dropped_parameters == ()
    assert response.latency_ms > 0


async def test_what_is_not_set_is_not_sent(fake: FakeProvider, provider: OpenAIProvider) -> None:
    await provider.generate(ProviderRequest(model_id="m", messages=(Message("user", "Hi"),)))
    assert fake.asked[0].body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


async def test_the_newer_name_of_the_limit_is_an_option(fake: FakeProvider) -> None:
    provider = OpenAIProvider(base_url=f"{fake.url}/v1", max_tokens_field="max_completion_tokens")
    await provider.generate(REQUEST)
    assert fake.asked[0].body["max_completion_tokens"] == 50
    assert "max_tokens" not in fake.asked[0].body
    await provider.close()


async def test_a_server_of_ones_own_needs_no_key(fake: FakeProvider) -> None:
    provider = OpenAIProvider("own", base_url=f"{fake.url}/v1")
    assert provider.missing() is None
    assert (await provider.generate(REQUEST)).provider == "own"
    await provider.close()


@BOTH
@pytest.mark.parametrize(
    ("status", "kind", "code", "expected"),
    [
        (401, "invalid_request_error", "invalid_api_key", "authentication"),
        (403, "invalid_request_error", "unsupported_country_region_territory", "authentication"),
        (404, "invalid_request_error", "model_not_found", "model_not_found"),
        (429, "requests", "rate_limit_exceeded", "rate_limit"),
        (429, "insufficient_quota", "insufficient_quota", "authentication"),
        (400, "invalid_request_error", "context_length_exceeded", "context_too_long"),
        (400, "invalid_request_error", "content_policy_violation", "content_filter"),
        (400, "", "content_filter", "content_filter"),
        (400, "invalid_request_error", "unsupported_value", "bad_request"),
        (422, "", None, "bad_request"),
        (408, "", None, "timeout"),
        (500, "server_error", None, "unavailable"),
        (503, "", None, "unavailable"),
        (504, "", None, "timeout"),
    ],
)
async def test_each_refusal_has_its_type(
    fake: FakeProvider,
    provider: OpenAIProvider,
    status: int,
    kind: str,
    code: str | None,
    expected: str,
    streaming: bool,
) -> None:
    fake.usual = events.openai_refused(status, kind=kind, code=code, message="that is why", retry_after="7")
    with pytest.raises(Exception, match="that is why") as caught:
        await ask(provider, REQUEST, streaming=streaming)
    found: Any = caught.value
    assert (found.kind, found.provider, found.model_id) == (expected, "vllm", REQUEST.model_id)
    assert found.retry_after_seconds == 7
    assert len(fake.asked) == 1, "retries are the service's business"


async def test_an_older_server_says_it_in_words(fake: FakeProvider, provider: OpenAIProvider) -> None:
    words = "This model's maximum context length is 4096 tokens."
    fake.usual = events.openai_refused(400, kind="BadRequestError", message=words)
    with pytest.raises(Exception, match="4096") as caught:
        await provider.generate(REQUEST)
    assert caught.value.kind == "context_too_long"  # type: ignore[attr-defined]


def choice(**changes: object) -> Reply:
    first = {**events.OPENAI_ANSWER["choices"][0], **changes}
    return Reply(body={**events.OPENAI_ANSWER, "choices": [first]})


STOPPED = {
    "filtered": (choice(finish_reason="content_filter"), False),
    "refused": (choice(message={"role": "assistant", "content": None, "refusal": "I will not."}), False),
    "filtered stream": (
        events.streamed(*events.openai_texts("so"), *events.openai_end("content_filter")),
        True,
    ),
}


@pytest.mark.parametrize(("reply", "streaming"), STOPPED.values(), ids=STOPPED)
async def test_a_stopped_answer_is_not_passed_off_as_an_answer(
    fake: FakeProvider, provider: OpenAIProvider, reply: Reply, streaming: bool
) -> None:
    fake.usual = reply
    with pytest.raises(ContentFilteredError):
        await ask(provider, REQUEST, streaming=streaming)


async def test_an_error_in_the_middle_of_a_stream_has_its_type(
    fake: FakeProvider, provider: OpenAIProvider
) -> None:
    error = {"error": {"message": "too many at a time", "type": "tokens", "code": "rate_limit_exceeded"}}
    fake.usual = events.streamed(*events.openai_texts("Gut, "), events.event(error))
    with pytest.raises(Exception, match="too many at a time") as caught:
        await ask(provider, REQUEST, streaming=True)
    assert caught.value.kind == "rate_limit"  # type: ignore[attr-defined]


async def test_a_server_that_counts_no_tokens_is_believed(
    fake: FakeProvider, provider: OpenAIProvider
) -> None:
    fake.usual = events.streamed(*events.openai_texts("Gut."), *events.openai_end()[:1])
    response = await ask(provider, REQUEST, streaming=True)
    assert (response.text, response.input_tokens, response.output_tokens) == ("Gut.", None, None)
