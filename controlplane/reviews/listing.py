"""The queue of reviews: what waits for somebody, the riskiest first and the oldest of those, narrowed as asked."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, any_, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.reviews.models import EventReview, ReviewStep
from controlplane.reviews.states import OPEN, Level, State

PAGE = 50
MOST_COUNTED = 10_000
# What is looked at: one's own part of the queue, what was asked of oneself, and what came of it.
SHOWS = ("open", "asked", "disputed", "done")
WHEN = ("overdue", "today")
_OPEN = [state.value for state in OPEN]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the queue is narrowed to; None does not narrow."""

    show: str = "open"
    environment: str | None = None  # "*": what belongs to none
    level: Level | None = None
    when: str | None = None
    only: str | None = None  # "emergency", "queried", "mine"

    @property
    def query(self) -> str:
        """As in the address."""
        return urlencode(self.parameters)

    @property
    def parameters(self) -> dict[str, str]:
        """As the names and values of the address."""
        values = {
            "show": None if self.show == "open" else self.show,
            "environment": self.environment,
            "risk": self.level.label if self.level else None,
            "when": self.when,
            "only": self.only,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def narrows(self) -> bool:
        """Whether anything but the tab is chosen."""
        return bool(self.parameters.keys() - {"show"})

    @property
    def words(self) -> str:
        """As people say it: "production · high risk · overdue"."""
        where = None if self.environment is None else self.environment
        parts = [
            "saved for all environments" if where == "*" else where,
            f"{self.level.label} risk" if self.level else None,
            {"overdue": "overdue", "today": "due within a day"}.get(self.when or ""),
            {"emergency": "emergencies", "queried": "queried", "mine": "answered by me"}.get(self.only or ""),
        ]
        return " · ".join(part for part in parts if part) or "everything that waits"


def wanted_of(given: Mapping[str, str]) -> tuple[Wanted, list[str]]:
    """Read the address's query; what makes no sense is passed over and named."""
    problems: list[str] = []

    def one_of(name: str, known: Sequence[str]) -> str | None:
        value = given.get(name, "").strip().replace("\x00", "")
        if value and value not in known:
            problems.append(f"“{value[:40]}” is nothing that {name} can be; it was left out.")
            return None
        return value or None

    level = one_of("risk", [each.label for each in Level])
    wanted = Wanted(
        show=one_of("show", SHOWS) or "open",
        environment=given.get("environment", "").strip().replace("\x00", "")[:200] or None,
        level=Level[level.upper()] if level else None,
        when=one_of("when", WHEN),
        only=one_of("only", ("emergency", "queried", "mine")),
    )
    return wanted, problems


@dataclass(frozen=True)
class Row:
    """A change and the look at it."""

    event: AuditEvent
    review: EventReview

    @property
    def state(self) -> State:
        """How it stands."""
        return State(self.review.state)

    @property
    def level(self) -> Level:
        """How risky it is."""
        return Level(self.review.level)

    @property
    def answered(self) -> bool:
        """Whether what was asked about it has an answer."""
        return self.review.answered_at is not None


@dataclass(frozen=True)
class Queue:
    """One page of the queue."""

    rows: Sequence[Row]
    total: int
    own: int  # how many more there are that somebody else has to look at
    following: str | None  # the last id of this page, when more follow it

    @property
    def total_words(self) -> str:
        """The number of matches, honest about where counting stopped."""
        if self.total > MOST_COUNTED:
            return f"more than {MOST_COUNTED:,} changes"
        return "1 change" if self.total == 1 else f"{self.total:,} changes"


def queue(
    session: Session, wanted: Wanted, *, actor: Actor, now: dt.datetime, after: str | None = None
) -> Queue:
    """The page of what `wanted` lets through for this person, after a row of it."""
    matching = select(AuditEvent, EventReview).join(EventReview, of_its_event())
    conditions = conditions_of(wanted, actor=actor, now=now)
    page = matching.where(*conditions)
    last = session.get(EventReview, after) if after else None
    if last is not None:
        page = page.where(_beyond(wanted, last))
    found = session.execute(page.order_by(*_order(wanted)).limit(PAGE + 1)).all()
    rows = [Row(event, review) for event, review in found[:PAGE]]
    own = (
        count_of(session, conditions_of(wanted, actor=actor, now=now, own=True))
        if wanted.show == "open"
        else 0
    )
    whole = last is None and len(found) <= PAGE
    return Queue(
        rows=rows,
        total=len(rows) if whole else count_of(session, conditions),
        own=own,
        following=rows[-1].event.id if len(found) > PAGE else None,
    )


def conditions_of(
    wanted: Wanted, *, actor: Actor, now: dt.datetime, own: bool = False
) -> list[ColumnElement[bool]]:
    """What the rows of a filter have in common. `own` turns to what this person may not answer, and others may."""
    found = [_shown(wanted.show, actor, own=own)]
    if wanted.environment is not None:
        found.append(
            EventReview.environment.is_(None)
            if wanted.environment == "*"
            else EventReview.environment == wanted.environment
        )
    if wanted.level is not None:
        found.append(EventReview.level == int(wanted.level))
    if wanted.when == "overdue":
        found.append(EventReview.due_at < now)
    elif wanted.when == "today":
        found.append(EventReview.due_at < now + dt.timedelta(days=1))
    if wanted.only == "emergency":
        found.append(EventReview.asked == "emergency")
    elif wanted.only == "queried":
        found.append(EventReview.state == State.QUERIED.value)
    elif wanted.only == "mine":
        found.append(EventReview.reviewer_id == actor.id)
    return found


def _shown(show: str, actor: Actor, *, own: bool) -> ColumnElement[bool]:
    if show == "asked":
        return and_(EventReview.state == State.QUERIED.value, _had_a_part(actor))
    if show == "disputed":
        return EventReview.state == State.DISPUTED.value
    if show == "done":
        return EventReview.state == State.REVIEWED.value
    mine = _had_a_part(actor)
    return and_(waiting(), mine if own else ~mine)


def _had_a_part(actor: Actor) -> ColumnElement[bool]:
    return literal(actor.id) == any_(EventReview.barred)


def waiting() -> ColumnElement[bool]:
    """What somebody has to look at and nobody has settled; written as the index of the queue has it."""
    return and_(EventReview.asked.is_not(None), EventReview.state.in_(_OPEN))


def _order(wanted: Wanted) -> tuple[Any, ...]:
    if wanted.show == "done":
        return EventReview.reviewed_at.desc(), EventReview.event_id.desc()
    return EventReview.level.desc(), EventReview.at, EventReview.event_id


def _beyond(wanted: Wanted, last: EventReview) -> ColumnElement[bool]:
    if wanted.show == "done":
        return tuple_(EventReview.reviewed_at, EventReview.event_id) < (last.reviewed_at, last.event_id)
    return or_(
        EventReview.level < last.level,
        and_(
            EventReview.level == last.level,
            tuple_(EventReview.at, EventReview.event_id) > (last.at, last.event_id),
        ),
    )


def of_its_event() -> ColumnElement[bool]:
    """What joins a review to its event: both, since the record is kept by month, and the moment says where an id lies."""
    return and_(AuditEvent.id == EventReview.event_id, AuditEvent.at == EventReview.at)


def count_of(session: Session, conditions: Sequence[ColumnElement[bool]]) -> int:
    """How many reviews meet these conditions, up to one more than `MOST_COUNTED`."""
    some = select(EventReview.event_id).where(*conditions).limit(MOST_COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def counts(session: Session, *, actor: Actor, now: dt.datetime) -> dict[str, int]:
    """How many there are under each tab, and how many of one's own queue are overdue."""
    found = {
        show: count_of(session, conditions_of(Wanted(show=show), actor=actor, now=now))
        for show in ("open", "asked", "disputed")
    }
    overdue = replace(Wanted(), when="overdue")
    return {**found, "overdue": count_of(session, conditions_of(overdue, actor=actor, now=now))}


def unsettled_count(session: Session, *, before: dt.datetime) -> int:
    """How many changes from before a moment wait for somebody to look at them, or to settle a dispute."""
    unsettled = or_(waiting(), EventReview.state == State.DISPUTED.value)
    return count_of(session, [unsettled, EventReview.at < before])


def waiting_count(session: Session) -> int:
    """How many changes wait for anybody to look at them."""
    return count_of(session, [waiting()])


def emergency_count(session: Session) -> int:
    """How many emergencies nobody has looked at yet."""
    return count_of(session, [waiting(), EventReview.asked == "emergency"])


def needing(
    session: Session, environment: str, *, actor: Actor, now: dt.datetime, limit: int
) -> Sequence[Row]:
    """What waits for this person in an environment: what was asked of them, then what they have to look at first."""
    query = select(AuditEvent, EventReview).join(EventReview, of_its_event())
    here = EventReview.environment == environment
    asked = query.where(
        here, *conditions_of(Wanted(show="asked"), actor=actor, now=now), EventReview.answered_at.is_(None)
    )
    found = [
        Row(*each)
        for each in session.execute(asked.order_by(EventReview.at, EventReview.event_id).limit(limit))
    ]
    if actor.is_reviewer and len(found) < limit:
        urgent = or_(EventReview.level == int(Level.HIGH), EventReview.due_at < now)
        rest = query.where(here, urgent, *conditions_of(Wanted(), actor=actor, now=now))
        found += [
            Row(*each) for each in session.execute(rest.order_by(*_order(Wanted())).limit(limit - len(found)))
        ]
    return found


def review_of(session: Session, event_id: str) -> EventReview | None:
    """The look at a change; None for one of a kind that is never looked at, or that is older than reviews are."""
    return session.get(EventReview, event_id)


def reviews_of(session: Session, event_ids: Sequence[str]) -> dict[str, EventReview]:
    """The looks at several changes, by id."""
    query = select(EventReview).where(EventReview.event_id.in_(event_ids))
    return {each.event_id: each for each in session.scalars(query)}


def thread(session: Session, event_id: str) -> Sequence[ReviewStep]:
    """What was said and decided in the look at a change, in order."""
    query = select(ReviewStep).where(ReviewStep.event_id == event_id).order_by(ReviewStep.id)
    return session.scalars(query).all()


def threads(session: Session, event_ids: Sequence[str]) -> dict[str, list[ReviewStep]]:
    """What was said of several changes, in order, by their ids."""
    query = select(ReviewStep).where(ReviewStep.event_id.in_(event_ids)).order_by(ReviewStep.id)
    found: dict[str, list[ReviewStep]] = {}
    for step in session.scalars(query):
        found.setdefault(step.event_id, []).append(step)
    return found


def lines_of(session: Session, event_ids: Sequence[str]) -> list[Row]:
    """Several changes with the looks at them, in the order of their ids."""
    query = select(AuditEvent, EventReview).join(EventReview, of_its_event())
    query = query.where(EventReview.event_id.in_(event_ids)).order_by(EventReview.event_id)
    return [Row(event, review) for event, review in session.execute(query)]
