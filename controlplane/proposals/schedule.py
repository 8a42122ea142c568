"""Proposals that go live at a time: chosen by a person, done by the worker, looked at again when it is due."""

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Engine, Text, cast, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.db import now, transaction
from controlplane.errors import Conflict, ControlPlaneError, Forbidden, NotFound, Refused
from controlplane.prompts.render_pool import RenderBusy
from controlplane.proposals.models import Proposal
from controlplane.proposals.participants import agreement_of
from controlplane.proposals.services import Moved, make_live, refuse_unready, stop_moved
from controlplane.proposals.states import State
from controlplane.proposals.steps import Held, hold, require_state, tell, turn

FARTHEST: Final = dt.timedelta(days=366)
# An outage of hours ends with what was wanted going live, told as late. After a day nobody watches for it any more, and a
# database restored from last week must not publish what was due then.
LATEST: Final = dt.timedelta(days=1)
_WORTH_TELLING: Final = dt.timedelta(minutes=1)


def schedule(
    session: Session,
    environment: str,
    number: int,
    *,
    revision: int,
    due_at: dt.datetime,
    zone: str,
    actor: Actor,
) -> Proposal:
    """Have a proposal go live at `due_at` (aware, at most a year ahead), in the name of the actor; again: at another time.

    `zone` is the IANA name of the zone that the time was chosen in. Raises `Refused` for another time or zone, and where
    too few agree; `Forbidden` to anything but a person.
    """
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    actor.require(Role(held.environment.publish_role))
    if actor.kind != "person":
        raise Forbidden(f"{Role(held.environment.publish_role).label}, and a person")
    _check_time(due_at, zone)
    refuse_unready(session, held, to="schedule it")
    turn(held, State.SCHEDULED)
    proposal = held.proposal
    proposal.due_at, proposal.due_zone, proposal.scheduled_by = due_at.astimezone(dt.UTC), zone, actor.id
    tell(session, held, "scheduled", f"scheduled {held.name} for {in_words(due_at, zone)}", actor=actor)
    return proposal


def unschedule(session: Session, environment: str, number: int, *, revision: int, actor: Actor) -> Proposal:
    """Take a proposal's time away; it stands where it stood before. For whoever may publish here."""
    actor.require(Role.EDITOR)
    held = hold(session, environment, number, revision=revision)
    actor.require(Role(held.environment.publish_role))
    require_state(held, {State.SCHEDULED}, to="cancel its schedule")
    due_at, zone = held.proposal.due_at, held.proposal.due_zone
    turn(held, _before_schedule(session, held))
    when = in_words(due_at, zone) if due_at and zone else "a time"
    tell(session, held, "unscheduled", f"cancelled the schedule of {held.name} for {when}", actor=actor)
    return held.proposal


def publish_due(engine: Engine, environment: str) -> int:
    """Publish every proposal of an environment that is due, each in a transaction of its own; return how many went live.

    Safe to run in any number of workers at once. One that cannot go live is stopped, and says why. An error that is nobody's
    answer (a lost database) is raised after the others have had their turn.
    """
    unexpected: list[Exception] = []
    published = 0
    for number in _due(engine, environment):
        try:
            with transaction(engine) as session:
                published += _publish_one(session, environment, number)
        except Exception as error:
            unexpected.append(error)  # one that fails must not hold up the others
    if unexpected:
        raise unexpected[0]
    return published


def in_words(at: dt.datetime, zone: str) -> str:
    """Return a time in the zone it was chosen in and in UTC."""
    local = at.astimezone(ZoneInfo(zone))
    told = f"{local:%Y-%m-%d %H:%M} {zone}"
    return told if zone == "UTC" else f"{told} ({at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC)"


def _check_time(due_at: dt.datetime, zone: str) -> None:
    errors = {}
    at = now()
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        errors["zone"] = f"“{zone[:60]}” is no time zone."
    if due_at.tzinfo is None:
        raise ValueError("a time without a zone")
    if due_at <= at:
        errors["due_at"] = "This time has passed."
    elif due_at > at + FARTHEST:
        errors["due_at"] = "This is more than a year ahead."
    if errors:
        raise Refused(errors)


def _due(engine: Engine, environment: str) -> list[int]:
    query = select(Proposal.number).where(
        Proposal.environment == environment,
        Proposal.state == State.SCHEDULED.value,
        Proposal.due_at <= now(),
    )
    with transaction(engine) as session:
        return list(session.scalars(query.order_by(Proposal.due_at, Proposal.number)))


def _publish_one(session: Session, environment: str, number: int) -> bool:
    """Publish one proposal that was due, or stop it; False when it was stopped, or somebody else was faster."""
    try:
        held = hold(session, environment, number)
    except (Conflict, NotFound):
        return False
    at, due_at = now(), held.proposal.due_at
    if held.state is not State.SCHEDULED or due_at is None or due_at > at:
        return False
    actor = _in_the_name_of(session, held.proposal.scheduled_by)
    try:
        _refuse_too_late(at - due_at)
        if not actor.role.includes(Role(held.environment.publish_role)):
            raise Refused({"": f"{actor.name}: they may not publish here any more."})
        with session.begin_nested():
            make_live(session, held, actor=actor, remark=_lateness(at - due_at))
    except RenderBusy:
        return False  # nothing is wrong with it: the next look, in some seconds, tries again
    except Moved as moved:
        stop_moved(session, held, moved.keys, actor=actor)
    except ControlPlaneError as error:
        _stop(session, held, str(error), actor=actor)
    else:
        return True
    return False


def _in_the_name_of(session: Session, person_id: str | None) -> Actor:
    """Return the schedule of a person, with what they may do now: nothing but look, when they are disabled."""
    person = session.scalar(
        select(Person).where(cast(Person.id, Text) == person_id).execution_options(populate_existing=True)
    )
    return Actor(
        kind="schedule",
        id=person_id or "schedule",
        name=f"Schedule of {person.name}" if person is not None else "Schedule",
        role=Role(person.role) if person is not None and person.active else Role.VIEWER,
        via="schedule",
    )


def _refuse_too_late(late: dt.timedelta) -> None:
    if late > LATEST:
        raise Refused({"": f"The worker came to it only {_duration(late)} after its time. Choose a new one."})


def _lateness(late: dt.timedelta) -> str:
    return f" ({_duration(late)} after its time)" if late >= _WORTH_TELLING else ""


def _duration(late: dt.timedelta) -> str:
    minutes = int(late.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _stop(session: Session, held: Held, why: str, *, actor: Actor) -> None:
    """Take a proposal's time away and keep why."""
    turn(held, _before_schedule(session, held), note=f"Not published at its time. {why}")
    tell(session, held, "stopped", f"did not publish {held.name} at its time. {why}", actor=actor)


def _before_schedule(session: Session, held: Held) -> State:
    missing = agreement_of(session, held.proposal, held.environment).missing
    return State.IN_REVIEW if missing else State.APPROVED
