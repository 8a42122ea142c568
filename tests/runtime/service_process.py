"""The service as a process, over real HTTP, on a store in a folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from controlplane.runtime.stores.file import FileStore
from tests.runtime import coaching
from tests.runtime.serving import publish

COACHING = {
    "conversation_id": "c-1",
    "topic": "goals",
    "user_message": "Are our values real?",
    "interaction_code": "COACHING_RESPONSE",
    "user_tier": "premium",
    "user_id": "u-1",
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


def _answer(status: int, response: Any) -> Answer:
    body = response.read().decode()
    is_json = "json" in response.headers["content-type"]
    return Answer(status, dict(response.headers), json.loads(body) if is_json else body)


class Service:
    def __init__(self, folder: Path, **environ: str) -> None:
        self.store = FileStore(folder / "releases")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.runtime.service"],
            env={
                "PATH": os.environ["PATH"],
                "RUNTIME_PORT": str(self.port),
                "CONTROLPLANE_STORE_DIRECTORY": str(folder / "releases"),
                "CONTROLPLANE_HOME": str(folder / "home"),
                "CONTROLPLANE_POLL_SECONDS": "0.05",
                "CONTROLPLANE_PROVIDERS": "echo",
                **environ,
            },
        )

    def publish(self, environment: str, release: int, entries: coaching.Documents | None = None) -> None:
        publish(self.store, release, coaching.release(entries), environment=environment)

    def ask(self, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers or {}
        )
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return _answer(response.status, response)
        except urllib.error.HTTPError as problem:
            with problem:
                return _answer(problem.code, problem)

    def wait_for(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 40
        while True:
            assert self.process.poll() is None, "the service has ended"
            try:
                if holds():
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def problem_of(answer: Answer) -> Any:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    assert answer.body["status"] == answer.status
    return answer.body
