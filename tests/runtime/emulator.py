"""DynamoDB and S3 over HTTP for tests, and ways to make them fail."""

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from controlplane.local.aws import make_server
from controlplane.runtime.stores.aws import AwsStore

_CLIENTS: dict[tuple[str | None, int], Any] = {}


@contextmanager
def emulator() -> Iterator[str]:
    """The address of an emulator that lives as long as the block."""
    server = make_server(0)
    # A connection for each request: one kept alive would outlast the test, and be reported as never closed.
    handler: Any = server.RequestHandlerClass
    handler.protocol_version = "HTTP/1.0"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def throttled(
    client: Any, operation: str, *, times: int, error: str = "ThrottlingException"
) -> Iterator[list[str]]:
    """Answer the first so many requests of an operation with "too fast" (or another error); yields what was asked."""
    asked: list[str] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        asked.append(request.url)
        if len(asked) > times:
            return None
        body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{error}", "message": "not now"})
        headers: Any = HTTPHeaders.from_dict({"Content-Type": "application/x-amz-json-1.0"})
        return AWSResponse(request.url, 400, headers, Body(body.encode()))

    with hooked(client, f"before-send.dynamodb.{operation}", answer):
        yield asked


@contextmanager
def reply_lost(client: Any, service: str, operation: str, *, times: int = 1) -> Iterator[list[str]]:
    """Let the service do what is asked, and lose its answer on the way back."""
    lost: list[str] = []

    def apply_and_lose(request: AWSPreparedRequest, **_: Any) -> None:
        if len(lost) < times:
            lost.append(request.url)
            URLLib3Session().send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

    with hooked(client, f"before-send.{service}.{operation}", apply_and_lose):
        yield lost


@contextmanager
def unprocessed(client: Any, *, times: int, written: int = 3) -> Iterator[list[int]]:
    """Do only the first few items of a batch and hand the others back, as a throttled table does; never none."""
    held: list[int] = []
    rest: dict[str, list[Any]] = {}

    def trim(params: dict[str, Any], **_: Any) -> None:
        rest.clear()
        if len(held) < times:
            for table, requests in params["RequestItems"].items():
                rest[table] = requests[written:] or requests
                params["RequestItems"] = {table: requests[:written]}

    def hand_back(parsed: dict[str, Any], **_: Any) -> None:
        if any(rest.values()):
            held.append(sum(len(requests) for requests in rest.values()))
            parsed["UnprocessedItems"] = dict(rest)

    with (
        hooked(client, "before-parameter-build.dynamodb.BatchWriteItem", trim),
        hooked(client, "after-call.dynamodb.BatchWriteItem", hand_back),
    ):
        yield held


@contextmanager
def hooked(client: Any, event: str, handler: Any) -> Iterator[None]:
    client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(event, handler)


class Body(io.BytesIO):
    """What the HTTP library would hand over, as far as anybody reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class _Sharing(AwsStore):
    """Uses the clients that a process has for this address: to make two takes a quarter of a second."""

    def _make_clients(self) -> Any:
        key = (self._endpoint_url, os.getpid())
        if key not in _CLIENTS:
            _CLIENTS[key] = super()._make_clients()
        return _CLIENTS[key]


def make_store(url: str, name: str) -> AwsStore:
    return _Sharing(
        table=name, bucket=name, endpoint_url=url, region="us-east-1", credentials=("local", "local")
    )
