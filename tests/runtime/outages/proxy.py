"""What stands between a client and its stores, and can do to every answer what networks and services do."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from controlplane.runtime.stores.aws import AwsStore

Place = Literal["pointer", "object", "elsewhere"]


class Answer(NamedTuple):
    status: int
    body: bytes
    kind: str = "application/x-amz-json-1.0"


Fault = Callable[[Answer], Answer]


class Proxy:
    """Passes requests on; where a fault is set for a place, it may change what comes back."""

    def __init__(self, target: str) -> None:
        self.faults: dict[Place, Fault] = {}
        self.asked: list[Place] = []
        address = urlsplit(target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                if self.headers.get("Expect"):
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # or boto waits a second for it
                    del self.headers["Expect"]
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                place = place_of(self.path, self.headers.get("X-Amz-Target", ""), body)
                proxy.asked.append(place)
                there = http.client.HTTPConnection(str(address.hostname), address.port)
                there.request(self.command, self.path, body, dict(self.headers))
                found = there.getresponse()
                answer = Answer(found.status, found.read(), found.getheader("Content-Type", ""))
                there.close()
                if place in proxy.faults:
                    answer = proxy.faults[place](answer)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # whoever hung up did so on purpose

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def heal(self) -> None:
        self.faults.clear()


def place_of(path: str, target: str, body: bytes) -> Place:
    if target.endswith("GetItem") and b"#pointer" in body:
        return "pointer"
    return "object" if "/snapshots/" in path else "elsewhere"


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()


class HastyStore(AwsStore):
    """The real store with one attempt and with the patience, in seconds, that a test wants."""

    patience = 20.0

    def _make_clients(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=self.patience,
            read_timeout=self.patience,
            retries={"mode": "standard", "total_max_attempts": 1},
            s3={"addressing_style": "path"},
        )
        session = boto3.Session("local", "local", region_name="us-east-1")
        return tuple(
            session.client(service, endpoint_url=self._endpoint_url, config=config)
            for service in ("dynamodb", "s3")
        )


def hasty_store(url: str, *, patience: float = HastyStore.patience) -> HastyStore:
    store = HastyStore(table="releases", bucket="releases", endpoint_url=url)
    store.patience = patience
    return store
