"""A preview while somebody types: by the render workers, at the server, and what hostile ones do to other people's pages.

The server is the real one, with its processes and threads, on a database with the first data. Between two previews there
is a moment, as between two keys: a worker's next child is ready by then.

Floor: for a preview, the same text compiled and rendered in this process; for other pages, the same pages while nobody
previews.

Limits: by the workers at most 1.5 × the floor; at the server at most 60 ms for 95 of 100; other pages, while twenty hostile
previews are asked for at once and again, at most twice what they take otherwise.
"""

import http.client
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.render import DECLARED, PROMPT, VALUES
from bench.timing import in_turns, percentile
from controlplane.accounts import passwords, services
from controlplane.accounts.actor import Actor, Role
from controlplane.db import make_engine, transaction
from controlplane.local.plan import web
from controlplane.local.ports import any_free
from controlplane.local.postgres import temporary
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.runtime.renderer import preview
from controlplane.web.cli import load_first_data, migrate

_EMAIL, _PASSWORD = "bench@example.com", "a-password-of-a-benchmark"
# The interaction of the first data declares other parameters than this prompt takes: its text, with the one that both have.
_AS_LONG = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "{{ user_message }}", PROMPT)
_BETWEEN_KEYS = 0.03
_AT_ONCE = 20
_PREVIEW = "/_/production/templates/coaching_response/preview"
_PAGES = ("/production/templates", "/production/templates/coaching_response", "/production/configurations")
# Within every bound of the renderer, and yet seconds of a processor.
HOSTILE = (
    "{% set w = 'ab' ~ range(20)|join('-') %}{% for i in range(30) %}{% for j in range(1000) %}"
    "{% set a = w|title|upper|title|upper|title|upper|title|upper|title|upper|title|upper|title|upper %}"
    "{% endfor %}{% endfor %}y"
)


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    calls = max(2, effort.calls // 20)
    figures = [_by_the_workers(effort)]
    with _server() as port:
        client = _Client(port)
        client.sign_in()
        floor = percentile([_timed(_in_process) for _ in range(calls)], 50)
        form = {"body": _AS_LONG, "value-user_message": VALUES["user_message"]}
        found = [_timed(lambda: client.post(_PREVIEW, form), pause=_BETWEEN_KEYS) for _ in range(calls)]
        figures += [
            _milliseconds("at the server, half of them", percentile(found, 50), floor),
            _milliseconds("at the server, 95 of 100", percentile(found, 95), floor, Limit(60, of="here")),
        ]
        pages = [partial(client.get, page) for _ in range(calls) for page in _PAGES]
        idle = [_timed(page) for page in pages]
        with _attack(client):
            busy = [_timed(page) for page in pages]
    name = f"other pages beside {_AT_ONCE} hostile previews, 95 of 100"
    figures.append(_milliseconds(name, percentile(busy, 95), percentile(idle, 95), Limit(2)))
    return figures


def _by_the_workers(effort: Effort) -> Figure:
    pool = RenderPool()
    try:
        if pool.preview(PROMPT, VALUES, DECLARED) != preview(PROMPT, VALUES, DECLARED):
            raise AssertionError("the two say different things, so their times say nothing")
        pair = in_turns(
            lambda: _timed(lambda: pool.preview(PROMPT, VALUES, DECLARED), pause=_BETWEEN_KEYS),
            lambda: _timed(_in_process, pause=_BETWEEN_KEYS),
            rounds=effort.rounds * 2,
        )
    finally:
        pool.close()
    return _milliseconds("by the workers, 60 lines", pair.subject, pair.floor, Limit(1.5))


def _in_process() -> object:
    return preview(PROMPT, VALUES, DECLARED)


def _timed(work: Callable[[], object], *, pause: float = 0) -> float:
    """Return the milliseconds of the wall: the work is done in another process."""
    time.sleep(pause)
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _milliseconds(name: str, here: float, floor: float, limit: Limit | None = None) -> Figure:
    return Figure(name, here, "ms", floor, here / floor, limit)


class _Client:
    """Somebody who has signed in, with a connection for each request, as a browser that opens pages has some."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = ""

    def sign_in(self) -> None:
        """Sign in; the first pages are drawn, too, so that what is measured is not the first time of anything."""
        answer = self._ask("POST", "/sign-in", urlencode({"email": _EMAIL, "password": _PASSWORD}))
        self._cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        for _ in range(8):
            for page in _PAGES:
                self.get(page)
            self.post(_PREVIEW, {"body": "x"})

    def get(self, path: str) -> None:
        """Open a page; anything but the page is a mistake of the benchmark."""
        if (status := self._ask("GET", path).status) != 200:
            raise AssertionError(f"{path} answers {status}")

    def post(self, path: str, form: dict[str, str]) -> int:
        """Send a form; return the status."""
        return self._ask("POST", path, urlencode(form)).status

    def _ask(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Sec-Fetch-Site": "same-origin", "Cookie": self._cookie}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        return answer


@contextmanager
def _attack(client: _Client) -> Iterator[None]:
    """Have twenty hostile previews asked for at once, and each again when it is answered, or when the answer says so."""
    over = threading.Event()

    def attack() -> None:
        while not over.is_set():
            if client.post(_PREVIEW, {"body": HOSTILE}) == 429:
                over.wait(RenderBusy.retry_after)

    threads = [threading.Thread(target=attack, daemon=True) for _ in range(_AT_ONCE)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(10)


@contextmanager
def _server() -> Iterator[int]:
    with temporary() as url, TemporaryDirectory() as home:
        migrate(url)
        engine = make_engine(url)
        try:
            load_first_data(engine)
            actor = Actor.system("bench", via="command line")
            with transaction(engine) as session:
                person, _ = services.add_person(
                    session, email=_EMAIL, name="Bench", role=Role.EDITOR, actor=actor
                )
                person.password_hash = passwords.hash_password(_PASSWORD)
        finally:
            engine.dispose()
        port = any_free()
        environ = {
            **os.environ,
            "DATABASE_URL": url,
            "CONTROLPLANE_HOME": home,
            "CONTROLPLANE_SECURE_COOKIES": "false",
        }
        process = subprocess.Popen(
            web(port), env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int) -> None:
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError("the server did not start")
