"""Finding and ending processes by what they are, never by a remembered number: numbers are reused."""

import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_LINUX = platform.system() == "Linux"

Find = Callable[[], list[int]]


def working_in(directory: Path) -> list[int]:
    """Every living Postgres process whose working directory this is: a server, or backends that lost theirs."""
    wanted = str(directory)
    if _LINUX:
        return [pid for pid in _all() if _link(f"/proc/{pid}/cwd") == wanted]
    lsof = shutil.which("lsof") or "/usr/sbin/lsof"
    listing = subprocess.run(
        [lsof, "-w", "-a", "-d", "cwd", "-c", "postgres", "-Fpn"], capture_output=True, text=True, check=False
    )
    return list(_in_listing(listing.stdout.splitlines(), wanted))


def carrying(name: str, value: str) -> list[int]:
    """Every other living process that was started with this environment variable (Linux; elsewhere none are found)."""
    wanted = f"{name}={value}".encode()
    return [pid for pid in _all() if pid != os.getpid() and wanted in _environment(pid).split(b"\0")]


def end(find: Find, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Send each signal in turn to what `find` finds, giving it so many seconds; true once nothing is found."""
    for number, grace in steps:
        for pid in find():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_until(lambda: not find(), grace):
            return True
    return False


def wait_until(reached: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Ask until the answer is yes, at most so many seconds; the last answer is returned."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def _all() -> Iterator[int]:
    if _LINUX:
        yield from (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - one per process of the machine: a Path each would cost more than the call
    except OSError:  # gone, a zombie, or another user's
        return ""


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _in_listing(lines: Iterable[str], wanted: str) -> Iterator[int]:
    """Lines of `lsof -F`: `p123` opens a process, `n/path` names its directory."""
    pid = 0
    for line in lines:
        if line.startswith("p"):
            pid = int(line[1:])
        elif line == f"n{wanted}":
            yield pid
