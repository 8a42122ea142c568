import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.db import make_engine, now, transaction
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.proposals import schedule, services
from controlplane.proposals.models import Proposal
from controlplane.releases.authority import EMERGENCY
from controlplane.releases.history import get_release
from controlplane.releases.models import Release
from controlplane.releases.services import publish_entries
from tests.conftest import Databases
from tests.proposals.stage import (
    PREMIUM,
    PRODUCTION,
    REASON,
    approve,
    change,
    events_of,
    make,
    make_submitted,
    person,
    publish,
    reject,
    release_number,
    rule,
    set_person,
    temperature_live,
    warmer,
)

HOUR = dt.timedelta(hours=1)
ZONE = "Europe/Berlin"


def plan(session: Session, proposal: Proposal, actor: Actor, **given: Any) -> Proposal:
    values = {"revision": proposal.revision, "due_at": now() + HOUR, "zone": ZONE, **given}
    return schedule.schedule(session, PRODUCTION, proposal.number, actor=actor, **values)


@pytest.fixture
def approved(first_data: Session, ada: Actor, grace: Actor) -> Proposal:
    return approve(first_data, make_submitted(first_data, ada), grace)


def test_an_approved_proposal_waits_for_its_time(
    first_data: Session, approved: Proposal, grace: Actor
) -> None:
    year = now().year + 1
    due = dt.datetime(year, 1, 15, 9, 30, tzinfo=dt.UTC)
    plan(first_data, approved, grace, due_at=due)
    assert (approved.state, approved.due_at, approved.due_zone) == ("scheduled", due, ZONE)
    assert approved.scheduled_by == grace.id
    assert (
        f"scheduled proposal 1 of production for {year}-01-15 10:30 Europe/Berlin ({year}-01-15 09:30 UTC): "
        in events_of(first_data, 1)[-1].sentence
    )
    later = dt.datetime(year, 1, 15, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    plan(first_data, approved, grace, due_at=later, zone="UTC")
    assert "for " + f"{year}-01-15 10:00 UTC: " in events_of(first_data, 1)[-1].sentence

    schedule.unschedule(first_data, PRODUCTION, 1, revision=approved.revision, actor=grace)
    assert approved.state == "approved"
    assert {approved.due_at, approved.scheduled_by} == {None}
    with pytest.raises(Conflict, match="nobody can cancel"):
        schedule.unschedule(first_data, PRODUCTION, 1, revision=approved.revision, actor=grace)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"due_at": now() - HOUR}, "due_at"),
        ({"due_at": now() + dt.timedelta(days=400)}, "due_at"),
        ({"zone": "Middle/Earth"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"zone": "Europe\x00"}, "zone"),
        ({"zone": "x" * 5_000}, "zone"),
    ],
)
def test_a_time_is_ahead_and_in_a_zone_that_there_is(
    first_data: Session, approved: Proposal, grace: Actor, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        plan(first_data, approved, grace, **given)
    assert list(refusal.value.errors) == [field]


def test_a_time_without_a_zone_is_an_error_of_the_program(
    first_data: Session, approved: Proposal, grace: Actor
) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        plan(first_data, approved, grace, due_at=dt.datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


def test_only_a_person_who_may_publish_schedules_what_is_agreed_to(
    first_data: Session, approved: Proposal, ada: Actor, grace: Actor
) -> None:
    for actor in (ada, replace(grace, role=Role.ON_CALL), replace(grace, kind="token")):
        with pytest.raises(Forbidden):
            plan(first_data, approved, actor)
    with pytest.raises(Refused, match="needs 1 approval"):
        plan(first_data, make_submitted(first_data, ada), grace)
    rule(first_data, approvals=0)
    assert plan(first_data, make(first_data, ada), grace).state == "scheduled"


def test_an_edit_or_a_rejection_takes_the_time_away(
    first_data: Session, approved: Proposal, ada: Actor, grace: Actor
) -> None:
    plan(first_data, approved, grace)
    change(first_data, approved, ada)
    assert (approved.state, approved.due_at) == ("in_review", None)
    approve(first_data, approved, grace)
    plan(first_data, approved, grace)
    reject(first_data, approved, grace)
    assert (approved.state, approved.due_at) == ("rejected", None)


class Due:
    """A proposal that was due some time ago, and the database that it is in."""

    def __init__(self, engine: Engine, *, late: dt.timedelta = dt.timedelta(0)) -> None:
        self.engine = engine
        with transaction(engine) as session:
            rule(session, approvals=1, publish_role="publisher")
            self.ada, self.grace, self.joan = (
                person(session, role, name)
                for role, name in ((Role.EDITOR, "Ada"), (Role.PUBLISHER, "Grace"), (Role.PUBLISHER, "Joan"))
            )
            self.release = release_number(session)
            self.before, self.temperature = temperature_live(session), self.release / 100
            entries = {PREMIUM: warmer(session, self.temperature)}
            proposal = approve(session, make_submitted(session, self.ada, entries=entries), self.grace)
            plan(session, proposal, self.joan)
            self.number = proposal.number
        self.make_due(late)

    def make_due(self, late: dt.timedelta, number: int | None = None) -> None:
        """Let the time pass."""
        at = now() - late
        with transaction(self.engine) as session:
            session.execute(
                update(Proposal).where(Proposal.number == (number or self.number)).values(due_at=at)
            )

    def publish(self) -> int:
        return schedule.publish_due(self.engine, PRODUCTION)

    def stands(self, number: int | None = None) -> tuple[str, str]:
        with Session(self.engine) as session:
            proposal = services.get_proposal(session, PRODUCTION, number or self.number)
            return proposal.state, proposal.note or ""

    def last_event(self) -> AuditEvent:
        with Session(self.engine) as session:
            return session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()


@pytest.fixture(scope="module")
def engine(databases: Databases, first_data_template: str) -> Iterator[Engine]:
    """One database for all of these: each test has proposals of its own."""
    name, url = databases.copy(first_data_template)
    engine = make_engine(url)
    yield engine
    engine.dispose()
    databases.drop(name)


def test_what_is_due_goes_live_once_in_the_name_of_who_scheduled_it(engine: Engine) -> None:
    due = Due(engine)
    assert (due.publish(), due.publish()) == (1, 0)
    assert due.stands() == ("published", "")
    told = due.last_event()
    assert (told.action, told.actor_kind, told.actor_id, told.actor_name, told.via) == (
        "release.published",
        "schedule",
        due.joan.id,
        "Schedule of Joan",
        "schedule",
    )
    assert told.sentence.endswith(
        f"COACHING_RESPONSE · premium: temperature {due.before} → {due.temperature}"
    )
    with Session(engine) as session:
        assert temperature_live(session) == due.temperature
        assert get_release(session, PRODUCTION, due.release + 1).proposal == due.number


def test_what_is_not_due_waits(engine: Engine) -> None:
    due = Due(engine, late=-HOUR)
    assert due.publish() == 0
    assert due.stands() == ("scheduled", "")
    assert schedule.publish_due(engine, "staging") == 0


def test_after_an_outage_it_goes_live_late_and_says_so(engine: Engine) -> None:
    due = Due(engine, late=dt.timedelta(hours=5, minutes=10))
    assert due.publish() == 1
    assert due.last_event().sentence.endswith(f"→ {due.temperature} (5 h after its time)")


def test_after_a_day_nobody_watches_for_it_any_more(engine: Engine) -> None:
    due = Due(engine, late=dt.timedelta(days=1, minutes=1))
    assert due.publish() == 0
    state, note = due.stands()
    assert (state, "24 h after its time" in note) == ("approved", True)


def test_it_stops_when_what_it_changes_was_changed(engine: Engine) -> None:
    due = Due(engine)
    with transaction(engine) as session:
        publish_entries(
            session,
            PRODUCTION,
            {PREMIUM: warmer(session, 1.5)},
            reason=REASON,
            actor=due.grace,
            action="release.published",
            sentence="published in an emergency",
            source_name="saved",
            authority=EMERGENCY,
        )
    assert due.publish() == 0
    moved = "Changed meanwhile by somebody else: COACHING_RESPONSE · premium."
    assert due.stands() == ("conflicted", moved)
    told = due.last_event()
    assert (told.action, told.actor_kind, told.actor_name) == (
        "proposal.conflicted",
        "schedule",
        "Schedule of Joan",
    )
    with Session(engine) as session:
        assert (temperature_live(session), release_number(session)) == (1.5, due.release + 1)


@pytest.mark.parametrize(
    ("rules", "grace", "joan", "state", "why"),
    [
        ({"approvals": 2}, {}, {}, "in_review", "needs 1 more approval"),
        ({}, {"active": False}, {}, "in_review", "needs 1 approval"),
        ({}, {}, {"active": False}, "approved", "may not publish here any more"),
        ({}, {}, {"role": "on-call"}, "approved", "may not publish here any more"),
        ({"publish_role": "admin"}, {}, {}, "in_review", "may not publish here any more"),
    ],
)
def test_it_stops_by_the_rules_of_now(
    engine: Engine, rules: dict[str, Any], grace: dict[str, Any], joan: dict[str, Any], state: str, why: str
) -> None:
    due = Due(engine)
    with transaction(engine) as session:
        if rules:
            rule(session, **rules)
        for actor, values in ((due.grace, grace), (due.joan, joan)):
            if values:
                set_person(session, actor, **values)
    assert due.publish() == 0
    stands, note = due.stands()
    assert (stands, why in note) == (state, True)
    assert due.last_event().action == "proposal.stopped"
    assert due.publish() == 0


def test_nothing_of_it_stays_when_an_agreement_goes_while_it_is_published(engine: Engine) -> None:
    due = Due(engine)

    def disable(session: Session, _context: Any) -> None:
        if any(isinstance(each, Release) for each in session.new):
            with transaction(engine) as administrator:
                set_person(administrator, due.grace, active=False)

    event.listen(Session, "after_flush", disable)
    try:
        assert due.publish() == 0
    finally:
        event.remove(Session, "after_flush", disable)
    state, note = due.stands()
    assert (state, "needs 1 approval" in note) == ("in_review", True)
    assert due.last_event().action == "proposal.stopped"
    with Session(engine) as session:
        assert (temperature_live(session), release_number(session)) == (due.before, due.release)


def test_one_that_cannot_go_live_holds_up_no_other(engine: Engine) -> None:
    due = Due(engine)
    with transaction(engine) as session:
        rule(session, approvals=0)
        broken = warmer(session)
        broken["variants"][0]["model"] = "NOT_THERE"
        first = plan(session, make(session, due.ada, entries={PREMIUM: broken}), due.joan)
    due.make_due(HOUR, first.number)
    assert due.publish() == 1
    assert due.stands()[0] == "published"
    state, note = due.stands(first.number)
    assert (state, "NOT_THERE" in note) == ("approved", True)


def test_a_scheduled_one_may_be_published_by_hand(
    first_data: Session, approved: Proposal, grace: Actor
) -> None:
    plan(first_data, approved, grace)
    assert publish(first_data, approved, grace).author_name == "Grace"
