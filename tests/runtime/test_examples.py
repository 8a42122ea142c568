"""The example applications, run as the guide says, with echoes for models and a store in a folder."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime.canonical import digest
from controlplane.runtime.stores.file import FileStore
from tests.runtime import coaching, prometheus
from tests.runtime.publishing import Publisher

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = FileStore(tmp_path / "releases")
    bodies = {digest(body.encode()): body for body in (coaching.PROMPT, coaching.DEFAULT_PROMPT)}
    Publisher(store).publish(coaching.documents(), bodies)
    return store


def started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parents[1])]),
            "CONTROLPLANE_STORE_DIRECTORY": str(folder / "releases"),
            "CONTROLPLANE_PROVIDERS": "echo",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output_of(folder: Path, arguments: Sequence[str]) -> tuple[str, str]:
    with started(folder, *arguments) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.usefixtures("store")
def test_the_script_answers_and_says_why(tmp_path: Path) -> None:
    out, err = output_of(tmp_path, [str(EXAMPLES / "script.py"), "Are our values real?"])
    assert "Are our values real?" in json.loads(out)["messages"][0]["content"]
    assert err.strip() == "LARGE, release 1: premium has its own configuration; version 7 is its only variant"


@pytest.mark.usefixtures("store")
def test_the_function_answers_call_after_call(tmp_path: Path) -> None:
    event = {"tenant": "acme", "user": "u-1", "conversation": "c-1", "message": "Are our values real?"}
    program = (
        "import json, lambda_handler\n"
        f"first, second = (lambda_handler.handler({event!r}, None) for _ in range(2))\n"
        "print(json.dumps([first, second, lambda_handler.releases.state.hits]))\n"
    )
    first, second, hits = json.loads(output_of(tmp_path, ["-c", program])[0])
    assert (first["path"], first["release"]) == (second["path"], second["release"]) == ("configuration", 1)
    assert hits == 1


def test_the_application_serves_counts_and_tells(tmp_path: Path, store: FileStore) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with started(tmp_path, "-m", "uvicorn", "fastapi_app:app", "--port", str(port)) as process:
        try:
            answer = asked(port, "/coach/c-1?message=Hello", post=True)
            assert answer["release"] == 1
            assert json.loads(answer["text"])["model_id"] == "large-1"
            figures = prometheus.parse(asked(port, "/metrics"))
            assert figures["controlplane_call_seconds"].value("_count", interaction="COACHING_RESPONSE") == 1
            deadline = time.monotonic() + 20
            while not store.read_heartbeats("production"):
                assert time.monotonic() < deadline, "it did not tell of itself"
                time.sleep(0.05)
        finally:
            process.terminate()
    assert store.read_heartbeats("production") == {}


def asked(port: int, path: str, *, post: bool = False) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=b"" if post else None,
        headers={"X-Tenant": "acme", "X-User": "u-1"},
    )
    deadline = time.monotonic() + 40
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                body = response.read().decode()
                return json.loads(body) if "json" in response.headers["content-type"] else body
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "it did not start in time"
            time.sleep(0.05)
