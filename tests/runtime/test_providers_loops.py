"""Connections belong to an event loop, and applications have more than one."""

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Iterator

import pytest

from controlplane.runtime.providers import Provider
from controlplane.runtime.providers.loops import ClientOfLoop
from tests.runtime.fakes.apis import APIS, Api
from tests.runtime.fakes.asking import REQUEST, ask, closing
from tests.runtime.fakes.server import FakeProvider, running


@pytest.fixture(params=APIS.values(), ids=list(APIS))
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest.fixture
def fake(api: Api) -> Iterator[FakeProvider]:
    with running(FakeProvider(api.reply(streaming=True))) as server:
        yield server


@pytest.fixture
def provider(api: Api, fake: FakeProvider) -> Provider:
    return api.make(fake.url)


def test_one_loop_after_the_other_leaves_nothing_open(provider: Provider) -> None:
    for _ in range(3):
        assert asyncio.run(ask(provider, REQUEST, streaming=True)).text == "Gut, danke."
        gc.collect()  # a connection left open is a ResourceWarning, and that an error


def test_loops_in_several_threads_do_not_meet(provider: Provider) -> None:
    texts: list[str] = []

    def call() -> None:
        texts.append(asyncio.run(ask(provider, REQUEST, streaming=True)).text)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert texts == ["Gut, danke."] * 3


def test_a_reader_who_stops_leaves_nothing_open(provider: Provider) -> None:
    async def begin() -> None:
        async with closing(provider.stream(REQUEST)) as parts:
            async for part in parts:
                if part.text:
                    break

    asyncio.run(begin())
    gc.collect()


def test_a_provider_that_nobody_holds_leaves_nothing_open(fake: FakeProvider, api: Api) -> None:
    fake.usual = api.reply(streaming=False)

    async def call_and_forget() -> None:
        await api.make(fake.url).generate(REQUEST)
        gc.collect()  # its loop still runs, and has to close what is idle

    asyncio.run(call_and_forget())
    gc.collect()


async def test_a_call_given_up_in_the_middle_of_a_handshake_hangs_up(api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider = api.make(f"https://127.0.0.1:{silent.getsockname()[1]}")
        call = asyncio.create_task(ask(provider, REQUEST, streaming=True))
        silent.settimeout(10)
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            assert await asyncio.to_thread(connection.recv, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            connection.settimeout(10)
            await asyncio.to_thread(read_to_the_end, connection)


def read_to_the_end(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass


class Client:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


async def test_a_burst_of_first_calls_makes_one_client() -> None:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    clients = ClientOfLoop(make)
    assert len(set(await asyncio.gather(*(clients.get() for _ in range(20))))) == 1
    assert len(made) == 1
    await clients.close()
    assert made[0].closed
    await clients.get()
    assert len(made) == 2


def test_a_client_is_closed_with_its_loop() -> None:
    clients = ClientOfLoop(Client)
    assert asyncio.run(clients.get()).closed
    assert asyncio.run(clients.get()).closed


async def test_a_client_that_cannot_be_made_is_tried_again() -> None:
    failures = [OSError("not yet")]

    def make() -> Client:
        if failures:
            raise failures.pop()
        return Client()

    clients = ClientOfLoop(make)
    with pytest.raises(OSError, match="not yet"):
        await clients.get()
    assert isinstance(await clients.get(), Client)
