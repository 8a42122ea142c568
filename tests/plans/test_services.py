"""Plans as the worker and people carry them out, on a real Postgres."""

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.models import AuditEvent
from controlplane.db import now, transaction
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.plans import services, verdicts
from controlplane.plans.models import Plan, PlanStep
from controlplane.plans.pages import open_plans
from controlplane.plans.steps import STANDARD, Step
from controlplane.plans.subjects import OfGate, OfRollout
from controlplane.rollouts import gates
from controlplane.rollouts import services as rollouts
from controlplane.rollouts.models import Rollout
from controlplane.runtime.bucketing import BUCKETS
from tests.rollouts.walk import REASON, Walk, second_version
from tests.site import add_person

ActorAs = Callable[[Role | str], Actor]
DAY = dt.timedelta(days=1)
PRODUCTION = "production"


def publisher_of(session: Session) -> Actor:
    """A publisher who is in the table of people: the worker looks there what they may."""
    person = add_person(session, Role.PUBLISHER)
    return Actor(kind="person", id=str(person.id), name=person.name, role=Role.PUBLISHER, via="browser")


class Planned:
    """A rollout with the standard plan, and a worker to carry it out; committed, because the worker has sessions of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        with Session(engine, expire_on_commit=False) as session:
            self.actor = publisher_of(session)
            configuration = second_version(session, replace(self.actor, role=Role.ADMIN))
            walk = Walk(session, self.actor, configuration)
            self.rollout = walk.start(10_000).number
            self.subject = OfRollout(PRODUCTION, self.rollout)
            self.number = services.begin(
                session, self.subject, steps=STANDARD.steps, reason=REASON, actor=self.actor
            ).number
            session.commit()
        self.began = now()

    def do(self, act: Callable[[Session], object]) -> None:
        with transaction(self.engine) as session:
            act(session)

    def with_rollout(self, act: Callable[[Session, Rollout], object]) -> None:
        self.do(lambda session: act(session, rollouts.get_rollout(session, PRODUCTION, self.rollout)))

    def look(self, after: dt.timedelta) -> int:
        """The worker looks so long after the plan began."""
        return services.advance(self.engine, PRODUCTION, at=self.began + after)

    @property
    def stands(self) -> tuple[str, int, int, str | None]:
        """The plan's state and step, the live share, the plan's note."""
        with transaction(self.engine) as session:
            plan = session.get_one(Plan, self.number)
            return plan.state, plan.step, self.subject.stand(session).share, plan.note

    @property
    def events(self) -> list[AuditEvent]:
        with Session(self.engine, expire_on_commit=False) as session:
            query = select(AuditEvent).where(AuditEvent.action.startswith("rollout."))
            return list(session.scalars(query.order_by(AuditEvent.sequence)))


@pytest.fixture
def planned(engine: Engine) -> Planned:
    return Planned(engine)


def test_the_worker_climbs_step_by_step_and_each_is_a_release_in_somebody_s_name(planned: Planned) -> None:
    assert planned.look(DAY - dt.timedelta(minutes=1)) == 0
    assert planned.look(DAY) == 1
    assert planned.stands == ("running", 1, 50_000, None)
    assert planned.look(DAY) == 0
    assert planned.look(9 * DAY) == 1
    assert planned.stands == ("done", 2, BUCKETS, None)
    assert planned.look(99 * DAY) == 0
    by_plan = [event for event in planned.events if event.via == "plan"]
    assert [event.sentence.partition(" of ")[0] for event in by_plan] == ["raised version 2"] * 2
    assert {(event.actor_kind, event.actor_id, event.actor_name) for event in by_plan} == {
        ("schedule", planned.actor.id, f"Plan of {planned.actor.name}")
    }
    assert [event.reason for event in by_plan] == [
        f"Step 2 of 3 of its plan: {REASON}",
        f"Step 3 of 3 of its plan: {REASON}",
    ]
    with transaction(planned.engine) as session:
        rows = session.scalars(select(PlanStep).order_by(PlanStep.position)).all()
        assert [row.release for row in rows] == [None, *(event.release for event in by_plan)]


def test_a_worker_that_was_away_takes_one_step_and_holds_it(planned: Planned) -> None:
    assert planned.look(10 * DAY) == 1
    assert planned.look(10 * DAY + dt.timedelta(hours=23)) == 0
    assert planned.stands[1:3] == (1, 50_000)
    assert planned.look(11 * DAY) == 1


@pytest.mark.parametrize(
    ("act", "becomes", "note"),
    [
        (
            lambda session, rollout, actor: rollouts.set_share(
                session, rollout, share=30_000, reason=REASON, actor=actor
            ),
            "stopped",
            "It was moved outside the plan: it is at 30 % since release",
        ),
        (
            lambda session, rollout, actor: rollouts.abort(session, rollout, reason=REASON, actor=actor),
            "cancelled",
            "Aborted at 10 %",
        ),
    ],
)
def test_what_others_do_stops_it_with_a_note(
    planned: Planned, act: Callable[[Session, Rollout, Actor], object], becomes: str, note: str
) -> None:
    planned.with_rollout(lambda session, rollout: act(session, rollout, planned.actor))
    share = planned.stands[2]
    assert planned.look(dt.timedelta(0)) == 0
    state, step, still, said = planned.stands
    assert (state, step, still) == (becomes, 0, share)
    assert said is not None
    assert said.startswith(note)
    assert planned.look(9 * DAY) == 0
    assert planned.events[-1].action == "rollout.plan_stopped"
    assert planned.events[-1].via == "plan"


def test_a_stopped_plan_goes_on_from_where_things_stand(planned: Planned) -> None:
    planned.with_rollout(
        lambda session, rollout: rollouts.set_share(
            session, rollout, share=60_000, reason=REASON, actor=planned.actor
        )
    )
    planned.look(dt.timedelta(0))
    planned.do(
        lambda session: services.go_on(
            session, PRODUCTION, planned.number, reason=REASON, actor=planned.actor
        )
    )
    assert planned.stands == ("running", 1, 60_000, None)
    assert planned.look(2 * DAY) == 1
    assert planned.stands[:3] == ("done", 2, BUCKETS)


def test_whoever_lost_the_role_has_no_plan_carried_out(planned: Planned) -> None:
    planned.do(lambda session: session.execute(update(Person).values(role=Role.EDITOR.value)))
    assert planned.look(DAY) == 0
    assert planned.stands == (
        "stopped",
        0,
        10_000,
        f"{planned.actor.name} may not move shares any more.",
    )


def test_a_pause_holds_it_and_does_not_count(planned: Planned) -> None:
    planned.with_rollout(
        lambda session, rollout: rollouts.pause(session, rollout, reason=REASON, actor=planned.actor)
    )
    assert planned.look(9 * DAY) == 0
    with transaction(planned.engine) as session:
        rollout = rollouts.get_rollout(session, PRODUCTION, planned.rollout)
        rollout.paused_at = now() - 3 * DAY
        session.flush()
        rollouts.resume(session, rollout, reason=REASON, actor=planned.actor)
    assert planned.look(3 * DAY) == 0
    assert planned.look(4 * DAY + dt.timedelta(minutes=1)) == 1


def test_what_is_known_against_it_holds_it_and_says_so(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "known_against", lambda *_: "Errors rose from 1 % to 4 %.")
        assert planned.look(DAY) == 0
        assert planned.stands == ("running", 0, 10_000, "Errors rose from 1 % to 4 %.")
    assert planned.look(DAY) == 1
    assert planned.stands[3] is None


def test_a_step_that_waits_is_taken_by_a_person(planned: Planned) -> None:
    ahead = [Step(50_000, 60, waits=True), Step(BUCKETS, 60)]
    planned.do(
        lambda session: services.change(
            session, PRODUCTION, planned.number, steps=ahead, revision=1, reason=REASON, actor=planned.actor
        )
    )
    assert planned.look(9 * DAY) == 0

    def take(session: Session, revision: int) -> Plan:
        return services.take_next(
            session, PRODUCTION, planned.number, revision=revision, reason=REASON, actor=planned.actor
        )

    with pytest.raises(Conflict, match="went on"):
        planned.do(lambda session: take(session, 1))
    planned.do(lambda session: take(session, 2))
    assert planned.stands[:3] == ("running", 1, 50_000)
    assert planned.events[-1].via == "browser"
    assert planned.look(dt.timedelta(hours=2)) == 1


def test_what_is_done_cannot_be_changed_and_what_is_ahead_climbs(planned: Planned) -> None:
    planned.look(DAY)
    for steps, field in (
        ([Step(40_000, 60)], "steps.0.share"),
        ([], "steps"),
        ([STANDARD.steps[2]], "steps"),
    ):
        with pytest.raises(Refused) as refusal, Session(planned.engine) as session:
            services.change(
                session,
                PRODUCTION,
                planned.number,
                steps=steps,
                revision=2,
                reason=REASON,
                actor=planned.actor,
            )
        assert list(refusal.value.errors) == [field]
    planned.do(
        lambda session: services.change(
            session, PRODUCTION, planned.number, steps=[Step(60_000, 60)], revision=2, reason=REASON,
            actor=planned.actor,
        )
    )  # fmt: skip
    assert planned.events[-1].sentence.endswith("in production: 60 %, where it was 100 %")
    assert planned.look(9 * DAY) == 1
    assert planned.stands == ("done", 2, 60_000, None)


def test_cancelled_it_stays_where_it_is_and_another_may_follow(planned: Planned) -> None:
    with pytest.raises(Refused, match="has a plan already"), Session(planned.engine) as session:
        services.begin(session, planned.subject, steps=STANDARD.steps, reason=REASON, actor=planned.actor)
    planned.do(
        lambda session: services.cancel(
            session, PRODUCTION, planned.number, reason=REASON, actor=planned.actor
        )
    )
    assert planned.look(9 * DAY) == 0
    assert planned.stands[:3] == ("cancelled", 0, 10_000)
    with pytest.raises(Conflict, match="is over"), Session(planned.engine) as session:
        services.cancel(session, PRODUCTION, planned.number, reason=REASON, actor=planned.actor)
    planned.do(
        lambda session: services.begin(
            session,
            planned.subject,
            steps=[Step(20_000, 60), Step(30_000, 60)],
            reason=REASON,
            actor=planned.actor,
        )
    )
    assert planned.stands[2] == 20_000


def test_only_people_who_may_move_shares_give_plans(walk: Walk, actor_as: ActorAs) -> None:
    rollout = walk.start(10_000)
    subject = OfRollout(PRODUCTION, rollout.number)
    token = replace(walk.actor, kind="token")
    for actor in (actor_as(Role.EDITOR), actor_as(Role.ON_CALL), token):
        with pytest.raises(Forbidden):
            services.begin(walk.session, subject, steps=STANDARD.steps, reason=REASON, actor=actor)
    walk.pause(rollout)
    with pytest.raises(Refused, match="Resume it before"):
        services.begin(walk.session, subject, steps=STANDARD.steps, reason=REASON, actor=walk.actor)
    walk.abort(rollout)
    with pytest.raises(Conflict, match="It is over"):
        services.begin(walk.session, subject, steps=STANDARD.steps, reason=REASON, actor=walk.actor)


def test_a_gate_climbs_by_plan_and_is_held_by_stopping_it(engine: Engine) -> None:
    subject = OfGate(PRODUCTION, "COACHING_RESPONSE")
    steps = [
        Step(0, 60, note="Off."),
        Step(0, 60, note="Looked at staging."),
        Step(10_000, 60),
        Step(50_000, 60),
    ]
    with Session(engine) as session:
        actor = publisher_of(session)
        number = services.begin(session, subject, steps=steps, reason=REASON, actor=actor).number
        session.commit()
    began = now()

    def share() -> int:
        with transaction(engine) as session:
            return subject.stand(session).share

    def look(hours: int) -> int:
        return services.advance(engine, PRODUCTION, at=began + dt.timedelta(hours=hours))

    assert (share(), look(1), share(), look(2), share()) == (0, 1, 0, 1, 10_000)
    with transaction(engine) as session:
        told = session.scalars(
            select(AuditEvent.sentence).where(AuditEvent.action == "gate.plan_stepped")
        ).all()
        services.stop(session, PRODUCTION, number, reason=REASON, actor=actor)
    assert told == [
        "came to step 2 of 4 in the plan of the gate of COACHING_RESPONSE in production, at 0 %: Looked at staging."
    ]
    assert look(9) == 0
    with transaction(engine) as session:
        gates.set_gate(session, PRODUCTION, "COACHING_RESPONSE", share=20_000, reason=REASON, actor=actor)
        services.go_on(session, PRODUCTION, number, reason=REASON, actor=actor)
    assert (look(3), share()) == (1, 50_000)


def test_of_many_workers_and_people_at_once_one_takes_the_step(planned: Planned) -> None:
    """Never two steps at once: real transactions, all at the same moment, when the next step is due."""
    barrier = threading.Barrier(6)
    outcomes: list[int] = []

    def work() -> None:
        barrier.wait()
        outcomes.append(planned.look(DAY))

    def press() -> None:
        barrier.wait()
        try:
            planned.do(
                lambda session: services.take_next(
                    session, PRODUCTION, planned.number, revision=1, reason=REASON, actor=planned.actor
                )
            )
            outcomes.append(1)
        except (Conflict, Refused):
            outcomes.append(0)

    threads = [threading.Thread(target=act) for act in (work, work, work, press, press, press)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0, 0, 0, 0, 0, 1]
    assert planned.stands[:3] == ("running", 1, 50_000)


def test_a_plan_let_go_on_during_a_pause_counts_none_of_it(planned: Planned) -> None:
    planned.do(
        lambda session: services.stop(session, PRODUCTION, planned.number, reason=REASON, actor=planned.actor)
    )
    planned.with_rollout(
        lambda session, rollout: rollouts.pause(session, rollout, reason=REASON, actor=planned.actor)
    )
    with transaction(planned.engine) as session:
        rollout = rollouts.get_rollout(session, PRODUCTION, planned.rollout)
        rollout.paused_at = now() - 3 * DAY
        session.flush()
        services.go_on(session, PRODUCTION, planned.number, reason=REASON, actor=planned.actor)
        rollouts.resume(session, rollout, reason=REASON, actor=planned.actor)
    assert planned.look(DAY - dt.timedelta(minutes=1)) == 0
    assert planned.look(DAY + dt.timedelta(minutes=1)) == 1


def test_looking_at_one_plan_more_asks_for_its_steps_and_nothing_else(walk: Walk, actor_as: ActorAs) -> None:
    walk.configuration = second_version(walk.session, actor_as(Role.ADMIN), temperature=0.9)
    connection = walk.session.connection()
    asked: list[str] = []
    counts: list[int] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    for rollout in walk.start_several({2: 10_000, 3: 10_000}):
        subject = OfRollout(PRODUCTION, rollout.number)
        services.begin(walk.session, subject, steps=STANDARD.steps, reason=REASON, actor=walk.actor)
        walk.session.expire_all()
        asked.clear()
        event.listen(connection, "before_cursor_execute", note)
        assert len(open_plans(walk.session, PRODUCTION, at=now())) == len(counts) + 1
        event.remove(connection, "before_cursor_execute", note)
        counts.append(len(asked))
    assert counts[1] - counts[0] <= 1
