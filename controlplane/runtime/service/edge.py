"""What happens to every request before the application sees it: an id, a bound on its body, a last resort for errors."""

import asyncio
import logging
import re
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlplane.runtime.service.problems import problem

BODY_LIMIT = 1024 * 1024
BODY_SECONDS = 30.0
"""How long a body may take to come."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_log = logging.getLogger(__name__)


class Edge:
    """ASGI middleware; reads a body whole, up to its limit, so that no handler ever holds more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope["request_id"] = request_id
        sender = _Sender(send, request_id)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(headers, receive)
        except (_TooLargeError, TimeoutError) as refused:
            refusal = problem(*_REFUSALS[type(refused)], request_id)
            refusal.headers["Connection"] = "close"  # the rest of the body is still on its way
            await refusal(scope, receive, sender)
            return
        except ClientDisconnect:
            return  # what came of it may look like a whole request, and nobody waits for an answer
        try:
            await self._app(scope, _Replay(body, receive), sender)
        except Exception:
            _log.exception("request %s failed", request_id)
            if not sender.started:
                failure = problem(500, "Something went wrong here; the log has the request's id.", request_id)
                await failure(scope, receive, sender)


class _TooLargeError(Exception):
    """There is more than is taken."""


_REFUSALS: Final[dict[type[Exception], tuple[int, str]]] = {
    _TooLargeError: (413, f"The body may have {BODY_LIMIT:,} bytes at most."),
    TimeoutError: (408, f"The body may take {BODY_SECONDS:g} seconds to come at most."),
}


class _Sender:
    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["Cache-Control"] = "no-store"
            headers["X-Content-Type-Options"] = "nosniff"
        await self._send(message)


class _Replay:
    """The body that was read, handed over once; then what the server says next (that the client has gone)."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


async def _read(headers: Headers, receive: Receive) -> bytes:
    """The whole body; raises `_TooLargeError`, or `ClientDisconnect` when it breaks off."""
    announced = headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > BODY_LIMIT:
        raise _TooLargeError
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise _TooLargeError
        if not message.get("more_body"):
            return bytes(body)
