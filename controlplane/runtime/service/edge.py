"""What happens to every request before the application sees it: an id, a bound on its body, a last resort for errors."""

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlplane.runtime.service.problems import problem

BODY_LIMIT = 1024 * 1024
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
        body = await _read(headers, receive)
        if body is None:
            refusal = problem(413, f"The body may have {BODY_LIMIT:,} bytes at most.", request_id)
            await refusal(scope, receive, sender)
            return
        try:
            await self._app(scope, _Replay(body, receive), sender)
        except Exception:
            _log.exception("request %s failed", request_id)
            if not sender.started:
                failure = problem(500, "Something went wrong here; the log has the request's id.", request_id)
                await failure(scope, receive, sender)


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


async def _read(headers: Headers, receive: Receive) -> bytes | None:
    """The whole body; None when there is more than is taken."""
    announced = headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > BODY_LIMIT:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)
