"""Throwing and lifting: who may, what is kept, what is told, and two people at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane import chores
from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.db import now, transaction
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.registry.models import Environment, Interaction
from controlplane.reviews.models import EventReview
from controlplane.runtime.stores.base import SWITCHES_LIMIT
from controlplane.runtime.switches import document
from controlplane.switches.documents import as_obeyed
from controlplane.switches.models import EVERYTHING, KillSwitch, SwitchDocument
from controlplane.switches.services import lift, throw, thrown_in

ActorAs = Callable[[Role | str], Actor]
CODE = "COACHING_RESPONSE"
REASON = "It answers nonsense since ten o'clock."
BETTER = "The provider says that it is mended."


@pytest.fixture
def grace(actor_as: ActorAs) -> Actor:
    return replace(actor_as(Role.ON_CALL), name="Grace Hopper")


def events(session: Session) -> list[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.object_kind == "switch").order_by(AuditEvent.sequence)
    return list(session.scalars(query))


def version(session: Session) -> int:
    session.expire_all()
    return session.get_one(SwitchDocument, "production").version


def test_who_threw_a_switch_when_and_why_is_kept(first_data: Session, grace: Actor) -> None:
    throw(first_data, "production", CODE, reason=f"  {REASON}\n", actor=grace)

    [switch] = thrown_in(first_data, "production")
    assert (switch.target, switch.thrown_by, switch.reason) == (CODE, "Grace Hopper", REASON)
    assert switch.thrown_at.tzinfo is not None
    assert thrown_in(first_data, "staging") == []


@pytest.mark.parametrize(
    ("interaction", "said"),
    [
        (CODE, f"threw the kill switch of {CODE} in production: its calls take the built-in path"),
        (None, "threw the kill switch of everything in production: all calls take the built-in path"),
    ],
)
def test_a_throw_is_told_in_words_with_its_reason(
    first_data: Session, grace: Actor, interaction: str | None, said: str
) -> None:
    throw(first_data, "production", interaction, reason=REASON, actor=grace)

    [event] = events(first_data)
    assert (event.sentence, event.reason, event.action) == (said, REASON, "switch.thrown")
    assert (event.environment, event.object_key) == ("production", interaction or EVERYTHING)
    assert event.before is None
    assert event.after == {"thrown_by": "Grace Hopper", "reason": REASON}


def test_a_lift_takes_it_away_and_is_told(first_data: Session, grace: Actor) -> None:
    throw(first_data, "production", CODE, reason=REASON, actor=grace)
    lift(first_data, "production", CODE, reason=BETTER, actor=grace)

    assert thrown_in(first_data, "production") == []
    event = events(first_data)[-1]
    assert (event.action, event.reason) == ("switch.lifted", BETTER)
    assert (
        event.sentence == f"lifted the kill switch of {CODE} in production: its calls use what is live again"
    )
    assert event.before == {"thrown_by": "Grace Hopper", "reason": REASON}


def test_what_a_lift_does_not_change_is_said(first_data: Session, grace: Actor) -> None:
    throw(first_data, "production", CODE, reason=REASON, actor=grace)
    throw(first_data, "production", "KPI_ANALYSIS", reason=REASON, actor=grace)
    throw(first_data, "production", None, reason=REASON, actor=grace)
    assert [each.target for each in thrown_in(first_data, "production")] == [EVERYTHING, CODE, "KPI_ANALYSIS"]

    lift(first_data, "production", CODE, reason=BETTER, actor=grace)
    lift(first_data, "production", None, reason=BETTER, actor=grace)

    one, everything = events(first_data)[-2:]
    assert one.sentence.endswith("its calls take the built-in path still, because everything is switched off")
    assert everything.sentence.endswith("all calls use what is live again, but those of KPI_ANALYSIS")


def test_both_ways_are_emergencies_where_going_live_has_rules_and_nowhere_else(
    first_data: Session, grace: Actor
) -> None:
    staging = first_data.get_one(Environment, "staging")
    for approvals, marked in ((0, False), (1, True)):
        staging.approvals = approvals
        throw(first_data, "staging", CODE, reason=REASON, actor=grace)
        lift(first_data, "staging", CODE, reason=BETTER, actor=grace)
        assert [each.emergency for each in events(first_data)[-2:]] == [marked, marked]
    throw(first_data, "production", CODE, reason=REASON, actor=grace)
    waiting = select(AuditEvent.action).join(EventReview, EventReview.event_id == AuditEvent.id)
    waiting = waiting.where(EventReview.asked == "emergency").order_by(AuditEvent.sequence)
    assert list(first_data.scalars(waiting)) == ["switch.thrown", "switch.lifted", "switch.thrown"]


@pytest.mark.parametrize("reason", ["", "   ", "too short", "x" * 501])
@pytest.mark.parametrize("environment", ["production", "staging"])
def test_both_ways_need_a_reason_everywhere(
    first_data: Session, grace: Actor, reason: str, environment: str
) -> None:
    throw(first_data, environment, CODE, reason=REASON, actor=grace)
    before = len(events(first_data))
    for turn, interaction in ((throw, None), (lift, CODE)):
        with pytest.raises(Refused) as refusal:
            turn(first_data, environment, interaction, reason=reason, actor=grace)
        assert "10 to 500 characters" in refusal.value.errors["reason"]
    assert [each.target for each in thrown_in(first_data, environment)] == [CODE]
    assert len(events(first_data)) == before


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_who_is_not_on_call_may_neither(first_data: Session, actor_as: ActorAs, role: Role) -> None:
    for turn in (throw, lift):
        with pytest.raises(Forbidden, match="On-call"):
            turn(first_data, "production", CODE, reason=REASON, actor=actor_as(role))
    assert events(first_data) == []


def test_nothing_is_thrown_of_what_is_not_there(first_data: Session, grace: Actor) -> None:
    for environment, interaction in (
        ("nowhere", CODE),
        ("production", "NO_SUCH"),
        ("production", EVERYTHING),
    ):
        with pytest.raises(NotFound):
            throw(first_data, environment, interaction, reason=REASON, actor=grace)
    first_data.get_one(Interaction, CODE).archived_at = first_data.get_one(
        KillSwitch, ("production", throw(first_data, "production", CODE, reason=REASON, actor=grace).target)
    ).thrown_at
    lift(first_data, "production", CODE, reason=BETTER, actor=grace)
    throw(first_data, "production", CODE, reason=REASON, actor=grace)


def test_who_comes_second_is_told_who_came_first(first_data: Session, grace: Actor) -> None:
    with pytest.raises(Conflict, match="not thrown"):
        lift(first_data, "production", CODE, reason=BETTER, actor=grace)
    throw(first_data, "production", CODE, reason=REASON, actor=grace)
    with pytest.raises(Conflict, match=f"Grace Hopper has thrown it already: “{REASON}”"):
        throw(first_data, "production", CODE, reason="for another reason", actor=grace)
    lift(first_data, "production", CODE, reason=BETTER, actor=grace)
    with pytest.raises(Conflict, match=f"Grace Hopper has lifted it already: “{BETTER}”"):
        lift(first_data, "production", CODE, reason="for another reason", actor=grace)
    assert len(events(first_data)) == 2


def test_the_version_rises_with_each_change_and_is_later_than_the_clock_of_any_before(
    first_data: Session, grace: Actor
) -> None:
    seen = []
    for turn in (throw, lift, throw):
        turn(first_data, "production", CODE, reason=REASON, actor=grace)
        seen.append(version(first_data))
    assert seen[0] < seen[1] < seen[2]
    assert seen[0] >= int(thrown_in(first_data, "production")[0].thrown_at.timestamp()) - 60


def test_more_than_readers_take_is_refused_and_everything_still_fits(
    first_data: Session, grace: Actor
) -> None:
    reason = "ü" * 500
    while size_of_document(first_data) < 56_300:
        number = len(thrown_in(first_data, "production"))
        first_data.add(
            KillSwitch(
                environment="production",
                target=f"INTERACTION_{number}",
                thrown_by_id="grace",
                thrown_by="Grace Hopper",
                thrown_at=now(),
                reason=reason,
            )
        )
    with pytest.raises(Refused, match=r"57,344 is the most .* Throw the switch of everything instead"):
        throw(first_data, "production", CODE, reason=reason, actor=grace)
    first_data.delete(first_data.get_one(KillSwitch, ("production", CODE)))
    throw(first_data, "production", None, reason=reason, actor=grace)
    assert size_of_document(first_data) < SWITCHES_LIMIT


def size_of_document(session: Session) -> int:
    return len(document(as_obeyed(thrown_in(session, "production")), environment="production", version=1))


def test_the_database_keeps_no_switch_without_a_reason(first_data: Session, grace: Actor) -> None:
    throw(first_data, "production", CODE, reason=REASON, actor=grace)
    with pytest.raises(IntegrityError, match="reason_says_something"):
        first_data.execute(text("UPDATE kill_switches SET reason = 'short'"))


def test_the_worker_is_called_when_the_change_is_kept_and_not_before(engine: Engine, grace: Actor) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as listener:
        listener.execute(text(f"LISTEN {chores.CHANNEL}"))
        with Session(engine) as session:
            throw(session, "production", CODE, reason=REASON, actor=grace)
            session.rollback()
        with transaction(engine) as session:
            throw(session, "staging", CODE, reason=REASON, actor=grace)
        driver = listener.connection.driver_connection
        assert driver is not None
        assert [each.payload for each in driver.notifies(timeout=5, stop_after=1)] == ["staging"]


@pytest.mark.parametrize("turn", [throw, lift])
def test_of_people_who_turn_it_at_once_one_does_and_the_others_are_told_who(
    engine: Engine, grace: Actor, turn: Callable[..., object]
) -> None:
    if turn is lift:
        with transaction(engine) as session:
            throw(session, "production", CODE, reason=REASON, actor=grace)
    together = threading.Barrier(4)

    def attempt(number: int) -> str:
        try:
            with transaction(engine) as session:
                session.get_one(Environment, "production")  # everybody's transaction has begun
                together.wait(30)
                turn(
                    session, "production", CODE, reason=REASON, actor=replace(grace, name=f"Person {number}")
                )
        except Conflict as conflict:
            return str(conflict)
        return f"Person {number}"

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(attempt, range(4)))

    [winner] = [each for each in said if each.startswith("Person ") and " has " not in each]
    assert sum(each.startswith(f"{winner} has ") for each in said) == 3
    with Session(engine) as session:
        assert [each.actor_name for each in events(session)][-1] == winner
        assert len(thrown_in(session, "production")) == (turn is throw)
