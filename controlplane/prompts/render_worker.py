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

Frames on the socket are a length of four bytes and as many bytes. A job is a head and JSON; an answer is a frame for each
unit: one byte of `Outcome`, then JSON where there is any.
"""

import contextlib
import ctypes
import enum
import gc
import os
import pwd
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from controlplane.prompts import contract
from controlplane.runtime import renderer
from controlplane.runtime.entries import Parameter
from controlplane.runtime.validate import inspect_body

WALL_SECONDS = 1.0
# For a save or a first start, where on a starved machine an answer a little later is better than a false "too slow".
# A template cannot sleep, so what keeps a hostile one short there is its second of processor time.
PATIENT_WALL_SECONDS = 4.0
CPU_SECONDS: Final = 1.0
MEMORY_BYTES = 512 * 1024 * 1024
ANSWER_BYTES = 4 * 1024 * 1024
JOB_BYTES = 4 * 1024 * 1024
READY = b"ready"
HEAD = struct.Struct(">dI")  # before each job: the seconds it may take, and how many units it has
UNIT = struct.Struct(">I")  # before the answer of each unit: its size

# No unit is ended before it has had this much, however many there are: ending one costs some milliseconds too.
_LEAST_SHARE: Final = 0.05
# Of a processor: an ordinary preview is done long before. What takes longer lets everything else on this machine go first.
_URGENT_SECONDS: Final = 0.05
_OUT_OF_MEMORY: Final = 12
# A third of the weight of others: enough for previews on a busy machine, too little to slow the pages beside them.
_AUTOGROUP_NICE: Final = 5
_ORDER = struct.Struct(
    ">dII"
)  # from parent to child: processor seconds, bytes of answer, and how many units follow
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


class Outcome(enum.Enum):
    """How a unit ended; the first byte of its answer."""

    ANSWERED = b"A"
    TOO_SLOW = b"T"
    TOO_MUCH_MEMORY = b"M"
    TOO_LONG = b"L"
    DIED = b"D"
    NOT_STARTED = b"N"  # said by the pool; no worker can


class Rendering(msgspec.Struct, frozen=True, tag=True):
    """A template to be rendered with each set of values; `texts` says whether the texts are wanted, or only the problems.

    With `samples` the last unit holds the text against the declaration; it learns from them, and from the values too.
    """

    source: str
    declared: tuple[Parameter, ...]
    values: tuple[dict[str, Any], ...]
    texts: bool = True
    samples: tuple[dict[str, Any], ...] | None = None


class Inspection(msgspec.Struct, frozen=True, tag=True):
    """Texts of which the runtime's rules want to know the names they use, and what is wrong with them."""

    sources: tuple[str, ...]


class Held(msgspec.Struct, frozen=True):
    """A text with what its interaction declares and is known by."""

    source: str
    declared: tuple[Parameter, ...]
    samples: tuple[dict[str, Any], ...] = ()


class Holding(msgspec.Struct, frozen=True, tag=True):
    """Texts to be held against the declarations of their interactions."""

    texts: tuple[Held, ...]


Job = Rendering | Inspection | Holding


def main() -> None:
    """Serve jobs until the other end of the socket is gone, which it is as soon as the web process has ended.

    (A parent-death signal would not do here: it follows the thread that started a process, and web threads come and go.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the web process's to answer
    channel = socket.socket(fileno=0)
    _stand_back()
    _warm_up()
    _renounce()
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


def send(channel: socket.socket, payload: bytes) -> None:
    """Write one frame."""
    channel.sendall(struct.pack(">I", len(payload)) + payload)


def receive(channel: socket.socket, limit: int) -> bytes | None:
    """Read one frame; None when the other end is gone or sends more than `limit`."""
    head = _exactly(channel, 4)
    if head is None:
        return None
    (size,) = struct.unpack(">I", head)
    return _exactly(channel, size) if size <= limit else None


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        part = channel.recv(min(size - len(found), 1 << 16))
        if not part:
            return None
        found += part
    return bytes(found)


# The parent of the children

_ENDINGS: Final = {
    -signal.SIGPROF: Outcome.TOO_SLOW,
    -signal.SIGXCPU: Outcome.TOO_SLOW,
    _OUT_OF_MEMORY: Outcome.TOO_MUCH_MEMORY,
}


class _Child:
    """A process that waits for one job, and the socket to it."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _be_the_child(theirs, parent)
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
        order = _ORDER.pack(self._processor, self._bytes, len(units))
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
            _Units(msgspec.json.encode(job)).answers(range(units))


def _stand_back() -> None:
    """Become a group of our own for the kernel's scheduler, with less of a say than that of the site.

    On a machine with autogroups (Linux's default) a process is nice to its own session only: hogs of one session halve what
    a page of another is given, however nice they are. Fresh children still go before those that take long, within the group.
    """
    with contextlib.suppress(OSError):  # no such thing here, or we lead a session already
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(_AUTOGROUP_NICE), "ascii")


def _renounce() -> None:
    """Give up network, rights and the place in the file tree; each as far as this machine allows."""
    _without_network()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.chdir("/")


def _without_network() -> None:
    """Move into a network of our own that has no interface; without rights that takes a user namespace too."""
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    with contextlib.suppress(AttributeError, OSError):  # no such call here, or not allowed in this container
        ctypes.CDLL(None, use_errno=True).unshare(flags)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # Linux only; elsewhere the closed socket does it
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


# The child


def _be_the_child(theirs: socket.socket, parent: int) -> None:
    """Wait for one job, do it under limits that stand already, and end; never returns."""
    try:
        os.dup2(theirs.fileno(), 0)  # takes the site's place: a child cannot speak in this process's name
        os.closerange(1, 1024)
        _limit(parent)
        channel = socket.socket(fileno=0)
        _practise()
        frame = receive(channel, JOB_BYTES + (1 << 20))
        if frame is not None:
            _obey(frame, channel)
            channel.recv(1)  # to be ended, when the answer is on its way
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    finally:
        os._exit(0)


def _practise() -> None:
    """Do such a job: what memory it writes to is this process's own now, and not copied when one is waiting for it."""
    name = Parameter(name="name", type="string", required=True)
    source = "{% if name %}{% for x in [1] %}{{ x ~ name|upper }}{% endfor %}{% endif %}"
    job = Rendering(source, (name,), ({"name": "Ana"},), samples=())
    _Units(msgspec.json.encode(job)).answers((0, 1))


def _obey(frame: bytes, channel: socket.socket) -> None:
    """Do the units that are asked for, each within its share of the processor."""
    processor, room, count = _ORDER.unpack_from(frame)
    start = _ORDER.size + count * UNIT.size
    units = struct.unpack_from(f">{count}I", frame, _ORDER.size)
    ending = time.process_time() + processor
    signal.signal(signal.SIGVTALRM, _yield_to_others)
    signal.setitimer(signal.ITIMER_VIRTUAL, _URGENT_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, processor)
    job = _Units(frame[start:])
    for done, unit in enumerate(units):
        share = max((ending - time.process_time()) / (count - done), min(_LEAST_SHARE, processor))
        signal.setitimer(signal.ITIMER_PROF, share)
        answer = job.answer(unit)
        if len(answer) > room:
            answer = Outcome.TOO_LONG.value
        room -= len(answer) - 1
        send(channel, answer)


def _yield_to_others(_signal: int, _frame: object) -> None:
    os.nice(19)


class _Units:
    """The units of a job; what they have in common is done once."""

    def __init__(self, payload: bytes) -> None:
        job = msgspec.json.decode(payload, type=Job)
        self.answer: Callable[[int], bytes] = _answering(job)

    def answers(self, units: Sequence[int]) -> list[bytes]:
        """Return the answers of units."""
        return [self.answer(unit) for unit in units]


def _answering(job: Job) -> Callable[[int], bytes]:
    if isinstance(job, Rendering):
        return _rendered(job)
    return _inspected(job) if isinstance(job, Inspection) else _held(job)


def _held(job: Holding) -> Callable[[int], bytes]:
    def answer(unit: int) -> bytes:
        text = job.texts[unit]
        verdicts = contract.verdicts(text.source, text.declared, text.samples)
        return Outcome.ANSWERED.value + msgspec.json.encode(verdicts)

    return answer


def _rendered(job: Rendering) -> Callable[[int], bytes]:
    previewer = renderer.Previewer(job.source, job.declared)

    def answer(unit: int) -> bytes:
        if unit == len(job.values):
            known = [*(job.samples or ()), *job.values]
            verdicts = contract.verdicts(job.source, job.declared, known)
            return Outcome.ANSWERED.value + msgspec.json.encode(verdicts)
        found = previewer.preview(job.values[unit])
        if not job.texts and found.text is not None:
            found = replace(found, text="")
        return Outcome.ANSWERED.value + msgspec.json.encode(found)

    return answer


def _inspected(job: Inspection) -> Callable[[int], bytes]:
    def answer(unit: int) -> bytes:
        return Outcome.ANSWERED.value + msgspec.json.encode(inspect_body("", job.sources[unit]))

    return answer


def _limit(parent: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it ended before the line above
    for limit, soft, hard in (
        (resource.RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES),
        (resource.RLIMIT_CPU, 1, 2),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, 1, 1),  # the parent's; so not even /proc can be read
    ):
        with contextlib.suppress(OSError, ValueError):  # a lower limit stands already
            resource.setrlimit(limit, (soft, hard))


if __name__ == "__main__":
    main()
