"""A provider as it looks from the network: answers what it is told to, and remembers what it was asked."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer: a body at once or `chunks` one by one, and what becomes of the connection then."""

    status: int = 200
    body: object = None
    """Sent as JSON, or as it is when it is bytes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] | None = None
    pause: float = 0.0
    """Seconds after each chunk."""
    then: Literal["end", "drop", "hang"] = "end"


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float


class FakeProvider(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, usual: Reply) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.release = threading.Event()
        self.begin(usual)

    def begin(self, usual: Reply) -> None:
        """As if it were new; whoever is still kept waiting is let go."""
        self.release.set()
        self.usual = usual
        self.replies: list[Reply] = []
        """Given in this order before the usual one."""
        self.asked: list[Asked] = []
        self.hanging = threading.Event()
        """Set when somebody is kept waiting."""
        self.left = threading.Event()
        """Set when he hung up then."""
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller who hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, FakeProvider)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.asked.append(Asked(self.path, headers, json.loads(content), time.monotonic()))
        reply = server.replies.pop(0) if server.replies else server.usual
        if reply.chunks is None and reply.then == "hang":
            self._hang(server)
            return
        if reply.chunks is None:
            self._whole(reply)
        else:
            self._stream(reply)
        if reply.then == "hang":
            self._hang(server)
        elif reply.then == "drop":
            # With this setting the connection is reset, as by a machine that went down.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True

    def _whole(self, reply: Reply) -> None:
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        # One who drops the connection promises more than comes.
        self.send_header("Content-Length", str(len(body) + (10 if reply.then == "drop" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in reply.chunks or ():
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.flush()
            time.sleep(reply.pause)
        if reply.then == "end":
            self.wfile.write(b"0\r\n\r\n")

    def _hang(self, server: FakeProvider) -> None:
        """Say nothing until released, or until the caller hangs up."""
        release, left = server.release, server.left
        server.hanging.set()
        self.connection.settimeout(0.02)
        while not release.is_set():
            try:
                if not self.connection.recv(1):
                    left.set()
                    break
            except TimeoutError:
                continue
            except OSError:
                left.set()
                break
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass


@contextmanager
def running(server: FakeProvider) -> Iterator[FakeProvider]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()
