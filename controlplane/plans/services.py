"""Giving plans, changing what is ahead in them, and taking their steps: the only functions that write a plan.

Every step goes through the function that moves a share by hand, under the same lock, and is a release like any other. The
worker takes it in the name of whoever gave the plan, with what they may do at that time; `via` says "plan".
"""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Engine, Text, cast, select
from sqlalchemy.orm import Session

from controlplane import chores
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.services import record
from controlplane.db import Json, now, transaction
from controlplane.errors import Conflict, ControlPlaneError, Forbidden, NotFound, Refused
from controlplane.plans import steps as shapes
from controlplane.plans import verdicts
from controlplane.plans.models import Plan, PlanStep
from controlplane.plans.steps import Step, Turn, Wait
from controlplane.plans.subjects import Stand, Subject, moved_words, subject_of, subjects_of
from controlplane.prompts.render_pool import RenderBusy
from controlplane.releases.services import lock_environment
from controlplane.rollouts.moving import checked_reason
from controlplane.rollouts.ranges import share_words

_LARGEST = 2**31 - 1


def begin(session: Session, subject: Subject, *, steps: Sequence[Step], reason: str, actor: Actor) -> Plan:
    """Give a rollout or a gate a plan, and take its first step: the share that it begins with, if it is another.

    Raises `Refused` for steps that cannot be, for what is paused or over, and where a plan goes on already; `Forbidden` to
    anything but a person: it is done in somebody's name.
    """
    actor.require(Role.PUBLISHER)
    if actor.kind != "person":
        raise Forbidden(f"{Role.PUBLISHER.label}, and a person")
    lock_environment(session, subject.environment)
    _refuse_wrong(shapes.problems(steps))
    stand = subject.stand(session)
    if stand.over:
        raise Conflict(f"It is over. {stand.over} Nothing was changed.")
    if stand.paused_at is not None:
        raise Refused({"": "It is paused. Resume it before you give it a plan."})
    if open_plan(session, subject) is not None:
        raise Refused({"": "It has a plan already: change what is ahead in that one, or cancel it."})
    words = checked_reason(session, subject.environment, reason)
    at = now()
    release = None
    if stand.share != steps[0].share:
        release = subject.move(session, steps[0].share, reason=words, actor=actor).number
    plan = Plan(
        environment=subject.environment,
        rollout=subject.rollout,
        gate=subject.gate,
        reason=words,
        person_id=actor.id,
        person_name=actor.name,
        started_at=at,
        since=at,
        share=steps[0].share,
        held_before=stand.held_seconds,
    )
    session.add(plan)
    session.flush()
    session.add_all(_rows(plan, steps, first=0))
    session.flush()
    _reach(session, plan, 0, at=at, by=actor.name, release=release)
    name = subject.named(session)[2]
    sentence = f"gave {name} a plan for {stand.units} in {plan.environment}: {shapes.in_words(steps)}"
    _tell(
        session, plan, "plan_started", sentence, words, actor=actor,
        change=({"plan": None}, {"plan": shapes.in_words(steps)}),
    )  # fmt: skip
    return plan


def change(
    session: Session,
    environment: str,
    number: int,
    *,
    steps: Sequence[Step],
    revision: int,
    reason: str,
    actor: Actor,
) -> Plan:
    """Put other steps in the place of those that are ahead; the one it is at and those before stay as they were."""
    actor.require(Role.PUBLISHER)
    plan, subject = _held(session, environment, number, revision=revision)
    _refuse_ended(plan, "changed")
    _refuse_wrong(shapes.problems(steps, after=plan.share))
    words = checked_reason(session, environment, reason)
    known = steps_of(session, plan)
    done, before = known[: plan.step + 1], known[plan.step + 1 :]
    if len(done) + len(steps) > shapes.MOST:
        raise Refused({"steps": f"A plan has at most {shapes.MOST} steps."})
    if list(steps) == before:
        raise Refused({"steps": "Nothing is changed: these are the steps ahead."})
    for row in _step_rows(session, plan)[plan.step + 1 :]:
        session.delete(row)
    session.flush()
    session.add_all(_rows(plan, steps, first=plan.step + 1))
    plan.revision += 1
    session.flush()
    name = subject.named(session)[2]
    sentence = (
        f"changed what is ahead in the plan of {name} in {environment}: {shapes.in_words(steps)}, "
        f"where it was {shapes.in_words(before)}"
    )
    _tell(
        session, plan, "plan_changed", sentence, words, actor=actor,
        change=({"ahead": shapes.in_words(before)}, {"ahead": shapes.in_words(steps)}),
    )  # fmt: skip
    return plan


def cancel(session: Session, environment: str, number: int, *, reason: str, actor: Actor) -> Plan:
    """End a plan; the share stays where it is."""
    actor.require(Role.ON_CALL)
    plan, subject = _held(session, environment, number)
    _refuse_ended(plan, "cancelled")
    words = checked_reason(session, environment, reason)
    before = plan.state
    _end(plan, "cancelled", by=actor.name)
    name = subject.named(session)[2]
    sentence = f"cancelled the plan of {name} in {environment}: it stays at {share_words(subject.stand(session).share)}"
    _tell(
        session, plan, "plan_cancelled", sentence, words, actor=actor,
        change=({"state": before}, {"state": "cancelled"}),
    )  # fmt: skip
    return plan


def stop(session: Session, environment: str, number: int, *, reason: str, actor: Actor) -> Plan:
    """Hold a plan where it is until somebody has it go on. How a gate is paused: it has no other mark for that."""
    actor.require(Role.ON_CALL)
    plan, _ = _held(session, environment, number)
    if plan.state != "running":
        raise Refused({"": "It does not run."})
    words = checked_reason(session, environment, reason)
    _stop(
        session, plan, f"Stopped by {actor.name}: “{words}”" if words else f"Stopped by {actor.name}.", actor
    )
    return plan


def go_on(session: Session, environment: str, number: int, *, reason: str, actor: Actor) -> Plan:
    """Let a stopped plan go on from the share as it is now, in the name of whoever says so."""
    actor.require(Role.PUBLISHER)
    if actor.kind != "person":
        raise Forbidden(f"{Role.PUBLISHER.label}, and a person")
    plan, subject = _held(session, environment, number)
    stand = subject.stand(session)
    if plan.state != "stopped" and not (plan.state == "running" and why_stopped(plan, stand)):
        raise Refused({"": "It is not stopped."})
    if stand.over:
        raise Conflict(f"It is over. {stand.over} Nothing was changed.")
    words = checked_reason(session, environment, reason)
    known = steps_of(session, plan)
    behind = [at for at, step in enumerate(known) if step.share <= stand.share]
    # By hand it may have come further than the plan had: what lies below is done. It never goes back to a step.
    plan.step = max([plan.step, *behind[-1:]]) if stand.share > plan.share else plan.step
    plan.state, plan.note, plan.person_id, plan.person_name = "running", None, actor.id, actor.name
    plan.share, plan.since = stand.share, now()
    plan.held_before = stand.held_by(plan.since)
    plan.revision += 1
    if plan.step + 1 >= len(known):
        _end(plan, "done", by=actor.name)
    name = subject.named(session)[2]
    sentence = f"let the plan of {name} in {environment} go on from {share_words(stand.share)}"
    _tell(
        session, plan, "plan_continued", sentence, words, actor=actor,
        change=({"state": "stopped"}, {"state": plan.state}),
    )  # fmt: skip
    return plan


def take_next(
    session: Session, environment: str, number: int, *, revision: int, reason: str, actor: Actor
) -> Plan:
    """Take the next step now, before its time or where the plan waits for a person."""
    actor.require(Role.PUBLISHER)
    plan, subject = _held(session, environment, number, revision=revision)
    if plan.state != "running":
        raise Refused({"": "It does not run: let it go on first."})
    stand = subject.stand(session)
    problem = why_stopped(plan, stand)
    if problem:
        raise Conflict(f"{problem} Nothing was changed.")
    if stand.paused_at is not None:
        raise Refused({"": "It is paused. Resume it first."})
    if plan.step + 1 >= len(steps_of(session, plan)):
        raise Refused({"": "There is no next step."})
    against = _known_against(session, plan)
    if against:
        raise Refused({"": against})
    words = checked_reason(session, environment, reason)
    _take(session, plan, subject, stand, reason=words, actor=actor, at=now())
    return plan


def advance(engine: Engine, environment: str, *, at: dt.datetime | None = None) -> int:
    """Take every step that is due in an environment, each in a transaction of its own; return how many were taken.

    Safe to run in any number of workers at once: a step is taken under the environment's lock, by whoever comes first. A plan
    that cannot go on is stopped, and says why.
    """
    unexpected: list[Exception] = []
    taken = 0
    with transaction(engine) as session:
        numbers = _to_be_looked_at(session, environment, at or now())
    for number in numbers:
        try:
            with transaction(engine) as session:
                taken += _advance_one(session, environment, number, at or now())
        except Exception as error:
            unexpected.append(error)  # one that fails must not hold up the others
    if unexpected:
        raise unexpected[0]
    return taken


def open_plan(session: Session, subject: Subject) -> Plan | None:
    """The plan of a rollout or a gate that runs, or was stopped and may go on."""
    query = select(Plan).where(
        Plan.environment == subject.environment, Plan.state.in_(("running", "stopped"))
    )
    mine = Plan.rollout == subject.rollout if subject.rollout is not None else Plan.gate == subject.gate
    return session.scalar(query.where(mine))


def steps_of(session: Session, plan: Plan) -> list[Step]:
    """The steps of a plan, in order."""
    return [Step(row.share, row.hold_minutes, row.waits, row.note) for row in _step_rows(session, plan)]


def turn_of(plan: Plan, steps: Sequence[Step], stand: Stand, *, at: dt.datetime) -> Turn:
    """What a running plan waits for."""
    return shapes.turn(
        steps,
        plan.step,
        since=plan.since,
        held_seconds=stand.held_seconds - plan.held_before,
        paused_at=stand.paused_at,
        now=at,
    )


def _to_be_looked_at(session: Session, environment: str, at: dt.datetime) -> list[int]:
    """The running plans that have a step due or cannot go on: seen together and without a lock, because most only wait."""
    query = select(Plan).where(Plan.environment == environment, Plan.state == "running")
    plans = session.scalars(query.order_by(Plan.number)).all()
    found = []
    for plan, subject in zip(plans, subjects_of(session, environment, plans), strict=True):
        stand = subject.stand(session)
        turn = turn_of(plan, steps_of(session, plan), stand, at=at)
        if why_stopped(plan, stand) or turn.wait is Wait.NOTHING:
            found.append(plan.number)
    return found


def _advance_one(session: Session, environment: str, number: int, at: dt.datetime) -> bool:
    """Take a plan's next step if it is due, or stop the plan; False when neither step nor time has come."""
    try:
        plan, subject = _held(session, environment, number)
    except NotFound:
        return False
    if plan.state != "running":
        return False
    actor = _in_the_name_of(session, plan)
    stand = subject.stand(session)
    problem = why_stopped(plan, stand)
    if problem:
        _stop(session, plan, problem, actor, for_good=stand.over is not None)
    elif turn_of(plan, steps_of(session, plan), stand, at=at).wait is Wait.NOTHING:
        plan.note = _known_against(session, plan)
        return plan.note is None and _take_or_stop(session, plan, subject, stand, actor=actor, at=at)
    return False


def _take_or_stop(
    session: Session, plan: Plan, subject: Subject, stand: Stand, *, actor: Actor, at: dt.datetime
) -> bool:
    """Take the step that is due; what stands against it stops the plan."""
    try:
        if not actor.role.includes(Role.PUBLISHER):
            raise Refused({"": f"{plan.person_name} may not move shares any more."})
        with session.begin_nested():
            _take(session, plan, subject, stand, reason=None, actor=actor, at=at)
    except RenderBusy:
        return False  # nothing is wrong with it: the next look, in some seconds, tries again
    except ControlPlaneError as error:
        session.refresh(plan)
        _stop(session, plan, str(error), actor)
        return False
    return True


def _take(
    session: Session,
    plan: Plan,
    subject: Subject,
    stand: Stand,
    *,
    reason: str | None,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Set the next step's share, and be at that step from now on."""
    steps = steps_of(session, plan)
    position = plan.step + 1
    step = steps[position]
    which = f"step {position + 1} of {len(steps)}"
    why = reason if reason is not None else f"{which.capitalize()} of its plan: {plan.reason}"[:500]
    release = None
    if step.share != stand.share:
        release = subject.move(session, step.share, reason=why, actor=actor).number
    before, plan.step, plan.share, plan.since = plan.step, position, step.share, at
    plan.held_before, plan.note = stand.held_seconds, None
    plan.revision += 1
    _reach(session, plan, position, at=at, by=actor.name, release=release)
    if position + 1 == len(steps):
        _end(plan, "done", by=actor.name)
    if release is None:
        name = subject.named(session)[2]
        told = f": {step.note}" if step.note else ""
        sentence = (
            f"came to {which} in the plan of {name} in {plan.environment}, at {share_words(step.share)}{told}"
        )
        _tell(
            session, plan, "plan_stepped", sentence, why, actor=actor,
            change=({"step": before + 1}, {"step": position + 1}),
        )  # fmt: skip
    session.flush()


def _held(
    session: Session, environment: str, number: int, *, revision: int | None = None
) -> tuple[Plan, Subject]:
    """A plan that nobody else can touch meanwhile; `Conflict` when it was changed since `revision`."""
    lock_environment(session, environment)
    plan = session.get(Plan, min(number, _LARGEST), with_for_update=True, populate_existing=True)
    if plan is None or plan.environment != environment:
        raise NotFound("plan", number)
    if revision is not None and plan.revision != revision:
        raise Conflict(
            "The plan went on, or somebody changed it, since you opened this page. Nothing was changed."
        )
    return plan, subject_of(plan)


def why_stopped(plan: Plan, stand: Stand) -> str | None:
    """Why a plan cannot go on from here: what it moves is over, or was moved by somebody else."""
    if stand.over:
        return stand.over
    return moved_words(stand, plan.share) if stand.share != plan.share else None


def _known_against(session: Session, plan: Plan) -> str | None:
    return verdicts.known_against(session, plan.rollout) if plan.rollout is not None else None


def _in_the_name_of(session: Session, plan: Plan) -> Actor:
    """Return the plan of a person, with what they may do now: nothing but look, when they are disabled."""
    person = session.scalar(
        select(Person)
        .where(cast(Person.id, Text) == plan.person_id)
        .execution_options(populate_existing=True)
    )
    return Actor(
        kind="schedule",
        id=plan.person_id,
        name=f"Plan of {plan.person_name}",
        role=Role(person.role) if person is not None and person.active else Role.VIEWER,
        via="plan",
    )


def _stop(session: Session, plan: Plan, why: str, actor: Actor, *, for_good: bool = False) -> None:
    """Have it take no further step, and keep why; for good when what it moved is over."""
    if for_good:
        _end(plan, "cancelled", by=actor.name)
    else:
        plan.state = "stopped"
        plan.revision += 1
    plan.note = why
    name = subject_of(plan).named(session)[2]
    _tell(
        session, plan, "plan_stopped", f"stopped the plan of {name} in {plan.environment}: {why}", None,
        actor=actor, change=({"state": "running"}, {"state": plan.state}),
    )  # fmt: skip


def _end(plan: Plan, state: str, *, by: str) -> None:
    plan.state, plan.ended_at, plan.ended_by, plan.note = state, now(), by, None
    plan.revision += 1


def _refuse_ended(plan: Plan, done: str) -> None:
    if plan.state not in ("running", "stopped"):
        raise Conflict(f"This plan is over; it cannot be {done}.")


def _refuse_wrong(errors: dict[str, str]) -> None:
    if errors:
        raise Refused(errors)


def _rows(plan: Plan, steps: Sequence[Step], *, first: int) -> list[PlanStep]:
    return [
        PlanStep(
            plan=plan.number,
            position=position,
            share=step.share,
            hold_minutes=step.minutes,
            waits=step.waits,
            note=step.note,
        )
        for position, step in enumerate(steps, start=first)
    ]


def _step_rows(session: Session, plan: Plan) -> list[PlanStep]:
    query = select(PlanStep).where(PlanStep.plan == plan.number).order_by(PlanStep.position)
    return list(session.scalars(query))


def _reach(
    session: Session, plan: Plan, position: int, *, at: dt.datetime, by: str, release: int | None
) -> None:
    row = session.get_one(PlanStep, (plan.number, position))
    row.reached_at, row.reached_by, row.release = at, by, release
    session.flush()


def _tell(
    session: Session,
    plan: Plan,
    verb: str,
    sentence: str,
    reason: str | None,
    *,
    actor: Actor,
    change: tuple[Json, Json],
) -> None:
    """Record what happened to a plan, and have the worker look at once."""
    subject = subject_of(plan)
    object_kind, object_key, _ = subject.named(session)
    record(
        session,
        actor=actor,
        action=f"{subject.kind}.{verb}",
        object_kind=object_kind,
        object_key=object_key,
        environment=plan.environment,
        sentence=sentence,
        reason=reason or None,
        before=change[0],
        after=change[1],
    )
    chores.wake(session, plan.environment)
    session.flush()
