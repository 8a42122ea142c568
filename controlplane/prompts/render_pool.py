"""The site's side of the render worker: a small pool, started when first needed, and answers in words.

    from controlplane.prompts.render_pool import shared

    shared().preview(source, values, declared)    -> Preview, whatever the template does
    shared().check(source, declared)              -> Problem, or None when the template may be saved and published

Each web process has a pool of its own, made after the server has forked. A worker that breaks or hangs is replaced.
"""

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import controlplane
from controlplane.errors import ControlPlaneError
from controlplane.prompts import contract
from controlplane.prompts.render_worker import (
    ANSWER_BYTES,
    JOB_BYTES,
    PATIENT_WALL_SECONDS,
    READY,
    WALL,
    WALL_SECONDS,
    Answer,
    Job,
    Outcome,
    receive,
    send,
)
from controlplane.runtime.entries import Parameter
from controlplane.runtime.renderer import Preview, Problem

WORKERS = 2
QUEUE = 16
# Together with the second that a job may take this stays under the 1.5 s in which a person gets an answer.
PREVIEW_PATIENCE = 0.4
# A save or a publish is worth waiting for: what was asked for once should not fail because others are typing.
CHECK_PATIENCE = 8.0
_GRACE = 0.3
_START_SECONDS = 15.0

_ENDINGS = {
    Outcome.TOO_SLOW: "This template took longer than 1 second. Shorten its loops, or give it less to go through.",
    Outcome.TOO_MUCH_MEMORY: "This template needs more memory than a prompt may take. Make its text shorter.",
    Outcome.TOO_LONG: "This template makes a longer text than a prompt may be.",
    Outcome.DIED: "This template brought its worker down. Undo the last change, or make it simpler.",
    Outcome.NOT_STARTED: "The worker that renders templates could not be started. Whoever runs this site finds why in its log.",
}


class RenderBusy(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Too many templates are being rendered at this moment; nothing was done. `retry_after` is in seconds."""

    retry_after = 2

    def __init__(self) -> None:
        super().__init__(
            "Many templates are being rendered just now. Try again in a moment; nothing is lost."
        )


class _Broken(Exception):  # noqa: N818 - private, and reads as what is raised
    """The worker did not answer as it should."""


class _Worker:
    """One worker process and the socket to it; used by one thread at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-m", "controlplane.prompts.render_worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={},  # no database, no AWS, nothing of ours
                cwd=Path(controlplane.__file__).parents[1],
            )
        self._channel = ours
        self._channel.settimeout(_START_SECONDS)
        if receive(self._channel, len(READY)) != READY:
            self.kill()
            raise _Broken

    def ask(self, payload: bytes, wall: float) -> bytes:
        """Have one job done that may take `wall` seconds."""
        self._channel.settimeout(wall + _GRACE)
        try:
            send(self._channel, WALL.pack(wall) + payload)
            answer = receive(self._channel, ANSWER_BYTES + 1)
        except OSError as error:  # a timeout is one too
            raise _Broken from error
        if not answer:
            raise _Broken
        return answer

    @property
    def alive(self) -> bool:
        """Whether the process still runs: the kernel may have ended one that had nothing to do."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it; its child notices and ends too."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Let go of a worker that belongs to the process we were forked from."""
        self._channel.close()
        self._process.returncode = 0  # else its collection would warn about a child that is not ours


class RenderPool:
    """At most `workers` jobs at once and `queue` waiting; anyone beyond that is told to come back."""

    def __init__(self, *, workers: int = WORKERS, queue: int = QUEUE) -> None:
        self._most_workers = workers
        self._most_waiting = queue
        self._change = threading.Condition()
        self._idle: list[_Worker] = []
        self._busy = 0
        self._waiting = 0
        self._is_warm = False
        self._is_closed = False
        self._process_id = os.getpid()

    def preview(
        self,
        source: str,
        values: Mapping[str, Any],
        declared: Sequence[Parameter],
        *,
        patience: float = PREVIEW_PATIENCE,
    ) -> Preview:
        """Render `source` as the runtime would and say all that is wrong; raises only `RenderBusy`."""
        found = self._render(source, declared, [dict(values)], patience, WALL_SECONDS)
        return Preview(None, problem=found) if isinstance(found, Problem) else found.previews[0]

    def examine(
        self,
        source: str,
        values: Mapping[str, Any],
        declared: Sequence[Parameter],
        *,
        samples: Sequence[Mapping[str, Any]] = (),
        patience: float = PREVIEW_PATIENCE,
    ) -> Answer:
        """Render `source` as `preview` does, and hold it against the declaration; raises only `RenderBusy`.

        `samples` are further sets of values that the interaction is known by: inner fields are learnt from them.
        """
        found = self._render(source, declared, [dict(values)], patience, WALL_SECONDS, samples)
        return Answer([Preview(None, problem=found)]) if isinstance(found, Problem) else found

    def render_all(
        self,
        source: str,
        declared: Sequence[Parameter],
        value_sets: Sequence[Mapping[str, Any]],
        *,
        patience: float = PREVIEW_PATIENCE,
        wall: float = WALL_SECONDS,
    ) -> list[Preview] | Problem:
        """Render `source` once with each set of values, in one job; raises only `RenderBusy`.

        There is a preview for each set, in their order, and a set that fails hides no other. A `Problem` is told instead
        when nothing could be tried at all.
        """
        found = self._render(source, declared, [dict(values) for values in value_sets], patience, wall)
        return found if isinstance(found, Problem) else found.previews

    def check(
        self,
        source: str,
        declared: Sequence[Parameter],
        *,
        samples: Sequence[Mapping[str, Any]] = (),
        patience: float = CHECK_PATIENCE,
    ) -> Problem | None:
        """Say why this text may not be saved or published, or None.

        It is held against the declaration, rendered with every declared example, and once more with only what is
        required: a prompt that fails when something optional is left out fails in production, at the first caller
        who leaves it out.
        """
        everything = {parameter.name: parameter.example for parameter in declared}
        required = contract.only_required(declared)
        chances = [everything, required] if required != everything else [everything]
        found = self._render(source, declared, chances, patience, PATIENT_WALL_SECONDS, samples)
        if isinstance(found, Problem):
            return found
        with_all, *others = (preview.problem for preview in found.previews)
        without_optional = next(filter(None, others), None)
        refused = next((each for each in found.verdicts if each.is_error), None)
        if refused is not None:
            return Problem(refused.message, refused.line, refused.column)
        return with_all or (without_optional and _without_optional(without_optional))

    def warm_up(self) -> None:
        """Start the workers in the background, once for each process, so that the first preview need not wait for one."""
        with self._change:
            self._start_anew_after_a_fork()
            if self._is_warm:
                return
            self._is_warm = True
        threading.Thread(target=self._fill, name="render workers", daemon=True).start()

    def close(self) -> None:
        """End the idle workers."""
        with self._change:
            self._is_closed = True
            while self._idle:
                self._idle.pop().kill()

    def _fill(self) -> None:
        for _ in range(self._most_workers):
            with self._change:
                if self._is_closed or self._busy + len(self._idle) >= self._most_workers:
                    return
            try:
                worker = _Worker()
            except (_Broken, OSError):
                return  # the first job that needs one tries again, and says so
            self._put_back(worker)

    def _put_back(self, worker: _Worker) -> None:
        with self._change:
            if not self._is_closed:
                self._idle.append(worker)
                return
        worker.kill()

    def _render(
        self,
        source: str,
        declared: Sequence[Parameter],
        values: list[dict[str, Any]],
        patience: float,
        wall: float,
        samples: Sequence[Mapping[str, Any]] | None = None,
    ) -> Answer | Problem:
        known = None if samples is None else tuple(dict(sample) for sample in samples)
        try:
            payload = msgspec.json.encode(Job(source, tuple(declared), tuple(values), known))
        except (UnicodeEncodeError, ValueError, RecursionError):
            return Problem("the text or a value holds something that cannot be written as UTF-8 JSON")
        if len(payload) > JOB_BYTES:
            return Problem("the template and its values are too large")
        with self._turn(patience):
            return _read(self._ask(payload, wall))

    def _ask(self, payload: bytes, wall: float) -> bytes:
        """Have a worker do it; one that fails is ended, and the next job starts another."""
        worker = self._idle_worker()
        try:
            worker = worker or _Worker()
            answer = worker.ask(payload, wall)
        except (_Broken, OSError):
            answer = Outcome.DIED.value if worker else Outcome.NOT_STARTED.value
            if worker:
                worker.kill()
        else:
            self._put_back(worker)
        return answer

    def _idle_worker(self) -> _Worker | None:
        with self._change:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.kill()
        return None

    @contextlib.contextmanager
    def _turn(self, patience: float) -> Iterator[None]:
        """Wait for one of the places; raises `RenderBusy` when too many wait already or none comes free in time."""
        with self._change:
            self._start_anew_after_a_fork()
            if self._busy >= self._most_workers:
                self._wait(patience)
            self._busy += 1
        try:
            yield
        finally:
            with self._change:
                self._busy -= 1
                self._change.notify()

    def _wait(self, patience: float) -> None:
        if self._waiting >= self._most_waiting:
            raise RenderBusy
        self._waiting += 1
        try:
            if not self._change.wait_for(lambda: self._busy < self._most_workers, timeout=patience):
                raise RenderBusy
        finally:
            self._waiting -= 1

    def _start_anew_after_a_fork(self) -> None:
        if self._process_id != os.getpid():
            self._process_id = os.getpid()
            for worker in self._idle:
                worker.forget()
            self._idle, self._busy, self._waiting, self._is_warm = [], 0, 0, False


_shared = RenderPool()
atexit.register(_shared.close)


def shared() -> RenderPool:
    """Return this process's pool; its workers start with the first job."""
    return _shared


def _read(answer: bytes) -> Answer | Problem:
    """Understand a worker's answer. It comes from a process that ran a stranger's text, so nothing in it is believed."""
    try:
        outcome = Outcome(answer[:1])
        if outcome is Outcome.ANSWERED:
            return msgspec.json.decode(answer[1:], type=Answer)
    except ValueError:  # msgspec's ValidationError is one
        outcome = Outcome.DIED
    return Problem(_ENDINGS[outcome])


def _without_optional(problem: Problem) -> Problem:
    return Problem(f"when no optional parameter is given, {problem.message}", problem.line)
