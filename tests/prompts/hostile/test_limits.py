"""What holds the child that waits for the next job, as the system tells it: asked of the process, not of the code."""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.prompts.render_confinement import MEMORY_BYTES
from controlplane.prompts.render_pool import RenderPool

pytestmark = pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs /proc")

LIMITS = {
    "Max address space": (str(MEMORY_BYTES), str(MEMORY_BYTES)),
    "Max cpu time": ("1", "2"),
    "Max file size": ("0", "0"),
    "Max core file size": ("0", "0"),
    "Max processes": ("0", "0"),
    "Max open files": ("1", "1"),
}


@pytest.fixture
def worker() -> Iterator[int]:
    """The process of a worker that has done a job, and keeps a child ready for the next."""
    pool = RenderPool(workers=1)
    pool.preview("x", {}, ())
    (idle,) = pool._idle
    yield idle._process.pid
    pool.close()


def test_the_child_that_waits_has_its_limits_already(worker: int) -> None:
    child, told = waiting_child(worker)
    assert {name: told[name] for name in LIMITS} == LIMITS
    status = child.joinpath("status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert re.search(r"^Threads:\t1$", status, re.MULTILINE)


def waiting_child(worker: int) -> tuple[Path, dict[str, tuple[str, str]]]:
    """Return the worker's child in /proc, and its limits, as soon as the last of them stands."""
    told: dict[str, tuple[str, str]] = {}
    for _ in range(500):
        # The one before may be on its way out, and the one that waits be forked, or be setting its limits, just now.
        for child in children_of(worker):
            with contextlib.suppress(OSError):
                told = limits_of(child)
                if told.get("Max open files") == LIMITS["Max open files"]:
                    return child, told
        threading.Event().wait(0.02)
    raise AssertionError(f"no child of the worker came to wait under limits: {told}")


def limits_of(process: Path) -> dict[str, tuple[str, str]]:
    lines = process.joinpath("limits").read_text().splitlines()[1:]
    return {line[:25].strip(): (line[26:46].strip(), line[47:67].strip()) for line in lines}


def children_of(pid: int) -> Iterator[Path]:
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield Path(f"/proc/{number}")
