"""Children of the supervisor: started under guard in groups of their own, watched, started again, ended."""

import http.client
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from controlplane.local import guard
from controlplane.local.plan import Child

_LONGEST_PAUSE = 30.0
_SETTLED_SECONDS = 60.0  # who ran this long has proved that it can, and begins again with the shortest pause
_LOG_BYTES = 5_000_000


class Running:
    """One child and what became of it."""

    def __init__(self, child: Child, environment: Mapping[str, str], logs: Path) -> None:
        self.child = child
        self.log = logs / f"{child.name}.log"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = 0.0
        self._due: float | None = None

    def start(self) -> None:
        """Start it now."""
        keep_short(self.log)
        with self.log.open("ab") as log:
            self._process = spawn(
                self.child.arguments, self._environment, stdout=log.fileno(), stderr=log.fileno()
            )
        self._started = time.monotonic()
        self._due = None

    @property
    def status(self) -> int | None:
        """Its exit status once it has ended; nothing while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def ready(self) -> bool:
        """Whether it answers, if it has an address to answer at."""
        return self.child.answers is None or answers(self.child.answers)

    def revive(self) -> str | None:
        """If it has ended, start it again after a pause that doubles; what to tell the user, when there is news."""
        if self.status is None:
            return None
        now = time.monotonic()
        if self._due is None:
            settled = now - self._started >= _SETTLED_SECONDS
            self._pause = 1.0 if settled or not self._pause else min(self._pause * 2, _LONGEST_PAUSE)
            self._due = now + self._pause
            return f"{self.child.name} {ended(self.status)}; starting it again in {self._pause:.0f} s (see {self.log})"
        if now >= self._due:
            self.start()
        return None

    def ask_to_end(self) -> None:
        """Tell the child, and it alone: a server ends its own workers in its own good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for the end until the deadline, then end the whole group the hard way."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        kill_group(self._process)


def spawn(
    arguments: Sequence[str], environment: Mapping[str, str], *, stdout: int, stderr: int
) -> "subprocess.Popen[bytes]":
    """Start a program in a group of its own, so that Ctrl-C in the terminal reaches the supervisor alone."""
    return subprocess.Popen(
        guard.command(arguments, on_death=signal.SIGTERM),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a child's group, and collect the child."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(address: str) -> bool:
    """Whether this address says 200 now. Not through urllib, which would ask a proxy for our own machine."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ended(status: int) -> str:
    """How a program ended, in words."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def last_lines(path: Path, count: int = 20) -> str:
    """The end of a log."""
    with suppress(OSError), path.open(errors="replace") as file:
        return "".join(deque(file, count)).rstrip()
    return ""


def keep_short(log: Path) -> None:
    """Put a long log aside, in place of the one put aside before."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
