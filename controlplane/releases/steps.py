"""How far a release has come on its way to the stores: written by the worker, read by the release's page.

Each write is a short transaction of its own: nothing is held while the network is asked, and what was reached before a
crash stays told.
"""

import datetime as dt
import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.db import Json, now, transaction
from controlplane.releases.models import ExportStep


class Step(enum.StrEnum):
    """What the worker does for a release, in this order."""

    COMPARE = "compare"
    OBJECTS = "objects"
    ENTRIES = "entries"
    CHECK = "check"
    POINTER = "pointer"

    @property
    def label(self) -> str:
        """As on the release's page."""
        return _LABELS[self]


_LABELS = {
    Step.COMPARE: "Compare with the store",
    Step.OBJECTS: "Write templates and snapshot to S3",
    Step.ENTRIES: "Write changed entries to DynamoDB",
    Step.CHECK: "Read back and load as a service would",
    Step.POINTER: "Move the pointer",
}


class State(enum.StrEnum):
    """How a step stands; `WAITING` is told by there being no row."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Export:
    """How a release stands on its way to the services.

    `by` is the later release that went out instead of this one, or after it.
    """

    state: State
    steps: tuple[ExportStep, ...]
    live_at: dt.datetime | None
    by: int | None

    @property
    def is_told(self) -> bool:
        """Whether every step is told of as done."""
        return [step.state for step in self.steps] == [State.DONE] * len(Step)

    @property
    def moving(self) -> bool:
        """Whether something may still happen to it: a page that shows it should look again."""
        return self.state in {State.WAITING, State.RUNNING, State.FAILED}


def export_of(session: Session, environment: str, number: int) -> Export:
    """Return how far a release has come."""
    return exports_of(session, environment, [number])[number]


def exports_of(session: Session, environment: str, numbers: Sequence[int]) -> dict[int, Export]:
    """Return how far each of these releases has come."""
    newest = exported_release(session, environment) or 0
    found = session.scalars(
        select(ExportStep)
        .where(ExportStep.environment == environment, ExportStep.number.in_(numbers))
        .order_by(ExportStep.number, ExportStep.step)
        .execution_options(populate_existing=True)
    ).all()
    return {
        number: _export(
            [step for step in found if step.number == number], newest if newest > number else None
        )
        for number in numbers
    }


def _export(found: Sequence[ExportStep], by: int | None) -> Export:
    order = list(Step)
    steps = sorted(found, key=lambda step: order.index(Step(step.step)))
    pointer = next((step for step in steps if step.step == Step.POINTER), None)
    live_at = pointer.finished_at if pointer and pointer.state == State.DONE else None
    return Export(_state(steps, live_at=live_at, by=by), tuple(steps), live_at, by)


def exported_release(session: Session, environment: str) -> int | None:
    """Return the newest release whose pointer was moved: what services read."""
    return session.scalar(
        select(func.max(ExportStep.number)).where(
            ExportStep.environment == environment,
            ExportStep.step == Step.POINTER,
            ExportStep.state == State.DONE,
        )
    )


def _state(steps: Sequence[ExportStep], *, live_at: dt.datetime | None, by: int | None) -> State:
    states = {step.state for step in steps}
    if live_at is not None and states == {State.DONE}:
        return State.DONE
    if by is not None:
        return State.DONE if live_at is not None else State.SUPERSEDED
    if State.FAILED in states:
        return State.FAILED
    return State.RUNNING if states else State.WAITING


@contextmanager
def told(engine: Engine, environment: str, number: int, step: Step) -> Iterator[Json]:
    """Tell of one step while it runs; the block may put words about what it did into what it is given."""
    begin(engine, environment, number, step)
    detail: Json = {}
    try:
        yield detail
    except Exception as problem:
        finish(engine, environment, number, step, State.FAILED, {"words": problem_words(problem)})
        raise
    finish(engine, environment, number, step, State.DONE, detail)


def problem_words(problem: Exception) -> str:
    """Return what went wrong, in a line that may be shown."""
    return (str(problem) or type(problem).__name__)[:1000]


def begin(engine: Engine, environment: str, number: int, step: Step) -> None:
    """Say that a step runs; once more if it did before. What went wrong then stays told until it is over."""
    fresh = insert(ExportStep).values(
        environment=environment,
        number=number,
        step=step,
        state=State.RUNNING,
        started_at=now(),
        attempts=1,
    )
    again = fresh.on_conflict_do_update(
        index_elements=["environment", "number", "step"],
        set_={
            "state": State.RUNNING,
            "started_at": fresh.excluded.started_at,
            "finished_at": None,
            "attempts": ExportStep.attempts + 1,
        },
    )
    with transaction(engine) as session:
        session.execute(again)


def finish(
    engine: Engine, environment: str, number: int, step: Step, state: State, detail: Json | None
) -> None:
    """Say how a step ended."""
    with transaction(engine) as session:
        session.execute(
            update(ExportStep)
            .where(
                ExportStep.environment == environment, ExportStep.number == number, ExportStep.step == step
            )
            .values(state=state, finished_at=now(), detail=detail)
        )


def tell_failed(engine: Engine, environment: str, number: int, step: Step, words: str) -> None:
    """Say that a step cannot be done; nothing is written when that is known already, for it is asked every few seconds."""
    fresh = insert(ExportStep).values(
        environment=environment,
        number=number,
        step=step,
        state=State.FAILED,
        started_at=now(),
        finished_at=now(),
        attempts=1,
        detail={"words": words},
    )
    changed = (ExportStep.state != State.FAILED) | (ExportStep.detail["words"].astext != words)
    with transaction(engine) as session:
        session.execute(
            fresh.on_conflict_do_update(
                index_elements=["environment", "number", "step"],
                set_={
                    "state": State.FAILED,
                    "finished_at": fresh.excluded.finished_at,
                    "detail": fresh.excluded.detail,
                },
                where=changed,
            )
        )


def settle(engine: Engine, environment: str, number: int) -> None:
    """Say that everything is done, whoever did it: the pointer names this release with this content.

    A worker may have ended between moving the pointer and telling of it.
    """
    with transaction(engine) as session:
        if export_of(session, environment, number).is_told:
            return
        done = {"state": State.DONE, "finished_at": now(), "detail": None}
        fresh = insert(ExportStep).values(
            [
                {"environment": environment, "number": number, "step": step, "started_at": now(), **done}
                for step in Step
            ]
        )
        session.execute(
            fresh.on_conflict_do_update(
                index_elements=["environment", "number", "step"],
                set_=done,
                where=ExportStep.state != State.DONE,
            )
        )


def supersede_older(engine: Engine, environment: str, number: int) -> None:
    """Say of what was still under way for earlier releases that this one went out instead."""
    with transaction(engine) as session:
        session.execute(
            update(ExportStep)
            .where(
                ExportStep.environment == environment,
                ExportStep.number < number,
                ExportStep.state.in_([State.RUNNING, State.FAILED]),
            )
            .values(state=State.SUPERSEDED, finished_at=now())
        )
