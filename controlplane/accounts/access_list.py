"""Who had which role on any date, replayed from the record: what people are now says nothing of what they were then.

People are told apart by their address for signing in, which is what the record names them by and which never changes.

Where months of the record are archived, the event that tells of it holds the list at the end of that month, and the replay
goes on from there. Within an archived month nothing is known but what it was at the end of the one before.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.conditions import Wanted
from controlplane.audit.finding import all_of, prepare
from controlplane.audit.language import Query, Term
from controlplane.audit.models import AuditArchive, AuditEvent
from controlplane.audit.services import record
from controlplane.db import Json

ADDED, ROLE_CHANGED, DISABLED, ENABLED = (
    "person.added",
    "person.role_changed",
    "person.disabled",
    "person.enabled",
)
MADE, UNMADE = "person.reviewer_made", "person.reviewer_unmade"
TOLD = (ADDED, ROLE_CHANGED, DISABLED, ENABLED, MADE, UNMADE)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One event about a person, as far as it bears on what they may do."""

    id: str
    at: dt.datetime
    action: str
    email: str
    by: str
    after: Json


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one person could do on a date, and who had given them that."""

    email: str
    name: str
    role: Role
    granted_by: str
    granted_at: dt.datetime
    granted_in: str  # the id of the event
    added_at: dt.datetime
    active: bool = True
    changed_by: str | None = None  # who disabled or enabled them last
    changed_at: dt.datetime | None = None
    reviewer_by: str | None = None  # who made them a reviewer, where they are one
    reviewer_at: dt.datetime | None = None

    @property
    def may_review(self) -> bool:
        """Whether they could look at changes after the fact by having been made a reviewer."""
        return self.reviewer_by is not None


def access_on(session: Session, day: dt.date) -> Sequence[Access]:
    """Everybody there was at the end of a day (UTC), those who could sign in first, then by rights and name."""
    prepare(session)
    # People sign in far more often than they are given something: the index of all terms finds the few at once.
    wanted = Wanted(Query(tuple(Term(action, "action") for action in TOLD)), now=_end_of(day))
    query = all_of(wanted, [AuditEvent]).where(AuditEvent.at < _end_of(day))
    query = query.order_by(None).order_by(AuditEvent.sequence)
    told = (
        Told(
            id=event.id,
            at=event.at,
            action=event.action,
            email=event.object_key,
            by=event.actor_name,
            after=event.after or {},
        )
        for event in session.scalars(query.execution_options(yield_per=1_000))
    )
    found = replay(told, _archived(session, day)).values()
    return sorted(found, key=lambda each: (not each.active, -each.role.rank, each.name.lower(), each.email))


def last_known(session: Session, day: dt.date) -> dt.date:
    """The last day, up to this one, whose list is known to the day: where its month is archived, the end of an earlier one."""
    months = set(session.scalars(select(AuditArchive.month)))
    while day.replace(day=1) in months and (day + dt.timedelta(days=1)).day != 1:
        day = day.replace(day=1) - dt.timedelta(days=1)
    return day


def snapshot(session: Session, day: dt.date) -> Json:
    """The list of a day as JSON, for the event that tells of the archiving of its month."""
    return {
        each.email: {
            name: value.isoformat() if isinstance(value, dt.datetime) else value
            for name, value in asdict(each).items()
            if value is not None and name != "email"
        }
        for each in access_on(session, day)
    }


def _archived(session: Session, day: dt.date) -> dict[str, Access]:
    """What the newest archived month that ended by this day left behind."""
    ended = (day + dt.timedelta(days=1)).strftime("%Y-%m")  # of the month of the day after, nothing is over
    query = select(AuditEvent.after["people"]).where(
        AuditEvent.object_kind == "record",
        AuditEvent.action == "record.archived",
        AuditEvent.object_key < ended,
    )
    newest = query.order_by(AuditEvent.object_key.desc(), AuditEvent.sequence.desc()).limit(1)
    return {email: _kept(email, each) for email, each in (session.scalar(newest) or {}).items()}


def _kept(email: str, kept: Json) -> Access:
    moments = {name: dt.datetime.fromisoformat(kept[name]) for name in kept if name.endswith("_at")}
    return Access(**{**kept, **moments, "role": Role(kept["role"]), "email": email})


def record_export(session: Session, day: dt.date, *, actor: Actor) -> None:
    """Record that somebody takes the list of a day with them."""
    record(
        session,
        actor=actor,
        action="people.exported",
        object_kind="people",
        object_key="access list",
        sentence=f"exported who could do what on {day.isoformat()} as CSV",
        after={"on": day.isoformat(), "format": "csv"},
    )


def replay(told: Iterable[Told], before: Mapping[str, Access] | None = None) -> dict[str, Access]:
    """What these events, in the order of the record, make of everybody, by address. Pure."""
    found = dict(before or {})
    for each in told:
        so_far = found.get(each.email)
        after = _added(each) if each.action == ADDED else _changed(so_far, each) if so_far else None
        if after is not None:
            found[each.email] = after
    return found


def _added(told: Told) -> Access:
    return Access(
        email=told.email,
        name=str(told.after.get("name", told.email)),
        role=Role(told.after["role"]),
        granted_by=told.by,
        granted_at=told.at,
        granted_in=told.id,
        added_at=told.at,
    )


def _changed(before: Access, told: Told) -> Access:
    if told.action == ROLE_CHANGED:
        return replace(
            before, role=Role(told.after["role"]), granted_by=told.by, granted_at=told.at, granted_in=told.id
        )
    if told.action in {MADE, UNMADE}:
        made = told.action == MADE
        return replace(before, reviewer_by=told.by if made else None, reviewer_at=told.at if made else None)
    return replace(before, active=told.action == ENABLED, changed_by=told.by, changed_at=told.at)


def _end_of(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC) + dt.timedelta(days=1)
