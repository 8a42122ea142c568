"""What happened in a period and who looked at it: for whoever has to show that somebody did."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select, tuple_
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.audit.services import record
from controlplane.reviews import risk
from controlplane.reviews.listing import Row, of_its_event
from controlplane.reviews.models import EventReview, ReviewStep, SignOff
from controlplane.reviews.states import OPEN, Level, State

OBJECTS_SHOWN = 25
ROWS_SHOWN = 100
_OPEN = [state.value for state in OPEN]


@dataclass(frozen=True)
class Period:
    """From one day to another, both whole (UTC), in one environment or in all."""

    first: dt.date
    last: dt.date
    environment: str | None = None

    @property
    def begin(self) -> dt.datetime:
        """The first moment."""
        return dt.datetime.combine(self.first, dt.time.min, tzinfo=dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """The first moment that is no longer part of it."""
        return dt.datetime.combine(self.last, dt.time.min, tzinfo=dt.UTC) + dt.timedelta(days=1)

    @property
    def words(self) -> str:
        """As a heading: "1 November to 30 November 2026"."""
        first = f"{self.first.day} {self.first:%B}" + (
            f" {self.first.year}" if self.first.year != self.last.year else ""
        )
        last = f"{self.last.day} {self.last:%B} {self.last.year}"
        return last if self.first == self.last else f"{first} to {last}"


@dataclass(frozen=True)
class Kind:
    """How often something of one kind was done, and what came of the looks at it."""

    action: str
    count: int
    high: int
    asked: int
    reviewed: int


@dataclass(frozen=True)
class Exceptions:
    """What did not go as it should: how many, and the first of them."""

    title: str
    meaning: str
    count: int
    rows: Sequence[Row]


@dataclass(frozen=True)
class Went:
    """What went live, and who had agreed to it."""

    event: AuditEvent
    review: EventReview | None
    approved_by: Sequence[str]


@dataclass(frozen=True)
class Reviewer:
    """What one person looked at."""

    name: str
    reviewed: int
    at_once: int  # of these, by a statement over many
    queried: int
    disputed: int
    first: dt.datetime
    last: dt.datetime


@dataclass(frozen=True)
class Evidence:
    """How far what had to be looked at was looked at."""

    asked: int
    answered: int
    in_time: int
    waiting: int
    overdue: int

    @property
    def late(self) -> int:
        """How many were answered after their time."""
        return self.answered - self.in_time

    @property
    def share(self) -> str:
        """The share that was answered, in words."""
        return "nothing had to be" if not self.asked else f"{self.answered * 100 // self.asked} %"


@dataclass(frozen=True)
class Report:
    """The whole page."""

    period: Period
    changes: int
    people: int
    kinds: Sequence[Kind]
    objects: Sequence[tuple[str, str, int]]
    more_objects: int
    went_live: Sequence[Went]
    releases: int
    exceptions: Sequence[Exceptions]
    evidence: Evidence
    reviewers: Sequence[Reviewer]
    sign_offs: Sequence[SignOff]


def report(session: Session, period: Period, *, now: dt.datetime) -> Report:
    """Everything the page shows; the number of queries does not grow with the period."""
    here = _in(period)
    changes, people = session.execute(
        select(func.count(), func.count(AuditEvent.actor_id.distinct())).where(*here)
    ).one()
    objects, more = _objects(session, here)
    went, releases = _went_live(session, here)
    return Report(
        period=period,
        changes=changes,
        people=people,
        kinds=_kinds(session, here),
        objects=objects,
        more_objects=more,
        went_live=went,
        releases=releases,
        exceptions=_exceptions(session, period, now),
        evidence=_evidence(session, period, now),
        reviewers=_reviewers(session, period),
        sign_offs=session.scalars(
            select(SignOff)
            .where(SignOff.at >= period.begin, SignOff.at < period.end)
            .order_by(SignOff.number)
            .limit(ROWS_SHOWN)
        ).all(),
    )


def rows_of(session: Session, period: Period) -> Iterator[Sequence[object]]:
    """Every change of the period with the look at it, oldest first: one line of the table each."""
    query = (
        select(AuditEvent, EventReview)
        .outerjoin(EventReview, of_its_event())
        .where(*_in(period))
        .order_by(AuditEvent.sequence)
        .execution_options(yield_per=500)
    )
    for part in session.execute(query).partitions():
        events = [event for event, _ in part]
        approvals = _approvals(session, events)
        comments = _comments(session, [event.id for event in events])
        for event, look in part:
            yield (
                event.sequence, event.id, event.at, event.actor_name, event.actor_role, event.via, event.action,
                event.object_kind, event.object_key, event.environment, event.sentence, event.reason,
                event.release, event.proposal, "; ".join(approvals.get(_proposal(event), ())),
                "yes" if event.emergency else "no",
                *_look(look), comments.get(event.id),
            )  # fmt: skip
        session.expunge_all()


def record_export(session: Session, period: Period, *, actor: Actor) -> None:
    """Record that somebody takes the changes of a period with them, before they do."""
    where = f" in {period.environment}" if period.environment else ""
    record(
        session,
        actor=actor,
        action="changes.exported",
        object_kind="changes",
        object_key="report",
        sentence=f"exported the report of {period.words}{where} as CSV",
        environment=period.environment,
        after={"from": period.first.isoformat(), "to": period.last.isoformat(), "format": "csv"},
    )


HEAD = (
    "number", "id", "at", "actor", "role", "via", "action", "object_kind", "object", "environment", "change",
    "reason", "release", "proposal", "approved_by", "emergency", "risk", "level", "risk_reasons", "review_asked",
    "review_due", "review", "reviewer", "reviewed_at", "review_comments",
)  # fmt: skip


def _look(look: EventReview | None) -> Sequence[object]:
    if look is None:
        return (None,) * 8
    return (
        look.risk, Level(look.level).label, " · ".join(each["words"] for each in look.reasons), look.asked or "no",
        look.due_at, look.state, look.reviewer_name, look.reviewed_at,
    )  # fmt: skip


def _in(period: Period) -> list[ColumnElement[bool]]:
    """The changes of the period: comings, goings and reviews themselves are none."""
    subject = func.split_part(AuditEvent.action, ".", 1)
    found = [
        AuditEvent.at >= period.begin,
        AuditEvent.at < period.end,
        AuditEvent.action.not_in(sorted(risk.EXEMPT)),
        or_(not_(subject.in_(sorted(risk.EXEMPT_SUBJECTS))), AuditEvent.action.in_(sorted(risk.NOT_EXEMPT))),
    ]
    if period.environment is not None:
        found.append(AuditEvent.environment == period.environment)
    return found


def _looks(period: Period) -> list[ColumnElement[bool]]:
    found = [EventReview.at >= period.begin, EventReview.at < period.end]
    if period.environment is not None:
        found.append(EventReview.environment == period.environment)
    return found


def _kinds(session: Session, here: Sequence[ColumnElement[bool]]) -> list[Kind]:
    count = func.count()
    query = (
        select(
            AuditEvent.action,
            count,
            count.filter(EventReview.level == int(Level.HIGH)),
            count.filter(EventReview.asked.is_not(None)),
            count.filter(EventReview.state == State.REVIEWED.value),
        )
        .outerjoin(EventReview, of_its_event())
        .where(*here)
        .group_by(AuditEvent.action)
        .order_by(count.desc(), AuditEvent.action)
    )
    return [Kind(*row) for row in session.execute(query)]


def _objects(session: Session, here: Sequence[ColumnElement[bool]]) -> tuple[list[tuple[str, str, int]], int]:
    count = func.count()
    grouped = (
        select(AuditEvent.object_kind, AuditEvent.object_key, count)
        .where(*here)
        .group_by(AuditEvent.object_kind, AuditEvent.object_key)
    )
    rows = session.execute(
        grouped.order_by(count.desc(), AuditEvent.object_kind, AuditEvent.object_key).limit(OBJECTS_SHOWN)
    ).all()
    whole = session.scalar(select(func.count()).select_from(grouped.subquery())) or 0
    return [(kind, key, number) for kind, key, number in rows], whole - len(rows)


def _went_live(session: Session, here: Sequence[ColumnElement[bool]]) -> tuple[list[Went], int]:
    live = (*here, AuditEvent.release.is_not(None))
    query = (
        select(AuditEvent, EventReview)
        .outerjoin(EventReview, of_its_event())
        .where(*live)
        .order_by(AuditEvent.sequence.desc())
        .limit(ROWS_SHOWN)
    )
    rows = session.execute(query).all()
    approvals = _approvals(session, [event for event, _ in rows])
    total = session.scalar(select(func.count()).select_from(AuditEvent).where(*live)) or 0
    return [Went(event, look, approvals.get(_proposal(event), ())) for event, look in rows], total


def _proposal(event: AuditEvent) -> tuple[str | None, int | None]:
    return event.environment, event.proposal


def _approvals(
    session: Session, events: Sequence[AuditEvent]
) -> Mapping[tuple[str | None, int | None], list[str]]:
    """Who agreed to the proposals of these events, as the record has it: to the content that they had in the end."""
    wanted = sorted(
        {(each.environment, each.proposal) for each in events if each.environment and each.proposal}
    )
    if not wanted:
        return {}
    query = (
        select(AuditEvent.environment, AuditEvent.proposal, AuditEvent.actor_name, AuditEvent.after)
        .where(
            AuditEvent.action == "proposal.approved",
            tuple_(AuditEvent.environment, AuditEvent.proposal).in_(wanted),
        )
        .order_by(AuditEvent.sequence)
    )
    found: dict[tuple[str | None, int | None], list[tuple[str, Any]]] = {}
    for environment, proposal, name, after in session.execute(query):
        found.setdefault((environment, proposal), []).append((name, (after or {}).get("content")))
    return {key: [name for name, content in given if content == given[-1][1]] for key, given in found.items()}


def _comments(session: Session, ids: Sequence[str]) -> dict[str, str]:
    query = (
        select(ReviewStep.event_id, ReviewStep.person_name, ReviewStep.kind, ReviewStep.comment)
        .where(ReviewStep.event_id.in_(ids), ReviewStep.comment.is_not(None))
        .order_by(ReviewStep.id)
    )
    found: dict[str, str] = {}
    for event_id, name, kind, comment in session.execute(query):
        said = f"{name} {kind}: {comment}"
        found[event_id] = f"{found[event_id]} | {said}" if event_id in found else said
    return found


# By the mark of a risk's reason, or by what became of the review.
_EXCEPTIONS = (
    ("emergency", "Emergencies", "Done without the agreement that the environment asks for, by somebody who may."),
    ("unapproved", "Live without an approval", "New content in a protected environment that nobody else agreed to first."),
    ("self-approved", "Approved by one of their authors", "The environment lets authors agree to their own work, and somebody did."),
    ("disputed", "Disputed", "A reviewer said at some time that something was wrong, settled or not."),
    ("overdue", "Overdue", "Had to be looked at by now, and was not."),
    ("late", "Reviewed late", "Looked at, but after the time that the rules give."),
)  # fmt: skip


def _exceptions(session: Session, period: Period, now: dt.datetime) -> list[Exceptions]:
    found = []
    for mark, title, meaning in _EXCEPTIONS:
        conditions = [*_looks(period), _marked(mark, now)]
        query = select(AuditEvent, EventReview).join(EventReview, of_its_event()).where(*conditions)
        rows = session.execute(query.order_by(EventReview.at, EventReview.event_id).limit(ROWS_SHOWN)).all()
        count = len(rows)
        if count == ROWS_SHOWN:
            count = session.scalar(select(func.count()).select_from(EventReview).where(*conditions)) or 0
        found.append(Exceptions(title, meaning, count, [Row(*row) for row in rows]))
    return found


def _marked(mark: str, now: dt.datetime) -> ColumnElement[bool]:
    if mark == "disputed":
        once = select(ReviewStep.event_id).where(
            ReviewStep.event_id == EventReview.event_id, ReviewStep.kind == "disputed"
        )
        return once.exists()
    if mark == "overdue":
        return and_(EventReview.due_at < now, EventReview.state.in_(_OPEN))
    if mark == "late":
        return and_(EventReview.due_at < EventReview.reviewed_at, EventReview.state.not_in(_OPEN))
    return EventReview.reasons.contains([{"mark": mark}])


def _evidence(session: Session, period: Period, now: dt.datetime) -> Evidence:
    count, is_open = func.count(), EventReview.state.in_(_OPEN)
    query = select(
        count,
        count.filter(~is_open),
        count.filter(~is_open, EventReview.reviewed_at <= EventReview.due_at),
        count.filter(is_open),
        count.filter(is_open, EventReview.due_at < now),
    ).where(*_looks(period), EventReview.asked.is_not(None))
    return Evidence(*session.execute(query).one())


def _reviewers(session: Session, period: Period) -> list[Reviewer]:
    """What each person looked at of the changes of the period, whenever they did."""
    count = func.count()
    reviewed = ReviewStep.kind == "reviewed"
    query = (
        select(
            func.max(ReviewStep.person_name),
            count.filter(reviewed),
            count.filter(reviewed, ReviewStep.sign_off.is_not(None)),
            count.filter(ReviewStep.kind == "queried"),
            count.filter(ReviewStep.kind == "disputed"),
            func.min(ReviewStep.at),
            func.max(ReviewStep.at),
        )
        .join(EventReview, EventReview.event_id == ReviewStep.event_id)
        .where(*_looks(period), ReviewStep.kind.in_(("reviewed", "queried", "disputed")))
        .group_by(ReviewStep.person_id)
        .order_by(count.desc(), func.max(ReviewStep.person_name), ReviewStep.person_id)
    )
    return [Reviewer(*row) for row in session.execute(query)]
