"""Answers as server-sent events.

    event: text     data: {"text": "…"}        a piece of the answer; all of them joined are the answer
    event: done     data: the whole response, once, at the end
    event: error    data: a problem, once, instead of `done`

A comment comes when nothing else has for a while, so that nobody in between takes the connection for dead.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from fastapi import Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import StreamingResponse

from controlplane.runtime.service.problems import document_of
from controlplane.runtime.services.answers import LLMResponse

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE_SECONDS: Final = 15.0
DECIDE_SECONDS: Final = 2.0
# Without it nginx and others would hand over the answer when it is all there.
_HEADERS: Final = {"X-Accel-Buffering": "no"}

Parts = AsyncGenerator[str | LLMResponse]
_Queue = asyncio.Queue[str | LLMResponse | Exception]


async def stream(
    request: Request,
    parts: Parts,
    finish: Callable[[LLMResponse], object],
) -> StreamingResponse:
    """The parts of an answer as a response; `finish` makes the data of `done`.

    What fails within the first moments is raised, and so gets a status of its own; later failures are an `error` event. When
    the client goes away, the parts are closed and with them the call of the model.
    """
    queue: _Queue = asyncio.Queue(maxsize=1)
    reading = asyncio.create_task(_read(parts, queue))
    _reading.add(reading)  # the loop itself would let go of it
    reading.add_done_callback(_reading.discard)
    first: str | LLMResponse | Exception = ""
    try:
        first = await asyncio.wait_for(queue.get(), DECIDE_SECONDS)
    except TimeoutError:
        pass  # a model that thinks: whoever waits should hear that the call was taken
    except BaseException:
        reading.cancel()
        raise
    if isinstance(first, Exception):
        raise first
    events = _events(request, first, queue, reading, finish)
    return StreamingResponse(events, media_type=MEDIA_TYPE, headers=_HEADERS)


_reading: "set[asyncio.Task[None]]" = set()


async def _read(parts: Parts, queue: _Queue) -> None:
    """Walk through all parts in one task: what limits their time is bound to the task that began it."""
    try:
        async with aclosing(parts):
            async for part in parts:
                await queue.put(part)
        await queue.put(RuntimeError("the answer has ended before its end"))
    except Exception as problem:
        await queue.put(problem)


async def _events(
    request: Request,
    part: str | LLMResponse | Exception,
    queue: _Queue,
    reading: "asyncio.Task[None]",
    finish: Callable[[LLMResponse], object],
) -> AsyncIterator[bytes]:
    try:
        while True:
            if isinstance(part, LLMResponse):
                yield event("done", finish(part))
                return
            if isinstance(part, Exception):
                yield event("error", document_of(request, part))
                return
            if part:
                yield event("text", {"text": part})
            try:
                part = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                part = ""
                yield b": still here\n\n"
    finally:
        reading.cancel()


def event(name: str, data: object) -> bytes:
    """One event. JSON has no line breaks of its own, so its data is one line."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json_bytes(jsonable_encoder(data)))


def json_bytes(data: object) -> bytes:
    """JSON as bytes. A model may say half of a surrogate pair, which is no text: then a question mark, and no error."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
