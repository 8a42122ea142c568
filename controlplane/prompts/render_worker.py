"""The limited processes in which every author's text is parsed, compiled and rendered: never in one that serves the site.

Started as `python -m controlplane.prompts.render_worker` with an empty environment and a socket as its standard input. It
is small, has one thread, imports the runtime and nothing of the site, gives up its rights once, and from then on keeps a
*spare*: a child that was forked beforehand, has its limits, has tried a template so that its memory is its own, and waits.
A job goes to the spare, the answer goes to the site, the child is killed and the next one forked while the site is busy
with the answer. So a job waits for neither a fork nor an import, and a child that was attacked takes nothing with it into
the next job: one child, one job.

What holds a child: 512 MiB of address space, one second of wall time, four where a save waits for it (this process kills it), one to two seconds of
processor time should this process be gone, no files, no further processes, no network where the kernel allows that, no
environment, nobody's rights when the site runs as root, a ceiling on the answer. The sandbox inside the renderer is the
seat belt; this is the wall.

A job has *units*: a set of values to render a template with, or a text to look at. Each is answered by itself as soon as it
is done, and one second of a processor is shared among them: a unit that takes more than its share is ended and tried once
more after the others, with what is left. So a unit that fails, whatever it does, hides no other.

What is said on the socket is in `render_jobs`, what a child does in `render_child`, what holds both in `render_confinement`.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from controlplane.prompts.render_child import ORDER, OUT_OF_MEMORY, Units, be_the_child
from controlplane.prompts.render_confinement import renounce, stand_back
from controlplane.prompts.render_jobs import (
    ANSWER_BYTES,
    HEAD,
    JOB_BYTES,
    READY,
    UNIT,
    Inspection,
    Outcome,
    Rendering,
    receive,
    send,
)
from controlplane.runtime.entries import Parameter

CPU_SECONDS: Final = 1.0

_ENDINGS: Final = {
    -signal.SIGPROF: Outcome.TOO_SLOW,
    -signal.SIGXCPU: Outcome.TOO_SLOW,
    OUT_OF_MEMORY: Outcome.TOO_MUCH_MEMORY,
}


def main() -> None:
    """Serve jobs until the other end of the socket is gone, which it is as soon as the web process has ended.

    (A parent-death signal would not do here: it follows the thread that started a process, and web threads come and go.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the web process's to answer
    channel = socket.socket(fileno=0)
    stand_back()
    _warm_up()
    renounce()
    gc.freeze()  # children share these pages as long as no collection writes into them
    spare = _Child()
    send(channel, READY)
    with contextlib.suppress(ConnectionError, _SiteGone):
        while (frame := receive(channel, JOB_BYTES + HEAD.size)) is not None:
            if not spare.is_alive:  # the kernel may end what has nothing to do, when memory is short
                spare.end()
                spare = _Child()
            spare = _Work(frame, channel, spare).done()
    spare.end()


class _Child:
    """A process that waits for one job, and the socket to it."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            be_the_child(theirs, parent)
        theirs.close()
        self._status: int | None = None
        self._spent = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended by itself."""
        return self._status is None and not self._reap(os.WNOHANG)

    def end(self) -> tuple[float, Outcome]:
        """End it; return the processor seconds it took, and what its unit came to if that was not done."""
        self.socket.close()
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap(0)
        status = self._status or 0
        return self._spent, _ENDINGS.get(os.waitstatus_to_exitcode(status), Outcome.DIED)

    def _reap(self, options: int) -> bool:
        found, status, usage = os.wait4(self._pid, options)
        if found:
            self._status, self._spent = status, usage.ru_utime + usage.ru_stime
        return bool(found)


class _SiteGone(Exception):  # noqa: N818 - private, and reads as what is raised
    """The web process has ended, so that nobody waits for the answer."""


class _Work:
    """One job: its units, each with its answer once there is one."""

    def __init__(self, frame: bytes, site: socket.socket, spare: _Child) -> None:
        wall, count = HEAD.unpack_from(frame)
        self._job = frame[HEAD.size :]
        self._site = site
        self._child: _Child | None = spare
        self._deadline = time.monotonic() + wall
        self._processor = CPU_SECONDS
        self._bytes = ANSWER_BYTES
        self._answers: list[bytes] = [Outcome.TOO_SLOW.value] * count

    def done(self) -> _Child:
        """Do it, answer, and return the child for the next one."""
        late = self._go_through(range(len(self._answers)))
        if late and len(self._answers) > 1:
            self._go_through(late)
        send(self._site, b"".join(UNIT.pack(len(answer)) + answer for answer in self._answers))
        if self._child is not None:
            self._child.end()
        return _Child()

    def _go_through(self, units: Sequence[int]) -> list[int]:
        """Have these units done, in their order; return those that took longer than their share."""
        late = []
        left = list(units)
        while left and self._processor > 0 and time.monotonic() < self._deadline:
            child = self._child or _Child()
            self._child = None
            answered, ending = self._by(child, left)
            left = left[answered:]
            if not left and ending is None:
                self._child = child  # it has done its work and waits to be ended
                break
            spent, how = child.end()
            self._processor -= spent
            if left:
                how = ending or how
                self._answers[left[0]] = how.value
                late += [left[0]] if how is Outcome.TOO_SLOW else []
                left = left[1:]
        return late

    def _by(self, child: _Child, units: Sequence[int]) -> tuple[int, Outcome | None]:
        """Have a child do units; return how many it answered, and why this process has it ended, if it does."""
        order = ORDER.pack(self._processor, self._bytes, len(units))
        answered, found = 0, bytearray()
        try:
            send(child.socket, order + struct.pack(f">{len(units)}I", *units) + self._job)
            for part in self._parts(child):
                found += part
                while answered < len(units) and (answer := _cut(found)) is not None:
                    if len(answer) - 1 > self._bytes:  # it was told how much it may say
                        return answered, Outcome.DIED
                    self._bytes -= len(answer) - 1
                    self._answers[units[answered]] = answer
                    answered += 1
                if answered == len(units):
                    break
                if len(found) > self._bytes + UNIT.size:
                    return answered, Outcome.DIED
        except TimeoutError:
            return answered, Outcome.TOO_SLOW
        except _SiteGone:
            child.end()
            raise
        except OSError:  # it has ended
            pass
        return answered, None

    def _parts(self, child: _Child) -> Iterator[bytes]:
        """Yield what a child says until it ends; raises `TimeoutError` when the time is up."""
        while True:
            left = max(0.0, self._deadline - time.monotonic())
            ready, _, _ = select.select([child.socket, self._site], [], [], left)
            if self._site in ready:
                raise _SiteGone  # jobs come one at a time: this is the web process going away
            if not ready:
                raise TimeoutError
            part = child.socket.recv(1 << 16)
            if not part:
                return
            yield part


def _cut(found: bytearray) -> bytes | None:
    """Take one answer off the beginning, if all of it is there."""
    if len(found) < UNIT.size:
        return None
    end = UNIT.size + UNIT.unpack_from(found)[0]
    if len(found) < end:
        return None
    answer = bytes(found[UNIT.size : end])
    del found[:end]
    return answer


def _warm_up() -> None:
    """Make everything be imported that a job may need: a child can open no file, and Jinja imports on its first error."""
    name = Parameter(name="name", type="string", required=True)
    values: tuple[dict[str, Any], ...] = ({"name": "Ana"}, {"name": 1}, {})
    for source in (
        "{{ name|upper }}{% for x in [1] %}{{ x }}{% endfor %}",
        "{{ name",
        "{{ nam }}",
        "{{ name.x.y }}",
        "{{ 1 // 0 }}",
        "{% include 'x' %}",
    ):
        for job, units in ((Rendering(source, (name,), values, samples=()), 4), (Inspection((source,)), 1)):
            Units(msgspec.json.encode(job)).answers(range(units))


if __name__ == "__main__":
    main()
