"""The child of a render worker: it does one job, under limits that stand before the job is known, and ends."""

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from controlplane.prompts import contract
from controlplane.prompts.render_confinement import limit
from controlplane.prompts.render_jobs import (
    JOB_BYTES,
    UNIT,
    Holding,
    Inspection,
    Job,
    Outcome,
    Rendering,
    receive,
    send,
)
from controlplane.runtime import renderer
from controlplane.runtime.entries import Parameter
from controlplane.runtime.validate import inspect_body

ORDER: Final = struct.Struct(">dII")
"""From parent to child, before the job: processor seconds, bytes of answer, and how many units follow."""
OUT_OF_MEMORY: Final = 12
"""The exit code of a child that had too little of it."""
# No unit is ended before it has had this much, however many there are: ending one costs some milliseconds too.
_LEAST_SHARE: Final = 0.05
# Of a processor: an ordinary preview is done long before. What takes longer lets everything else on this machine go first.
_URGENT_SECONDS: Final = 0.05


def be_the_child(theirs: socket.socket, parent: int) -> None:
    """Wait for one job, do it under limits that stand already, and end; never returns."""
    try:
        os.dup2(theirs.fileno(), 0)  # takes the site's place: a child cannot speak in this process's name
        os.closerange(1, 1024)
        limit(parent)
        channel = socket.socket(fileno=0)
        _practise()
        frame = receive(channel, JOB_BYTES + (1 << 20))
        if frame is not None:
            _obey(frame, channel)
            channel.recv(1)  # to be ended, when the answer is on its way
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    finally:
        os._exit(0)


def _practise() -> None:
    """Do such a job: what memory it writes to is this process's own now, and not copied when one is waiting for it."""
    name = Parameter(name="name", type="string", required=True)
    source = "{% if name %}{% for x in [1] %}{{ x ~ name|upper }}{% endfor %}{% endif %}"
    job = Rendering(source, (name,), ({"name": "Ana"},), samples=())
    Units(msgspec.json.encode(job)).answers((0, 1))


def _obey(frame: bytes, channel: socket.socket) -> None:
    """Do the units that are asked for, each within its share of the processor."""
    processor, room, count = ORDER.unpack_from(frame)
    start = ORDER.size + count * UNIT.size
    units = struct.unpack_from(f">{count}I", frame, ORDER.size)
    ending = time.process_time() + processor
    signal.signal(signal.SIGVTALRM, _yield_to_others)
    signal.setitimer(signal.ITIMER_VIRTUAL, _URGENT_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, processor)
    job = Units(frame[start:])
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


class Units:
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
