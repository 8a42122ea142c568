"""A real browser, and what it stands in front of: the whole product as `./run` starts it, or the site on a database of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.serving import ThreadedWSGIServer

from controlplane.config import Settings
from controlplane.web.app import create_app
from tests import site

ROOT = Path(__file__).resolve().parents[2]
AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
EMAIL, PASSWORD = "ada@example.com", site.PASSWORD
ADA, BEN = EMAIL, "ben@example.com"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_LIMIT = 120
# Nothing here is a promise about time; a busy machine only must not look like a fault.
expect.set_options(timeout=15_000)


@dataclass
class Running:
    """The started product and where it answers."""

    site: str
    runtime: str
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def restart(self) -> None:
        """Stop everything and start it again on the same home."""
        stop(self.process)
        self.process = start(self.environment, self.log)

    def resolve(self, **asked: str) -> dict[str, Any]:
        query = urllib.parse.urlencode({"environment": "production", **asked})
        return ask(f"{self.runtime}/v1/resolve?{query}")

    def versions(self, units: list[str], **asked: str) -> dict[str, int]:
        """Which version each unit gets, asked of the runtime in one go."""
        body = {"environment": "production", "units": units, **asked}
        answer = ask(f"{self.runtime}/v1/resolve/batch", body)
        return {unit: row[0] for unit, row in zip(units, answer["results"], strict=True)}

    def release(self) -> int:
        return int(ask(f"{self.runtime}/healthz")["environments"]["production"]["release"])

    def wait_for_release(self, number: int) -> None:
        """Until the runtime serves this release; the promise is six seconds, a busy machine gets more."""
        deadline = time.monotonic() + 30
        while self.release() < number:
            assert time.monotonic() < deadline, f"the runtime never got release {number}"
            time.sleep(0.1)


def ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """JSON from the runtime's HTTP service; any status but 200 is an error."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """What `./run` does once its packages are there."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_LIMIT
    seen = log.read_text().count("Ready after")
    while log.read_text().count("Ready after") == seen:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="controlplane-walk-", dir="/tmp"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def running(stack_home: Path, browser: Browser) -> Iterator[Running]:
    """The product, started once; asks for the browser first, so that nothing is started when there is none."""
    port, runtime = free_port(), free_port()
    unset = {"DATABASE_URL", "AWS_ENDPOINT_URL", "CONTROLPLANE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {
        "CONTROLPLANE_HOME": str(stack_home),
        "PORT": str(port),
        "RUNTIME_PORT": str(runtime),
        "ADMIN_EMAIL": EMAIL,
        "ADMIN_PASSWORD": PASSWORD,
    }
    log = stack_home / "run.log"
    process = start(environment, log)
    running = Running(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{runtime}", log, environment, process)
    yield running
    stop(running.process)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(
            "no Chromium on this machine: install Debian's package `chromium` to run the browser tests"
        )
    arguments = ["--disable-quic", "--disable-background-networking", "--no-first-run"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses its sandbox to root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which a refused script, style or request is a failed test."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)) if is_fault(str(error)) else None)
    yield page
    assert complaints == []


def is_complaint(message: ConsoleMessage) -> bool:
    return message.type in {"error", "warning"} and is_fault(message.text)


def is_fault(told: str) -> bool:
    """Whether what a page complains of is one.

    A refused form answers 422, which Chromium reports as a failed resource: that is our contract. And a page may be left
    before its fading in had begun, which a slow machine makes likely.
    """
    return "status of 422" not in told and "ransition" not in told


Open = Callable[..., Page]


@pytest.fixture
def address(engine: Engine, cheap_passwords: None) -> Iterator[str]:
    """The site on a database of its own, with two editors, really served."""
    with Session(engine) as session:
        site.add_person(session, "editor", email=ADA, name="Ada")
        site.add_person(session, "editor", email=BEN, name="Ben")
    app = create_app(
        Settings.from_environment(site.SETTINGS), sessions=lambda: Session(engine, expire_on_commit=False)
    )
    server = ThreadedWSGIServer("127.0.0.1", 0, app)
    # What is being answered when a page is closed, a draft on its way say, is waited for: else it outlives its database.
    server.daemon_threads = False
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(address: str, browser: Browser) -> Iterator[Open]:
    """A browser of one's own in which somebody signed in; anything the console complains of fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(path: str, *, email: str = ADA, script: bool = True) -> Page:
        context = browser.new_context(base_url=address, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: complaints.append(message.text) if is_complaint(message) else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"/sign-in?next={path}")
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Chromium reports an answer of status 409 as an error of the page; it is what we mean to send. So is 401 to a draft that
    # was on its way when somebody signed out.
    meant = ("status of 409", "status of 401")
    assert [each for each in complaints if is_fault(each) and not any(words in each for words in meant)] == []


def sign_in(page: Page, running: Running, email: str = EMAIL, password: str = PASSWORD) -> None:
    page.goto(f"{running.site}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
