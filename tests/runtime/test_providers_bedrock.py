"""Bedrock through boto3, over real HTTP, against a fake of its network side."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controlplane.runtime.providers import (
    ContentFilteredError,
    Message,
    ProviderNotConfiguredError,
    ProviderRequest,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from controlplane.runtime.providers.bedrock import BedrockProvider
from tests.runtime.fakes import converse
from tests.runtime.fakes.asking import REQUEST, ask, closing
from tests.runtime.fakes.server import FakeProvider, Reply, running

WHOLE = Reply(body=converse.ANSWER)
STREAM = converse.streamed(*converse.texts("Gut, ", "danke."), *converse.end())
BOTH = pytest.mark.parametrize("streaming", [False, True])


@pytest.fixture(scope="module", autouse=True)
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    with running(FakeProvider(WHOLE)) as server:
        yield server


@pytest.fixture(scope="module")
def bedrock(server: FakeProvider) -> BedrockProvider:
    """One for all tests, as in an application; each test is an event loop of its own to it."""
    return BedrockProvider(region="eu-central-1", endpoint_url=server.url)


@pytest.fixture
def fake(server: FakeProvider) -> FakeProvider:
    server.begin(WHOLE)
    return server


@BOTH
async def test_exactly_what_the_request_says_arrives(
    fake: FakeProvider, bedrock: BedrockProvider, streaming: bool
) -> None:
    fake.usual = STREAM if streaming else WHOLE
    response = await ask(bedrock, REQUEST, streaming=streaming)
    (asked,) = fake.asked
    assert asked.path == "/model/vendor.model-1%3A0/converse" + ("-stream" if streaming else "")
    assert asked.body == {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Grüß Gott"}]},
            {"role": "assistant", "content": [{"text": "Servus"}]},
            {"role": "user", "content": [{"text": "Wie geht's?"}]},
        ],
        "inferenceConfig": {"temperature": 0.3, "maxTokens": 50, "topP": 0.9},
    }
    assert response.text == "Gut, danke."
    assert (response.input_tokens, response.output_tokens, response.finish_reason) == (21, 4, "end_turn")
    assert (response.provider, response.model_id) == ("bedrock", "vendor.model-1:0")
    assert response.dropped_parameters == ("frequency_penalty", "presence_penalty")
    assert response.latency_ms > 0


@BOTH
async def test_what_is_not_set_is_not_sent(
    fake: FakeProvider, bedrock: BedrockProvider, streaming: bool
) -> None:
    fake.usual = STREAM if streaming else WHOLE
    await ask(bedrock, ProviderRequest(model_id="m", messages=(Message("user", "Hi"),)), streaming=streaming)
    assert fake.asked[0].body == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@BOTH
@pytest.mark.parametrize(
    ("status", "error", "message", "kind"),
    [
        (403, "AccessDeniedException", "no", "authentication"),
        (403, "UnrecognizedClientException", "who?", "authentication"),
        (429, "ThrottlingException", "slow down", "rate_limit"),
        (408, "ModelTimeoutException", "late", "timeout"),
        (500, "InternalServerException", "oops", "unavailable"),
        (503, "ServiceUnavailableException", "busy", "unavailable"),
        (502, "SomethingNew", "?", "unavailable"),
        (429, "ModelNotReadyException", "warming up", "unavailable"),
        (400, "ValidationException", "Input is too long for requested model.", "context_too_long"),
        (400, "ValidationException", "temperature must be at most 1", "bad_request"),
        (400, "ValidationException", "The provided model identifier is invalid.", "model_not_found"),
        (404, "ResourceNotFoundException", "This model has reached its end of life.", "model_not_found"),
    ],
)
async def test_each_refusal_has_its_type(
    fake: FakeProvider,
    bedrock: BedrockProvider,
    status: int,
    error: str,
    message: str,
    kind: str,
    streaming: bool,
) -> None:
    fake.replies.append(converse.refused(status, error, message))
    with pytest.raises(Exception, match=message.replace("?", r"\?")) as caught:
        await ask(bedrock, REQUEST, streaming=streaming)
    assert (caught.value.kind, caught.value.model_id) == (kind, REQUEST.model_id)  # type: ignore[attr-defined]
    assert len(fake.asked) == 1, "retries are the service's business"


@BOTH
@pytest.mark.parametrize("reason", ["content_filtered", "guardrail_intervened"])
async def test_a_stopped_answer_is_not_passed_off_as_an_answer(
    fake: FakeProvider, bedrock: BedrockProvider, reason: str, streaming: bool
) -> None:
    whole = Reply(body={**converse.ANSWER, "stopReason": reason})
    stopped = converse.streamed(*converse.texts("so"), *converse.end(reason))
    fake.usual = stopped if streaming else whole
    with pytest.raises(ContentFilteredError, match=reason):
        await ask(bedrock, REQUEST, streaming=streaming)


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        ("throttlingException", "rate_limit"),
        ("modelStreamErrorException", "unavailable"),
        ("internalServerException", "unavailable"),
        ("serviceUnavailableException", "unavailable"),
        ("validationException", "bad_request"),
    ],
)
async def test_a_failure_in_the_middle_of_a_stream_has_its_type(
    fake: FakeProvider, bedrock: BedrockProvider, exception: str, kind: str
) -> None:
    fake.usual = converse.streamed(*converse.texts("Gut, "), converse.failed(exception, "then this"))
    async with closing(bedrock.stream(REQUEST)) as parts:
        assert [(await anext(parts)).text for _ in range(2)] == ["", "Gut, "]
        with pytest.raises(Exception, match="then this") as caught:
            await anext(parts)
    assert caught.value.kind == kind  # type: ignore[attr-defined]


BROKEN = {
    "dropped": converse.streamed(*converse.texts("Gut, "), then="drop"),
    "ended early": converse.streamed(*converse.texts("Gut, ")),
    "damaged": converse.streamed(*converse.texts("Gut, "), STREAM.chunks[2][:-1] + b"\0"),  # type: ignore[index]
    "no frames": converse.streamed(b"<html>" * 20),
    "nothing": converse.streamed(),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_a_stream_that_breaks_off_is_no_answer(
    fake: FakeProvider, bedrock: BedrockProvider, reply: Reply
) -> None:
    fake.usual = reply
    with pytest.raises(ProviderUnavailableError):
        await ask(bedrock, REQUEST, streaming=True)


@BOTH
async def test_an_answer_that_cannot_be_read_is_none(
    fake: FakeProvider, bedrock: BedrockProvider, streaming: bool
) -> None:
    fake.usual = Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(ProviderUnavailableError):
        await ask(bedrock, REQUEST, streaming=streaming)


HANGS = {
    "whole": (Reply(then="hang"), False),
    "stream": (Reply(then="hang"), True),
    "stream that began": (converse.streamed(*converse.texts("Gut, "), then="hang"), True),
}


@pytest.mark.parametrize(("reply", "streaming"), HANGS.values(), ids=HANGS)
async def test_no_answer_in_time_is_a_timeout(
    fake: FakeProvider, bedrock: BedrockProvider, reply: Reply, streaming: bool
) -> None:
    fake.usual = reply
    with pytest.raises(ProviderTimeoutError):
        await ask(bedrock, replace(REQUEST, timeout_seconds=0.3), streaming=streaming)


async def test_an_answer_that_drips_in_is_late_as_well(fake: FakeProvider, bedrock: BedrockProvider) -> None:
    fake.usual = Reply(chunks=(b" ",) * 40, pause=0.05, headers={"Content-Type": "application/json"})
    with pytest.raises(ProviderTimeoutError):
        await bedrock.generate(replace(REQUEST, timeout_seconds=0.2))


async def test_throttled_once_and_then_well(fake: FakeProvider, bedrock: BedrockProvider) -> None:
    fake.replies.append(converse.refused(429, "ThrottlingException", "slow down"))
    with pytest.raises(Exception, match="slow down"):
        await bedrock.generate(REQUEST)
    assert (await bedrock.generate(REQUEST)).text == "Gut, danke."


@BOTH
async def test_nobody_there_is_unavailable(streaming: bool) -> None:
    nobody = BedrockProvider(region="eu-central-1", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ProviderUnavailableError):
        await ask(nobody, REQUEST, streaming=streaming)


async def test_a_missing_region_is_missing_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(ProviderNotConfiguredError, match="region"):
        await BedrockProvider().generate(REQUEST)


@pytest.mark.parametrize(("reply", "streaming"), HANGS.values(), ids=HANGS)
async def test_a_cancelled_call_ends_at_once_and_its_thread_soon(
    fake: FakeProvider, bedrock: BedrockProvider, reply: Reply, streaming: bool
) -> None:
    fake.usual = reply
    await bedrock.close()  # the next call begins a pool of its own
    others = set(
        threading.enumerate()
    )  # those of providers that other tests have left to the garbage collector
    task = asyncio.create_task(ask(bedrock, REQUEST, streaming=streaming))
    assert await asyncio.to_thread(fake.hanging.wait, 10)
    ours = {each for each in threading.enumerate() if each.name.startswith("bedrock")} - others
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not fake.release.is_set(), "it did not wait for the provider"
    fake.release.set()
    await bedrock.close()
    assert ours, "it was called in a thread of the provider's"
    for thread in ours:
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()


async def test_a_reader_who_stops_stops_the_stream(fake: FakeProvider, bedrock: BedrockProvider) -> None:
    fake.usual = STREAM
    async with closing(bedrock.stream(REQUEST)) as parts:
        async for part in parts:
            if part.text:
                break
    fake.usual = WHOLE
    assert (await bedrock.generate(REQUEST)).text == "Gut, danke."


async def test_many_calls_at_a_time_do_not_wait_for_one_another(
    fake: FakeProvider, bedrock: BedrockProvider
) -> None:
    fake.replies = [Reply(then="hang")]
    slow = asyncio.create_task(bedrock.generate(REQUEST))
    assert await asyncio.to_thread(fake.hanging.wait, 10)
    answers = await asyncio.gather(*(bedrock.generate(REQUEST) for _ in range(20)))
    assert {answer.text for answer in answers} == {"Gut, danke."}
    assert not slow.done()
    slow.cancel()


async def test_a_closed_provider_opens_again(fake: FakeProvider, bedrock: BedrockProvider) -> None:
    await bedrock.generate(REQUEST)
    await bedrock.close()
    assert (await bedrock.generate(REQUEST)).text == "Gut, danke."
