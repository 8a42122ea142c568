"""The service inside of a test, between a real port and providers that remember."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn

from controlplane.runtime import Client, recording
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.providers import ProviderManager
from controlplane.runtime.service.http import create_app, make_environment
from controlplane.runtime.service.settings import ServiceSettings
from controlplane.runtime.stores.memory import MemoryStore
from tests.runtime import coaching
from tests.runtime.coaching import Recorder
from tests.runtime.serving import publish


class Event(NamedTuple):
    name: str
    data: Any


class Asked(NamedTuple):
    """A request under way: its head has come, and its body is read as it comes."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def chunks(self) -> AsyncIterator[str]:
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size)).decode()
            await self.reader.readexactly(2)

    async def events(self) -> AsyncIterator[Event]:
        async for chunk in self.chunks():
            for block in chunk.removesuffix("\n\n").split("\n\n"):
                if not block.startswith(":"):
                    name, data = block.split("\n")
                    yield Event(name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))

    async def body(self) -> Any:
        return json.loads(await self.reader.readexactly(int(self.headers["content-length"])))


class Inside:
    def __init__(self, port: int, metrics: Metrics) -> None:
        self.port = port
        self.metrics = metrics

    @asynccontextmanager
    async def ask(self, path: str, body: object, *, accept: str = "*/*") -> AsyncIterator[Asked]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        data = json.dumps(body).encode()
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        try:
            status = int((await reader.readline()).split()[1])
            headers = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            yield Asked(status, headers, reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def inside(
    *recorders: Recorder,
    entries: coaching.Documents | None = None,
    bodies: tuple[str, ...] = (),
    kept_in: MemoryStore | None = None,
) -> AsyncIterator[Inside]:
    """The service with a release of production and these providers; it records all calls in `kept_in`."""
    store, metrics = MemoryStore(), Metrics("production")
    publish(store, 12, coaching.release(entries, bodies=bodies))
    providers = ProviderManager({recorder.name: recorder for recorder in recorders})
    client = Client(store, "production", environ={})
    environment = make_environment(
        client,
        providers,
        metrics,
        store=store,
        settings=ServiceSettings(),
        recorder=recording.Recorder(kept_in, "production", rate=1) if kept_in else None,
    )
    server = uvicorn.Server(
        uvicorn.Config(create_app([environment], providers), log_level="error", access_log=False)
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.01)
        try:
            yield Inside(listening.getsockname()[1], metrics)
        finally:
            server.should_exit = True
            await serving
