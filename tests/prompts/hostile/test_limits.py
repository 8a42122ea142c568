"""What holds the child that waits for the next job, as the system tells it: asked of the process, not of the code."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.prompts.render_pool import RenderPool
from controlplane.prompts.render_worker import MEMORY_BYTES

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
def waiting_child() -> Iterator[Path]:
    """The child that a worker keeps ready, in /proc."""
    pool = RenderPool(workers=1)
    pool.preview("x", {}, ())
    (worker,) = pool._idle
    yield next(children_of(worker._process.pid))
    pool.close()


def test_the_child_that_waits_has_its_limits_already(waiting_child: Path) -> None:
    told = limits_of(waiting_child)
    for _ in range(200):
        if told["Max open files"] == ("1", "1"):
            break
        threading.Event().wait(0.02)  # it is being forked, or sets its limits just now
        told = limits_of(waiting_child)
    assert {name: told[name] for name in LIMITS} == LIMITS
    status = waiting_child.joinpath("status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert re.search(r"^Threads:\t1$", status, re.MULTILINE)


def limits_of(process: Path) -> dict[str, tuple[str, str]]:
    lines = process.joinpath("limits").read_text().splitlines()[1:]
    return {line[:25].strip(): (line[26:46].strip(), line[47:67].strip()) for line in lines}


def children_of(pid: int) -> Iterator[Path]:
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield Path(f"/proc/{number}")
