"""What the pages show of a plan: what is done, where it is, what comes next and when."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.plans import services
from controlplane.plans.models import Plan, PlanStep
from controlplane.plans.steps import Step, Turn, Wait, hold_words
from controlplane.plans.subjects import Stand, Subject, subjects_of
from controlplane.rollouts.ranges import share_words
from controlplane.runtime.bucketing import BUCKETS

_TONES = {"running": "rolling", "stopped": "paused", "done": "live", "cancelled": "archived"}
_LABELS = {"running": "Goes on by itself", "stopped": "Stopped", "done": "Done", "cancelled": "Cancelled"}


@dataclass(frozen=True)
class Row:
    """One step in the table."""

    position: int
    share: int
    hold: str
    waits: bool
    note: str
    reached_at: dt.datetime | None
    reached_by: str | None
    release: int | None
    stands: str  # "done", "now", "next", "ahead", or "dropped" when the plan ended before


@dataclass(frozen=True)
class Shown:
    """A plan as it stands."""

    plan: Plan
    state: str  # what its row will say when the worker has looked: a plan that cannot go on is stopped
    note: str | None
    stand: Stand
    turn: Turn
    rows: tuple[Row, ...]

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"

    @property
    def stopped(self) -> bool:
        """Whether it may be let go on."""
        return self.state == "stopped"

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return "paused" if self.running and self.turn.wait is not Wait.TIME else _TONES[self.state]

    @property
    def label(self) -> str:
        """The words of its chip."""
        if not self.running:
            return (
                "Ended with its rollout" if self.state == "cancelled" and self.note else _LABELS[self.state]
            )
        return {
            Wait.TIME: "Runs",
            Wait.PERSON: "Waits for a person",
            Wait.PAUSE: "Held by the pause",
            Wait.NOTHING: "Held" if self.note else "Next step is due",
            Wait.END: "Done",
        }[self.turn.wait]

    @property
    def next(self) -> Row | None:
        """The step that comes next."""
        return next((row for row in self.rows if row.stands == "next"), None)

    @property
    def ahead(self) -> list[Row]:
        """The steps that may still be changed."""
        return [row for row in self.rows if row.stands in ("next", "ahead")]

    @property
    def warning(self) -> str | None:
        """What will stop it later on, as things stand."""
        if (self.running or self.stopped) and any(row.share > self.stand.left for row in self.ahead):
            return crowded_words(self.stand)
        return None

    @property
    def needs_somebody(self) -> bool:
        """Whether it stands still until a person does something."""
        return self.stopped or (self.running and self.turn.wait is Wait.PERSON)

    @property
    def sentence(self) -> str:
        """What it does next, for the page and for screen readers."""
        following = self.next
        if self.note:
            return self.note
        if not self.running or following is None:
            at = f" on {self.plan.ended_at:%Y-%m-%d}" if self.plan.ended_at else ""
            return f"{_LABELS[self.state]}{at}: all that follows is done by hand."
        to = share_words(following.share)
        if self.turn.wait is Wait.PAUSE:
            left = _left(self.turn.left)
            return f"Next is {to}, {left} after the rollout is resumed."
        if self.turn.wait is Wait.PERSON:
            return f"Next is {to}, as soon as somebody says so."
        if following.waits:
            return f"Next is {to}: when its time has come it waits for a person to say so."
        return f"Next is {to}, by itself."


def crowded_words(stand: Stand) -> str:
    """That other candidates leave less than everything."""
    rest = share_words(BUCKETS - stand.left)
    return f"Other candidates have {rest}: a step above {share_words(stand.left)} stops the plan while that is so."


@dataclass(frozen=True)
class Named:
    """A plan among others: what it moves, and how it stands."""

    name: str
    subject: Subject
    shown: Shown


def open_plans(session: Session, environment: str, *, at: dt.datetime) -> list[Named]:
    """Every plan of an environment that runs or may go on, the latest first."""
    query = select(Plan).where(Plan.environment == environment, Plan.state.in_(("running", "stopped")))
    found = session.scalars(query.order_by(Plan.number.desc())).all()
    subjects = subjects_of(session, environment, found)
    each = [
        Named(subject.named(session)[2], subject, shown(session, subject, plan, at=at))
        for plan, subject in zip(found, subjects, strict=True)
    ]
    # Of what has ended by now the worker takes note in a moment.
    return [plan for plan in each if plan.shown.running or plan.shown.stopped]


def shown_of(session: Session, subject: Subject, *, at: dt.datetime) -> Shown | None:
    """The plan of a rollout or a gate: the one that goes on, or the latest that did."""
    mine = Plan.rollout == subject.rollout if subject.rollout is not None else Plan.gate == subject.gate
    query = select(Plan).where(Plan.environment == subject.environment, mine)
    plan = session.scalar(query.order_by(Plan.ended_at.is_not(None), Plan.number.desc()).limit(1))
    return None if plan is None else shown(session, subject, plan, at=at)


def shown(session: Session, subject: Subject, plan: Plan, *, at: dt.datetime) -> Shown:
    """One plan as it stands."""
    rows = session.scalars(
        select(PlanStep).where(PlanStep.plan == plan.number).order_by(PlanStep.position)
    ).all()
    stand = subject.stand(session)
    steps = [Step(row.share, row.hold_minutes, row.waits, row.note) for row in rows]
    why = services.why_stopped(plan, stand) if plan.state == "running" else None
    state, note = plan.state, plan.note
    if why:
        state, note = "cancelled" if stand.over else "stopped", why
    turn = services.turn_of(plan, steps, stand, at=at)
    return Shown(plan, state, note, stand, turn, _rows(plan, state, rows))


def _rows(plan: Plan, state: str, rows: Sequence[PlanStep]) -> tuple[Row, ...]:
    return tuple(
        Row(
            row.position,
            row.share,
            hold_words(row.hold_minutes),
            row.waits,
            row.note,
            row.reached_at,
            row.reached_by,
            row.release,
            _stands(plan, state, row.position),
        )
        for row in rows
    )


def _stands(plan: Plan, state: str, position: int) -> str:
    if position <= plan.step:
        here = position == plan.step and state in ("running", "stopped")
        return "now" if here else "done"
    if state not in ("running", "stopped"):
        return "dropped"
    return "next" if position == plan.step + 1 else "ahead"


def _left(left: dt.timedelta | None) -> str:
    minutes = round((left or dt.timedelta()).total_seconds() / 60)
    return hold_words(minutes) if minutes else "at once"
