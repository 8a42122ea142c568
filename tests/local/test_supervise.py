"""`./run` with small programs in the places of the real ones: what it shows, how it ends, what it survives."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from controlplane.config import Settings
from controlplane.local import addresses, alone, database, keys, ports, processes, supervise
from controlplane.local.postgres import temporary

# What a busy machine is given, in seconds. How long the supervisor itself waits stands in its constants.
PATIENCE = 30

# The programs of the plan: `home` collects what they want to tell, `web` answers on its port.
START = """
import os, sys
from controlplane.config import Settings
from controlplane.local.plan import Child, Plan
from controlplane.local.supervise import Supervisor

python = (sys.executable, "-c")
settings = Settings.from_environment(os.environ)
home, port = str(settings.home), settings.port
serve = '''
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''
stubborn = '''
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
time.sleep(600)
'''
broken = "import sys; print('no such thing as a table'); sys.exit(3)"
prepare = '''
import json, os
seen = {name: os.environ.get(name) for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD", "DATABASE_URL")}
open(os.environ["CONTROLPLANE_HOME"] + "/told.json", "w").write(json.dumps(seen))
print("loading")
print(json.dumps({"created_admin": True, "email": seen["ADMIN_EMAIL"]}))
'''
second = {"stubborn": stubborn, "broken": broken, "idle": "import time; time.sleep(600)"}[os.environ["SECOND"]]
plan = Plan(
    environment={"CONTROLPLANE_HOME": home, "PORT": str(port)},
    ports={"PORT": port},
    embedded_postgres=os.environ["POSTGRES"] == "yes",
    emulator=Child("aws", (*python, stubborn)) if os.environ.get("EMULATOR") else None,
    prepare=(*python, prepare),
    children=(
        Child("web", (*python, serve), f"http://127.0.0.1:{port}/healthz"),
        Child("second", (*python, second)),
    ),
)
sys.exit(Supervisor(settings, plan, os.environ).run())
"""


def test_the_start_ends_with_one_block_that_says_where_everything_is(home: Path, start: "Start") -> None:
    run = start()

    shown = run.until("Ctrl-C")

    assert f"Control plane  http://127.0.0.1:{run.port}" in shown
    assert "Sign in        admin@example.com, password " in shown
    assert f"Logs           {home / 'logs'}" in shown


def test_a_password_that_was_made_up_is_the_one_that_the_preparation_was_told(
    home: Path, start: "Start"
) -> None:
    shown = start().until("Ctrl-C")

    told = json.loads((home / "told.json").read_text())
    assert f"password {told['ADMIN_PASSWORD']} " in shown


def test_a_password_that_was_given_is_not_shown(start: "Start") -> None:
    shown = start(ADMIN_EMAIL="ada@example.com", ADMIN_PASSWORD="correct horse").until("Ctrl-C")

    assert "ada@example.com, with the password from ADMIN_PASSWORD" in shown
    assert "correct horse" not in shown


def test_the_programs_are_given_a_database_that_answers(home: Path, start: "Start") -> None:
    start(POSTGRES="yes").until("Ctrl-C")

    url = json.loads((home / "told.json").read_text())["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("controlplane",)


@pytest.mark.parametrize(
    ("number", "postgres"), [(signal.SIGINT, "no"), (signal.SIGTERM, "yes"), (signal.SIGHUP, "no")]
)
def test_one_signal_ends_everything(
    number: signal.Signals, postgres: str, home: Path, start: "Start"
) -> None:
    run = start(POSTGRES=postgres)
    run.until("Ctrl-C")
    assert len(_supervised(home)) == 2

    run.process.send_signal(number)

    assert run.process.wait(PATIENCE) == 0
    assert _supervised(home) == []
    assert processes.working_in((home / "postgres" / "data").resolve()) == []
    assert addresses.read(home) is None


def test_what_will_not_end_is_waited_for_less_than_five_seconds() -> None:
    assert supervise._GRACE_SECONDS + supervise._LEFTOVER_SECONDS < supervise._STOP_SECONDS < 5


def test_a_child_that_will_not_end_and_its_own_child_are_ended(home: Path, start: "Start") -> None:
    run = start(SECOND="stubborn")
    run.until("Ctrl-C")
    assert processes.wait_until(lambda: len(_supervised(home)) == 3, PATIENCE)

    run.process.terminate()

    assert run.process.wait(PATIENCE) == 0
    assert _supervised(home) == []


def test_everything_that_will_not_end_together_still_ends(home: Path, start: "Start") -> None:
    run = start(SECOND="stubborn", EMULATOR="stubborn", POSTGRES="yes")
    run.until("Ctrl-C")
    assert processes.wait_until(lambda: len(_supervised(home)) == 5, PATIENCE)
    data = (home / "postgres" / "data").resolve()
    server = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGSTOP)  # a database that is slow to end

    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(PATIENCE) == 0
    assert _supervised(home) == []
    assert processes.working_in(data) == []


@pytest.mark.parametrize("postgres", ["yes", "no"])
def test_a_database_that_does_not_answer_stops_the_start_with_one_line(
    postgres: str, home: Path, start: "Start"
) -> None:
    run = start(POSTGRES=postgres, DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/app")

    assert run.process.wait(PATIENCE) == 1
    run.reader.join()

    assert run.output.strip() == "Cannot start: DATABASE_URL: nothing answers at 127.0.0.1:1."
    assert _supervised(home) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/app", "nothing answers at 127.0.0.1:1."),
        ("postgresql://u:x@hunter2@127.0.0.1:1/app", "nothing answers at 127.0.0.1:1."),
        ("postgresql://u:p@127.0.0.1:1/app?hunter2=1", "cannot be read; "),
    ],
)
def test_what_is_said_about_a_database_has_no_password_in_it(url: str, said: str) -> None:
    obstacle = database.obstacle(url)

    assert obstacle is not None
    assert obstacle.startswith(said)
    assert "hunter2" not in obstacle
    assert "\n" not in obstacle


def test_a_database_that_lets_nobody_in_says_why() -> None:
    with temporary() as url:
        wrong = re.sub(r":[^:@]+@", ":hunter2@", url)
        assert database.obstacle(url) is None

        assert 'refuses: password authentication failed for user "controlplane".' in str(
            database.obstacle(wrong)
        )


def test_a_second_start_on_the_same_home_says_so_and_leaves_the_first_alone(
    home: Path, start: "Start"
) -> None:
    first = start()
    first.until("Ctrl-C")

    second = start(PORT=str(ports.any_free()))

    assert second.process.wait(PATIENCE) == 1
    assert f"process {first.process.pid} runs on {home} already" in second.output
    assert first.process.poll() is None
    assert len(_supervised(home)) == 2


def test_a_port_in_use_stops_the_start_and_names_the_variable(start: "Start") -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = start(PORT=str(port))
        assert run.process.wait(PATIENCE) == 1

    assert f"Cannot start: port {port} is taken by another program." in run.output
    assert "PORT=" in run.output


def test_a_child_that_ends_during_the_start_ends_the_start_and_shows_its_last_words(
    home: Path, start: "Start"
) -> None:
    run = start(SECOND="broken")

    assert run.process.wait(PATIENCE) == 1

    assert "Cannot start: second ended with status 3" in run.output
    assert "no such thing as a table" in run.output
    assert _supervised(home) == []


def test_a_start_that_fails_still_shows_the_password_it_made_up(home: Path, start: "Start") -> None:
    run = start(SECOND="broken")
    run.process.wait(PATIENCE)

    assert json.loads((home / "told.json").read_text())["ADMIN_PASSWORD"] in run.output


def test_a_child_that_dies_later_is_started_again_and_a_line_says_so(home: Path, start: "Start") -> None:
    run = start()
    run.until("Ctrl-C")
    before = set(_supervised(home))

    os.kill(min(before), signal.SIGKILL)

    run.until("was killed by SIGKILL; starting it again")
    assert processes.wait_until(lambda: len(set(_supervised(home)) - before) == 1, PATIENCE)


def test_a_database_that_dies_later_is_started_again_at_the_same_address(home: Path, start: "Start") -> None:
    run = start(POSTGRES="yes")
    run.until("Ctrl-C")
    url = json.loads((home / "told.json").read_text())["DATABASE_URL"]
    data = (home / "postgres" / "data").resolve()

    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    assert processes.wait_until(lambda: _connects(url) and "Postgres ended" in run.output, PATIENCE)


def test_after_killing_the_supervisor_nothing_stays(home: Path, start: "Start") -> None:
    run = start()
    run.until("Ctrl-C")

    run.process.kill()

    assert processes.wait_until(lambda: not _supervised(home), PATIENCE)


def test_after_killing_everything_a_new_start_takes_over_at_once(home: Path, start: "Start") -> None:
    first = start(POSTGRES="yes", SECOND="stubborn")
    first.until("Ctrl-C")
    assert processes.wait_until(lambda: len(_supervised(home)) == 3, PATIENCE)
    first.process.kill()  # and what ignores its end goes on running

    second = start(POSTGRES="yes", PORT=str(first.port))

    second.until("Ctrl-C")
    assert len(_supervised(home)) == 2


def test_the_note_of_addresses_is_for_its_owner_alone(home: Path, start: "Start") -> None:
    start().until("Ctrl-C")

    assert stat.S_IMODE((home / "addresses.json").stat().st_mode) == 0o600


def test_a_single_program_joins_the_running_home(home: Path, start: "Start") -> None:
    start(POSTGRES="yes").until("Ctrl-C")
    url = json.loads((home / "told.json").read_text())["DATABASE_URL"]
    settings = Settings.from_environment({"CONTROLPLANE_HOME": str(home)})

    environment = alone.environment_for(settings, {"PATH": "/bin", "PORT": "8123", "AWS_PROFILE": "work"})

    assert environment["DATABASE_URL"] == url
    assert environment["PORT"] == "8123"


def test_a_single_program_with_a_key_of_its_own_is_not_told_of_the_home_s(home: Path) -> None:
    home.mkdir()
    lock = addresses.home_lock(home)
    assert lock.take(wait=False)
    addresses.write(home, {"PORT": "8000", **keys.variables(home)})
    settings = Settings.from_environment({"CONTROLPLANE_HOME": str(home)})

    told = alone.environment_for(settings, {"CONTROLPLANE_PUBLIC_KEYS": "mine:key"})

    lock.drop()
    assert told == {"PORT": "8000", "CONTROLPLANE_PUBLIC_KEYS": "mine:key"}


def test_a_single_program_without_a_running_home_says_what_it_needs(home: Path) -> None:
    home.mkdir()
    settings = Settings.from_environment({"CONTROLPLANE_HOME": str(home)})

    with pytest.raises(SystemExit, match=r"start \./run first, or set DATABASE_URL"):
        alone.environment_for(settings, {})


def test_a_single_program_with_a_database_takes_the_environment_as_it_is(home: Path) -> None:
    said = {"DATABASE_URL": "postgresql://u:p@db/app", "CONTROLPLANE_HOME": str(home)}

    assert alone.environment_for(Settings.from_environment(said), said) == said


@dataclass
class Run:
    """A supervisor in a process of its own; its output is read as it comes."""

    process: "subprocess.Popen[str]"
    port: int
    output: str = ""
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line

    def until(self, words: str) -> str:
        assert processes.wait_until(lambda: words in self.output, 30), self.output
        return self.output


Start = Callable[..., Run]


@pytest.fixture
def home(closed_to_nobody: Path) -> Path:
    return closed_to_nobody / "home"


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    runs = []

    def start(**environment: str) -> Run:
        port = int(environment.setdefault("PORT", str(ports.any_free())))
        known = {"SECOND": "idle", "POSTGRES": "no", "CONTROLPLANE_HOME": str(home)}
        process = subprocess.Popen(
            [sys.executable, "-c", START],
            env={"PATH": os.environ["PATH"], **known, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        runs.append(Run(process, port))
        return runs[-1]

    yield start
    for run in runs:
        run.process.terminate()
        run.process.wait()
        run.reader.join()
    processes.end(lambda: _supervised(home), ((signal.SIGKILL, 5.0),))


def _supervised(home: Path) -> list[int]:
    return processes.carrying("CONTROLPLANE_SUPERVISED", str(home))


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
