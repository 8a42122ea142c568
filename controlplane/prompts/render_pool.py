"""The site's side of the render workers: a small pool, started when first needed, and answers in words.

    from controlplane.prompts.render_pool import shared

    shared().preview(source, values, declared)        -> Preview, whatever the template does
    shared().examine(source, values, declared)        -> the Preview, and what is wrong with the text by looking at it
    shared().render_all(source, declared, values)     -> a Preview for each set of values, whatever one of them does
    shared().check(source, declared)                  -> Problem, or None when the template may be saved and published
    shared().check_all(source, declared, values)      -> Problem or None for each set of values
    shared().hold(texts)                              -> what is wrong with each by looking at it
    shared().inspect(sources)                         -> the names that each text uses, and what is wrong with it

Each process has a pool of its own, made after the server has forked. A worker that breaks or hangs is replaced.
"""

import atexit
import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from controlplane.errors import ControlPlaneError
from controlplane.prompts.contract import WARNING, Verdict
from controlplane.prompts.render_answers import (
    BODY,
    NOT_JSON,
    PREVIEW,
    VERDICTS,
    cut,
    ending_of,
    handed_over,
    read,
)
from controlplane.prompts.render_jobs import (
    JOB_BYTES,
    PATIENT_WALL_SECONDS,
    WALL_SECONDS,
    Held,
    Holding,
    Inspection,
    Outcome,
    Rendering,
)
from controlplane.prompts.render_process import Broken, RenderProcess
from controlplane.runtime.entries import Parameter
from controlplane.runtime.parameters import only_required
from controlplane.runtime.renderer import Preview, Problem
from controlplane.runtime.validate import Body

WORKERS = 2
QUEUE = 16
# Together with the second that a job may take this stays under the 1.5 s in which a person gets an answer.
PREVIEW_PATIENCE = 0.4
# A save or a publish is worth waiting for: what was asked for once should not fail because others are typing.
CHECK_PATIENCE = 8.0
# Of all samples together: what fields things have is read off some as well as off hundreds, and a megabyte of them would
# take all the time there is. Any one sample set fits.
_LEARNT_BYTES: Final = 256 * 1024

UNEXAMINED: Final = "unexamined"
_NOT_LOOKED_OVER: Final = "there was no time to look the whole text over; a text for which there is none cannot be saved: make it simpler, or try again"


class RenderBusy(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Too many templates are being rendered at this moment; nothing was done. `retry_after` is in seconds."""

    retry_after = 2

    def __init__(self) -> None:
        super().__init__(
            "Many templates are being rendered just now. Try again in a moment; nothing is lost."
        )


class Examined(NamedTuple):
    """A preview for each set of values, and what was found in the text by looking at it."""

    previews: list[Preview]
    verdicts: list[Verdict]


class RenderPool:
    """At most `workers` jobs at once, and `queue` previews and as many checks waiting; anyone beyond is told to come back."""

    def __init__(self, *, workers: int = WORKERS, queue: int = QUEUE) -> None:
        self._most_workers = workers
        self._most_waiting = queue
        self._change = threading.Condition()
        self._idle: deque[RenderProcess] = deque()
        self._busy = 0
        self._waiting = {True: 0, False: 0}  # saves and publishes; previews
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
        found = self.render_all(source, declared, [values], patience=patience)
        return Preview(None, problem=found) if isinstance(found, Problem) else found[0]

    def examine(
        self,
        source: str,
        values: Mapping[str, Any],
        declared: Sequence[Parameter],
        *,
        samples: Sequence[Mapping[str, Any]] = (),
        patience: float = PREVIEW_PATIENCE,
    ) -> Examined:
        """Render `source` as `preview` does, and hold it against the declaration; raises only `RenderBusy`.

        `samples` are further sets of values that the interaction is known by: inner fields are learnt from them.
        """
        found = self._examined(source, declared, [values], patience, WALL_SECONDS, samples=samples)
        return Examined([Preview(None, problem=found)], []) if isinstance(found, Problem) else found

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

        There is a preview for each set, in their order, and a set that fails, is ended or does not fit into the answer
        (4 MiB for all texts together) hides no other: its preview has a `problem` that says so. All sets together may take
        one second. A `Problem` instead of a list says that nothing could be tried at all.
        """
        return self._tried(source, declared, value_sets, patience, wall, texts=True)

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
        required = only_required(declared)
        chances = [everything, required] if required != everything else [everything]
        found = self._examined(
            source, declared, chances, patience, PATIENT_WALL_SECONDS, texts=False, samples=samples
        )
        if isinstance(found, Problem):
            return found
        with_all, *others = (preview.problem for preview in found.previews)
        without_optional = next(filter(None, others), None)
        refused = next((each for each in found.verdicts if each.is_error or each.code == UNEXAMINED), None)
        if refused is not None:
            return Problem(refused.message, refused.line, refused.column)
        return with_all or (without_optional and _without_optional(without_optional))

    def check_all(
        self,
        source: str,
        declared: Sequence[Parameter],
        value_sets: Sequence[Mapping[str, Any]],
        *,
        patience: float = CHECK_PATIENCE,
    ) -> list[Problem | None] | Problem:
        """Say for each set of values why `source` cannot be rendered with it, or None; as `render_all`, without the texts."""
        found = self._tried(source, declared, value_sets, patience, PATIENT_WALL_SECONDS, texts=False)
        return found if isinstance(found, Problem) else [preview.problem for preview in found]

    def inspect(
        self, sources: Sequence[str], *, patience: float = CHECK_PATIENCE
    ) -> list[Body | Problem] | Problem:
        """Return for each text the names it uses and what is wrong with it, or the `Problem` that it was too much to look at.

        All of them together may take one second of a processor, so hand over some dozens at a time.
        """
        try:
            payload = msgspec.json.encode(Inspection(tuple(sources)))
        except UnicodeEncodeError:
            return Problem(NOT_JSON)
        answers = self._done(payload, len(sources), patience, PATIENT_WALL_SECONDS)
        if isinstance(answers, Problem):
            return answers
        return [read(answer, BODY, alone=len(answers) == 1) for answer in answers]

    def hold(
        self, texts: Sequence[Held], *, patience: float = PREVIEW_PATIENCE
    ) -> list[list[Verdict] | None]:
        """Hold texts against their declarations; None of one for which there was no time. Raises only `RenderBusy`.

        All of them together may take one second of a processor, so hand over some dozens at a time.
        """
        try:
            payload = msgspec.json.encode(Holding(tuple(texts)))
        except (UnicodeEncodeError, ValueError, RecursionError):
            return [None] * len(texts)
        answers = self._done(payload, len(texts), patience, PATIENT_WALL_SECONDS) if texts else []
        if isinstance(answers, Problem):
            return [None] * len(texts)
        found = [read(answer, VERDICTS, alone=False) for answer in answers]
        return [None if isinstance(each, Problem) else each for each in found]

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
                worker = RenderProcess()
            except (Broken, OSError):
                return  # the first job that needs one tries again, and says so
            self._put_back(worker)

    def _put_back(self, worker: RenderProcess) -> None:
        with self._change:
            if not self._is_closed:
                self._idle.append(worker)
                return
        worker.kill()

    def _tried(
        self,
        source: str,
        declared: Sequence[Parameter],
        value_sets: Sequence[Mapping[str, Any]],
        patience: float,
        wall: float,
        *,
        texts: bool,
    ) -> list[Preview] | Problem:
        found = self._examined(source, declared, value_sets, patience, wall, texts=texts)
        return found if isinstance(found, Problem) else found.previews

    def _examined(
        self,
        source: str,
        declared: Sequence[Parameter],
        value_sets: Sequence[Mapping[str, Any]],
        patience: float,
        wall: float,
        *,
        texts: bool = True,
        samples: Sequence[Mapping[str, Any]] | None = None,
    ) -> Examined | Problem:
        written, refused = handed_over(value_sets)
        known = None if samples is None else tuple(handed_over(samples, _LEARNT_BYTES)[0].values())
        try:
            job = Rendering(source, tuple(declared), tuple(written.values()), texts, known)
            payload = msgspec.json.encode(job)
        except (UnicodeEncodeError, ValueError, RecursionError):
            return Problem(NOT_JSON)
        units = len(written) + (known is not None)
        answers = self._done(payload, units, patience, wall) if units else []
        if isinstance(answers, Problem):
            return answers
        verdicts = read(answers.pop(), VERDICTS, alone=False) if known is not None else []
        found = dict(refused)
        for index, answer in zip(written, answers, strict=True):
            found[index] = read(answer, PREVIEW, alone=len(written) == 1)
        ordered = [found[index] for index in range(len(value_sets))]
        previews = [Preview(None, problem=each) if isinstance(each, Problem) else each for each in ordered]
        if isinstance(verdicts, Problem):
            # What its renders ran into, if they did, says more; and nobody is told that nothing was found.
            failed = any(preview.problem for preview in previews)
            verdicts = (
                [] if failed else [Verdict(severity=WARNING, code=UNEXAMINED, message=_NOT_LOOKED_OVER)]
            )
        return Examined(previews, verdicts)

    def _done(self, payload: bytes, units: int, patience: float, wall: float) -> list[bytes] | Problem:
        """Return the answer of each unit of a job; raises `RenderBusy`."""
        if len(payload) > JOB_BYTES:
            return Problem("the template and its values are too large")
        with self._turn(patience, is_check=wall > WALL_SECONDS):
            answer = self._ask(payload, units, wall)
        if isinstance(answer, Outcome):
            return ending_of(answer)
        return cut(answer, units) or ending_of(Outcome.DIED)

    def _ask(self, payload: bytes, units: int, wall: float) -> bytes | Outcome:
        """Have a worker do it; one that fails is ended, and the next job starts another."""
        worker = self._idle_worker()
        try:
            worker = worker or RenderProcess()
            answer = worker.ask(payload, units, wall)
        except (Broken, OSError):
            if worker is None:
                return Outcome.NOT_STARTED
            worker.kill()
            return Outcome.DIED
        self._put_back(worker)
        return answer

    def _idle_worker(self) -> RenderProcess | None:
        with self._change:
            while self._idle:
                worker = self._idle.popleft()  # the one that has rested longest: its next child is ready
                if worker.alive:
                    return worker
                worker.kill()
        return None

    @contextlib.contextmanager
    def _turn(self, patience: float, *, is_check: bool = False) -> Iterator[None]:
        """Wait for one of the places; raises `RenderBusy` when too many wait already or none comes free in time.

        Previews let saves and publishes go first: however many people type, and whatever they type, one can publish.
        """
        with self._change:
            self._start_anew_after_a_fork()
            if not self._has_place(is_check):
                self._wait(patience, is_check)
            self._busy += 1
        try:
            yield
        finally:
            with self._change:
                self._busy -= 1
                self._change.notify_all()

    def _has_place(self, is_check: bool) -> bool:  # noqa: FBT001 - private, and named at each call
        return self._busy < self._most_workers and (is_check or not self._waiting[True])

    def _wait(self, patience: float, is_check: bool) -> None:  # noqa: FBT001 - as above
        if self._waiting[is_check] >= self._most_waiting:
            raise RenderBusy
        self._waiting[is_check] += 1
        try:
            if not self._change.wait_for(lambda: self._has_place(is_check), timeout=patience):
                raise RenderBusy
        finally:
            self._waiting[is_check] -= 1

    def _start_anew_after_a_fork(self) -> None:
        if self._process_id != os.getpid():
            self._process_id = os.getpid()
            for worker in self._idle:
                worker.forget()
            self._idle, self._busy, self._is_warm = deque(), 0, False
            self._waiting = {True: 0, False: 0}


_shared = RenderPool()
atexit.register(_shared.close)


def shared() -> RenderPool:
    """Return this process's pool; its workers start with the first job."""
    return _shared


def _without_optional(problem: Problem) -> Problem:
    return Problem(f"when no optional parameter is given, {problem.message}", problem.line)
