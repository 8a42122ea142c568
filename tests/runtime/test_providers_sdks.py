"""What holds for OpenAI and Anthropic alike when the network or the far side does not do its part."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controlplane.runtime.providers import (
    Provider,
    ProviderManager,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from controlplane.runtime.providers.anthropic import AnthropicProvider
from controlplane.runtime.providers.openai import OpenAIProvider
from tests.runtime.fakes import events
from tests.runtime.fakes.apis import APIS, Api
from tests.runtime.fakes.asking import REQUEST, ask, closing
from tests.runtime.fakes.server import FakeProvider, Reply, running

# One event loop for all tests: each loop has a client of its own, which takes a while to make.
pytestmark = pytest.mark.asyncio(loop_scope="module")
BOTH = pytest.mark.parametrize("streaming", [False, True])


@pytest.fixture(scope="module", params=APIS.values(), ids=list(APIS))
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest.fixture(scope="module")
def server(api: Api) -> Iterator[FakeProvider]:
    with running(FakeProvider(api.reply(streaming=False))) as server:
        yield server


@pytest.fixture(scope="module")
def provider(api: Api, server: FakeProvider) -> AnthropicProvider | OpenAIProvider:
    return api.make(server.url)


@pytest.fixture
def fake(api: Api, server: FakeProvider) -> FakeProvider:
    server.begin(api.reply(streaming=False))
    return server


def hang(api: Api, *, streaming: bool, begun: bool) -> Reply:
    return events.streamed(*api.texts("Gut, "), then="hang") if streaming and begun else Reply(then="hang")


@BOTH
@pytest.mark.parametrize("begun", [False, True])
async def test_no_answer_in_time_is_a_timeout(
    api: Api, fake: FakeProvider, provider: Provider, streaming: bool, begun: bool
) -> None:
    await provider.generate(REQUEST)  # the SDK is there
    fake.begin(hang(api, streaming=streaming, begun=begun))
    for seconds in (0.1, 1, 10):  # a busy machine may not even have asked before the first is over
        with pytest.raises(ProviderTimeoutError):
            await ask(provider, replace(REQUEST, timeout_seconds=seconds), streaming=streaming)
        if await asyncio.to_thread(fake.left.wait, 10 * seconds):
            break
    assert fake.left.is_set(), "the connection was given up as well"


async def test_an_answer_that_drips_in_is_late_as_well(fake: FakeProvider, provider: Provider) -> None:
    fake.usual = Reply(chunks=(b" ",) * 40, pause=0.05, headers={"Content-Type": "application/json"})
    with pytest.raises(ProviderTimeoutError):
        await provider.generate(replace(REQUEST, timeout_seconds=0.2))


@BOTH
@pytest.mark.parametrize("begun", [False, True])
async def test_a_cancelled_call_ends_at_once_and_hangs_up(
    api: Api, fake: FakeProvider, provider: Provider, streaming: bool, begun: bool
) -> None:
    fake.begin(hang(api, streaming=streaming, begun=begun))
    task = asyncio.create_task(ask(provider, REQUEST, streaming=streaming))
    assert await asyncio.to_thread(fake.hanging.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(fake.left.wait, 10)


async def test_a_reader_who_stops_hangs_up(api: Api, fake: FakeProvider, provider: Provider) -> None:
    fake.begin(hang(api, streaming=True, begun=True))
    async with closing(provider.stream(REQUEST)) as parts:
        async for part in parts:
            if part.text:
                break
    assert await asyncio.to_thread(fake.left.wait, 10)


BROKEN = {
    "reset": Reply(body={}, then="drop"),
    "a page": Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
    "half": Reply(body=b'{"choices": [{"mess'),
    "null": Reply(body=None),
    "a list": Reply(body=[]),
    "nothing in it": Reply(body={}),
    "a redirection": Reply(status=307, body={}),
}


@BOTH
@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_cannot_be_read_is_none(
    fake: FakeProvider, provider: Provider, reply: Reply, streaming: bool
) -> None:
    fake.usual = reply
    with pytest.raises(ProviderUnavailableError):
        await ask(provider, REQUEST, streaming=streaming)


@pytest.mark.parametrize("how", ["dropped", "ended early", "garbage", "nothing"])
async def test_a_stream_that_breaks_off_is_no_answer(
    api: Api, fake: FakeProvider, provider: Provider, how: str
) -> None:
    begun = api.texts("Gut, ")
    fake.usual = {
        "dropped": events.streamed(*begun, then="drop"),
        "ended early": events.streamed(*begun),
        "garbage": events.streamed(*begun, events.event("{", "content_block_delta")),
        "nothing": events.streamed(),
    }[how]
    with pytest.raises(ProviderUnavailableError):
        await ask(provider, REQUEST, streaming=True)


@BOTH
async def test_nobody_there_is_unavailable(api: Api, streaming: bool) -> None:
    with pytest.raises(ProviderUnavailableError):
        await ask(api.make("http://127.0.0.1:9"), REQUEST, streaming=streaming)


async def test_calls_at_the_same_time_share_a_client_and_keep_apart(
    api: Api, fake: FakeProvider, provider: Provider
) -> None:
    requests = [replace(REQUEST, model_id=f"model-{number}") for number in range(20)]
    answers = await asyncio.gather(*(provider.generate(request) for request in requests))
    assert [answer.model_id for answer in answers] == [request.model_id for request in requests]
    assert sorted(asked.body["model"] for asked in fake.asked) == sorted(
        request.model_id for request in requests
    )


async def test_a_closed_provider_opens_again(
    fake: FakeProvider, provider: AnthropicProvider | OpenAIProvider
) -> None:
    manager = ProviderManager({provider.name: provider})
    await provider.generate(REQUEST)
    await manager.close()
    assert (await provider.generate(REQUEST)).text == "Gut, danke."


@BOTH
async def test_what_people_say_is_not_logged(
    api: Api, fake: FakeProvider, provider: Provider, caplog: pytest.LogCaptureFixture, streaming: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.usual = api.reply(streaming=streaming)
    await ask(provider, REQUEST, streaming=streaming)
    assert "Servus" not in caplog.text
    assert "danke" not in caplog.text
