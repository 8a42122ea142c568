"""What reaches the application of a body, and when somebody else is told that nothing does."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from controlplane.runtime.service import edge

HALF: Message = {"type": "http.request", "body": b'{"a": 1}', "more_body": True}
REST: Message = {"type": "http.request", "body": b" ", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


class Application:
    """It remembers the bodies that reached it, and says so."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"seen"})


async def post(application: Application, *messages: Message) -> tuple[list[int], dict[bytes, bytes]]:
    """The statuses and the headers of what is answered; after the last message nothing comes any more."""
    coming, sent = list(messages), []

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "headers": [], "method": "POST", "path": "/"}
    await edge.Edge(application)(scope, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    return [start["status"] for start in starts], dict(starts[0]["headers"]) if starts else {}


async def test_a_body_in_pieces_arrives_whole() -> None:
    application = Application()
    assert (await post(application, HALF, REST))[0] == [200]
    assert application.bodies == [b'{"a": 1} ']


async def test_a_body_that_breaks_off_starts_nothing() -> None:
    """What came may be valid by itself: a model would be called, and paid, for a client that has gone."""
    application = Application()
    assert (await post(application, HALF, GONE))[0] == []
    assert application.bodies == []


async def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_SECONDS", 0.01)
    application = Application()
    statuses, headers = await post(application, HALF)
    assert (statuses, headers[b"connection"]) == ([408], b"close")
    assert application.bodies == []
