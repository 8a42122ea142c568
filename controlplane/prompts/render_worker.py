"""The limited process in which every author's text is compiled and rendered: never in the process that serves the site.

Started as `python -m controlplane.prompts.render_worker` with an empty environment and a socket as its standard input. It
is small, has one thread, imports the runtime's renderer and nothing of the site, gives up its rights once, and then forks
a child for each job. A fork costs some milliseconds where a new interpreter costs hundreds, and a child that was
attacked takes nothing with it into the next job.

What holds a child: 512 MiB of address space, one second of wall time, four where a save waits for it (this process kills it), one to two seconds of
processor time should this process be gone, no files, no further processes, no network where the kernel allows that, no
environment, nobody's rights when the site runs as root, a ceiling on the answer. The sandbox inside the renderer is the
seat belt; this is the wall.

Frames on the socket are a length of four bytes and as many bytes. A job is JSON; an answer is one byte of `Outcome`,
then the previews as JSON when there are any.
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
from typing import Any

import msgspec

from controlplane.prompts import contract
from controlplane.prompts.contract import Verdict
from controlplane.runtime import renderer
from controlplane.runtime.entries import Parameter
from controlplane.runtime.renderer import Preview

WALL_SECONDS = 1.0
# For a save or a first start, where on a starved machine an answer a little later is better than a false "too slow".
# A template cannot sleep, so what keeps a hostile one short there is its second of processor time.
PATIENT_WALL_SECONDS = 4.0
MEMORY_BYTES = 512 * 1024 * 1024
ANSWER_BYTES = 4 * 1024 * 1024
JOB_BYTES = 4 * 1024 * 1024
READY = b"ready"
WALL = struct.Struct(">d")  # before each job: the seconds it may take

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


class Outcome(enum.Enum):
    """How a job ended; the first byte of an answer."""

    ANSWERED = b"A"
    TOO_SLOW = b"T"
    TOO_MUCH_MEMORY = b"M"
    TOO_LONG = b"L"
    DIED = b"D"
    NOT_STARTED = b"N"  # said by the pool; no worker can


class Job(msgspec.Struct, frozen=True):
    """A template to be rendered once for each set of values."""

    source: str
    declared: tuple[Parameter, ...]
    values: tuple[dict[str, Any], ...]
    samples: tuple[dict[str, Any], ...] | None = None
    """What the analysis may learn from, beside the values and the declared examples; None: no analysis is wanted."""


class Answer(msgspec.Struct, frozen=True):
    """A preview for each set of values, and what the analysis of the text found."""

    previews: list[Preview]
    verdicts: list[Verdict] = []


def main() -> None:
    """Serve jobs until the other end of the socket is gone, which it is as soon as the web process has ended.

    (A parent-death signal would not do here: it follows the thread that started a process, and web threads come and go.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the web process's to answer
    channel = socket.socket(fileno=0)
    _warm_up()
    _renounce()
    gc.freeze()  # children share these pages as long as no collection writes into them
    send(channel, READY)
    with contextlib.suppress(ConnectionError):
        while (frame := receive(channel, JOB_BYTES + WALL.size)) is not None:
            (wall,) = WALL.unpack_from(frame)
            send(channel, _run(frame[WALL.size :], channel, wall))


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


def answer(job: Job) -> bytes:
    """Render a job here and now; what the child does once its limits stand."""
    previews = [renderer.preview(job.source, values, job.declared) for values in job.values]
    verdicts = []
    if job.samples is not None:
        verdicts = contract.verdicts(job.source, job.declared, [*job.samples, *job.values])
    return Outcome.ANSWERED.value + msgspec.json.encode(Answer(previews, verdicts))


# The parent of the children


def _run(payload: bytes, channel: socket.socket, wall: float) -> bytes:
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _be_the_child(payload, writer, parent)
    os.close(writer)
    try:
        found = _collect(reader, channel, wall)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    spent = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    return Outcome.TOO_SLOW.value if spent else found


def _collect(reader: int, channel: socket.socket, wall: float) -> bytes:
    """Read the child's answer to its end, within the time and the size that are allowed."""
    deadline = time.monotonic() + wall
    site = channel.fileno()
    found = bytearray()
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([reader, site], [], [], left)
        if site in ready:
            raise ConnectionAbortedError  # jobs come one at a time: this is the web process going away
        if reader not in ready:
            continue
        part = os.read(reader, 1 << 16)
        if not part:
            return bytes(found) or Outcome.DIED.value
        found += part
        if len(found) > ANSWER_BYTES:
            return Outcome.TOO_LONG.value
    return Outcome.TOO_SLOW.value


def _warm_up() -> None:
    """Make everything be imported that a job may need: a child can open no file, and Jinja imports on its first error."""
    name = Parameter(name="name", type="string", required=True)
    for source in (
        "{{ name|upper }}{% for x in [1] %}{{ x }}{% endfor %}",
        "{{ name",
        "{{ nam }}",
        "{{ name.x.y }}",
        "{{ 1 // 0 }}",
        "{% include 'x' %}",
    ):
        answer(Job(source, (name,), ({"name": "Ana"}, {"name": 1}, {}), ()))


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


def _be_the_child(payload: bytes, writer: int, parent: int) -> None:
    """Do one job under its limits, and end; never returns."""
    try:
        os.dup2(writer, 0)  # takes the socket's place: a child cannot speak in this process's name
        os.closerange(1, 1024)
        _limit(parent)
        _write(_answer(payload))
    finally:
        os._exit(0)


def _answer(payload: bytes) -> bytes:
    try:
        return answer(msgspec.json.decode(payload, type=Job))
    except MemoryError:
        return Outcome.TOO_MUCH_MEMORY.value


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
        (resource.RLIMIT_NOFILE, 1, 1),  # the answer's; so not even /proc can be read
    ):
        with contextlib.suppress(OSError, ValueError):  # a lower limit stands already
            resource.setrlimit(limit, (soft, hard))
    os.nice(10)  # other people's pages come first


def _write(answer: bytes) -> None:
    view = memoryview(answer)
    while view:
        view = view[os.write(0, view) :]


if __name__ == "__main__":
    main()
