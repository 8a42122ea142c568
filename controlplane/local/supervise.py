"""What `./run` does: start everything, say where it is, keep it running, and end all of it.

The order of things is in `Supervisor.run`. Children are started from the main thread only: the kernel ties a child's
life to the thread that started it.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from controlplane.config import Settings, SettingsError
from controlplane.local import addresses, database, ports, processes
from controlplane.local.children import Running, ended, keep_short, kill_group, last_lines, spawn
from controlplane.local.plan import FIRST_ADMINISTRATOR, Child, Plan, plan_for, told
from controlplane.local.postgres import Postgres, PostgresError

_MARK = "CONTROLPLANE_SUPERVISED"  # tells the children of a home from all other processes, after a crash
_READY_SECONDS = 90.0
# From the signal to the last process, so that even on a busy machine everything ends within five seconds ...
_STOP_SECONDS = 4.2
_GRACE_SECONDS = 2.2  # ... of which the children have so much; the rest is the database's
_LEFTOVER_SECONDS = 0.3
_TICK_SECONDS = 0.1


class StartError(Exception):
    """The start cannot go on; the text says why and what to do."""


class _Told(BaseException):
    """Raised in the main thread by the first signal, wherever it is, so that no wait has to look out for it."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The first administrator: who, and where the password is known from."""

    email: str
    password: str
    made_up: bool
    created: bool

    def __str__(self) -> str:
        """One line for the block at the end of the start."""
        if not self.created:
            return "as before; the first administrator exists already"
        if self.made_up:
            return f"{self.email}, password {self.password} (made up now and not shown again)"
        return f"{self.email}, with the password from ADMIN_PASSWORD"


class Supervisor:
    """Runs one plan on one home until told to stop."""

    def __init__(self, settings: Settings, plan: Plan, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._plan = plan
        self._home = settings.home
        self._logs = settings.home / "logs"
        # For the preparation alone: nobody who serves people has to know these.
        secret = {"ADMIN_EMAIL": None, "ADMIN_PASSWORD": None, "DATABASE_OWNER_URL": None}
        self._environment = told(environment, {**plan.environment, **secret, _MARK: str(settings.home)})
        self._owner_url = settings.database_owner_url
        self._lock = addresses.home_lock(settings.home)
        self._postgres = Postgres(settings.home / "postgres", log=self._logs / "postgres.log")
        self._running: list[Running] = []
        self._step: subprocess.Popen[bytes] | None = None
        self._began = time.monotonic()
        self._sign_in: SignIn | None = None
        self._shown = False
        self._signalled: float | None = None

    def run(self) -> int:
        """Everything from the first line to the last process; returns the exit status."""
        self._listen()
        status = 0
        try:
            self._claim_home()
            self._start_parts()
            self._prepare()
            self._start_children()
            self._show()
            self._watch()
        except _Told:
            self._say("Stopping …")
        except (StartError, PostgresError) as error:
            print(f"\nCannot start: {error}", file=sys.stderr, flush=True)
            status = 1
        finally:
            self._stop()
        return status

    # --- before anything runs -------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN):  # nohup is to be obeyed
                signal.signal(number, self._told)

    def _told(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self._signalled = time.monotonic()
        self._be_deaf()
        raise _Told

    def _be_deaf(self) -> None:
        """From here on a signal more would only interrupt the stopping."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _claim_home(self) -> None:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            claimed = self._lock.take(wait=False)
        except OSError as error:
            raise StartError(
                f"{self._home} cannot be used ({error.strerror}): set CONTROLPLANE_HOME."
            ) from error
        if not claimed:
            raise StartError(
                f"process {self._lock.owner()} runs on {self._home} already. "
                "Stop that one first, or set CONTROLPLANE_HOME (and PORT, RUNTIME_PORT) to run a second."
            )
        addresses.remove(self._home)
        self._end_leftovers(1.0)
        self._check_ports()
        if self._settings.database_url is not None and (
            obstacle := database.obstacle(self._settings.database_url)
        ):
            raise StartError(f"DATABASE_URL: {obstacle}")

    def _end_leftovers(self, grace: float) -> None:
        """What a killed supervisor, or a killed child, left on this home; nobody else holds it: we have the lock."""
        steps = ((signal.SIGTERM, grace), (signal.SIGKILL, 3.0))
        if not processes.end(lambda: processes.carrying(_MARK, str(self._home)), steps):
            raise StartError("processes of an earlier run cannot be ended.")

    def _check_ports(self) -> None:
        for variable, port in self._plan.ports.items():
            if obstacle := ports.obstacle(port):
                raise StartError(
                    f"port {port} {obstacle}. Choose another one (or end what is in the way): "
                    f"{variable}={ports.any_free()} ./run"
                )

    # --- starting -------------------------------------------------------------------------------------------------

    def _start_parts(self) -> None:
        """Postgres and the emulator side by side: each takes a second or two."""
        parts = [*(["Postgres"] if self._plan.embedded_postgres else [])]
        if self._plan.emulator is not None:
            parts.append("the AWS emulator")
            self._start(self._plan.emulator)
        if parts:
            self._say(f"Starting {' and '.join(parts)} …")
        if self._plan.embedded_postgres:
            keep_short(self._logs / "postgres.log")
            self._owner_url = self._postgres.start()
            self._environment["DATABASE_URL"] = self._postgres.application_url()

    def _prepare(self) -> None:
        self._say("Preparing the database …")
        made_up = self._settings.admin_password is None
        email = self._settings.admin_email or FIRST_ADMINISTRATOR
        password = self._settings.admin_password or secrets.token_urlsafe(12)
        secret = {"ADMIN_EMAIL": email, "ADMIN_PASSWORD": password}
        if self._owner_url is not None:
            secret["DATABASE_OWNER_URL"] = self._owner_url
        said = self._complete("prepare", self._plan.prepare, {**self._environment, **secret})
        try:
            answer = json.loads(said.splitlines()[-1])
            self._sign_in = SignIn(
                answer["email"], password, made_up=made_up, created=answer["created_admin"]
            )
        except (IndexError, ValueError, KeyError) as error:
            raise StartError(f"the preparation did not say who may sign in, but {said!r}.") from error

    def _complete(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a program to its end and return what it printed; its complaints go to its log."""
        log = self._logs / f"{name}.log"
        keep_short(log)
        with log.open("ab") as errors:
            self._step = spawn(arguments, environment, stdout=subprocess.PIPE, stderr=errors.fileno())
        said, _ = self._step.communicate()
        status, self._step = self._step.returncode, None
        if status != 0:
            raise StartError(f"{name} {ended(status)}; the end of {log}:\n{last_lines(log)}")
        return said.decode(errors="replace").strip()

    def _start_children(self) -> None:
        self._wait_ready(self._running)  # the emulator, which the children need at once
        self._say(f"Starting {_listed([child.name for child in self._plan.children])} …")
        for child in self._plan.children:
            self._start(child)
        self._wait_ready(self._running)
        environment = {name: self._environment.get(name) for name in self._plan.environment}
        database = {
            "DATABASE_URL": self._environment.get("DATABASE_URL"),
            "DATABASE_OWNER_URL": self._owner_url,
        }
        addresses.write(self._home, {**environment, **database})

    def _start(self, child: Child) -> None:
        running = Running(child, self._environment, self._logs)
        self._running.append(running)
        running.start()

    def _wait_ready(self, waiting: Sequence[Running]) -> None:
        """Wait until all answer. One that ends meanwhile ends the start: the same would only happen again."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            for running in self._running:
                if (status := running.status) is not None:
                    raise StartError(_obituary(running, ended(status)))
            waiting = [running for running in waiting if not running.ready]
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise StartError(_obituary(waiting[0], f"does not answer after {_READY_SECONDS:.0f} s"))
            time.sleep(_TICK_SECONDS)

    # --- running --------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        rows = {
            "Control plane": f"http://{ports.HOST}:{self._settings.port}",
            "Runtime": f"http://{ports.HOST}:{self._settings.runtime_port}",
            "Sign in": str(self._sign_in),
            "Data": self._where_data_live(),
            "Logs": str(self._logs),
            "Stop": "Ctrl-C",
        }
        took = time.monotonic() - self._began
        lines = "\n".join(f"  {name:<15}{value}" for name, value in rows.items())
        print(f"\nReady after {took:.1f} s.\n\n{lines}\n", flush=True)
        self._shown = True

    def _where_data_live(self) -> str:
        if not self._plan.embedded_postgres:
            return "in the Postgres of DATABASE_URL"
        inside = self._postgres.data.is_relative_to(self._home)
        return str(self._home) if inside else f"{self._home}, and {self._postgres.data}"

    def _watch(self) -> None:
        while True:
            if self._postgres.exited:
                self._say("Postgres ended unexpectedly; starting it again")
                if self._postgres.start() != self._owner_url:
                    raise StartError("Postgres lost its port meanwhile; start again.")
            for running in self._running:
                if news := running.revive():
                    self._say(news)
            time.sleep(_TICK_SECONDS)

    def _say(self, line: str) -> None:
        print(f"[{time.monotonic() - self._began:5.1f} s] {line}", flush=True)

    # --- stopping -------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """End all of it by one deadline; the database last, when nobody writes any more."""
        self._be_deaf()
        began = time.monotonic() if self._signalled is None else self._signalled
        grace, deadline = began + _GRACE_SECONDS, began + _STOP_SECONDS
        if self._sign_in is not None and self._sign_in.created and self._sign_in.made_up and not self._shown:
            print(f"\nThe first administrator was made: {self._sign_in}", flush=True)
        if self._step is not None:
            kill_group(self._step)
        for running in self._running:
            running.ask_to_end()
        emulator = [running for running in self._running if running.child is self._plan.emulator]
        for running in self._running:
            if running not in emulator:
                running.wait(grace)
        self._postgres.ask_to_end()
        for running in emulator:
            running.wait(grace)
        try:
            if self._lock.held:
                addresses.remove(self._home)
                self._end_leftovers(_LEFTOVER_SECONDS)
        finally:
            self._postgres.stop(deadline)
            self._lock.drop()


def _obituary(running: Running, how: str) -> str:
    return f"{running.child.name} {how}; the end of {running.log}:\n{last_lines(running.log)}"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def main() -> int:
    """Start everything as the environment says; returns the exit status."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"Cannot start: {error}", file=sys.stderr)
        return 1
    return Supervisor(settings, plan_for(settings, os.environ), os.environ).run()


if __name__ == "__main__":
    sys.exit(main())
