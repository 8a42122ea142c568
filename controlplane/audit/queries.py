"""Reading the audit: the filtered list, one event with its neighbours, the last changes of one object."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.errors import NotFound

PAGE = 50
# Counting a filter's matches exactly costs a pass over all of them; past this the page says "more than".
MOST_COUNTED = 10_000
# Each word that is looked for is compared with three texts of every event.
MOST_WORDS = 8
# Everyone's signing in would push out what was changed; the full list has it.
_COMINGS_AND_GOINGS = ("person.signed_in", "person.signed_out", "person.sign_in_refused")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the list is narrowed to; None does not narrow."""

    q: str | None = None
    actor: str | None = None
    action: str | None = None
    object_kind: str | None = None
    object_key: str | None = None
    environment: str | None = None
    after: dt.date | None = None
    before: dt.date | None = None

    @property
    def narrows(self) -> bool:
        """Whether any of it is set."""
        return any(value is not None for value in vars(self).values())


@dataclass(frozen=True)
class Listed:
    """One page of events, newest first, and how to go on from it."""

    events: Sequence[AuditEvent]
    total: int
    newer: int | None  # cursor: events with a higher sequence than this exist
    older: int | None  # cursor: events with a lower sequence than this exist

    @property
    def total_words(self) -> str:
        """The number of matches, honest about where counting stopped."""
        if self.total > MOST_COUNTED:
            return f"more than {MOST_COUNTED:,} changes"
        return "1 change" if self.total == 1 else f"{self.total:,} changes"


def changes(
    session: Session, wanted: Filter, *, older_than: int | None = None, newer_than: int | None = None
) -> Listed:
    """The page of events that `wanted` lets through, before or after a cursor (a sequence number)."""
    matching = select(AuditEvent).where(*_conditions(wanted))
    if newer_than is not None:
        ahead = matching.where(AuditEvent.sequence > newer_than).order_by(AuditEvent.sequence).limit(PAGE)
        events = list(reversed(session.scalars(ahead).all()))
    else:
        query = matching.order_by(AuditEvent.sequence.desc()).limit(PAGE)
        if older_than is not None:
            query = query.where(AuditEvent.sequence < older_than)
        events = list(session.scalars(query))
    if older_than is None and newer_than is None and len(events) < PAGE:
        # That was all. Rare words are looked for in every event, once is enough.
        return Listed(events, total=len(events), newer=None, older=None)
    newest, oldest = (events[0].sequence, events[-1].sequence) if events else (None, None)
    return Listed(
        events=events,
        total=_count(session, matching),
        newer=newest if newest and _any(session, matching.where(AuditEvent.sequence > newest)) else None,
        older=oldest if oldest and _any(session, matching.where(AuditEvent.sequence < oldest)) else None,
    )


def changes_of(
    session: Session, object_kind: str, object_key: str, environment: str | None = None, limit: int = 5
) -> Sequence[AuditEvent]:
    """The last events of one object, newest first; with an environment, those of others are left out."""
    query = select(AuditEvent).where(
        AuditEvent.object_kind == object_kind, AuditEvent.object_key == object_key
    )
    if environment is not None:
        query = query.where(concerns(environment))
    return session.scalars(query.order_by(AuditEvent.sequence.desc()).limit(limit)).all()


def last_changes(session: Session, environment: str, *, limit: int) -> Sequence[AuditEvent]:
    """The last changes that concern an environment, newest first, without anybody's signing in and out."""
    query = select(AuditEvent).where(concerns(environment), AuditEvent.action.not_in(_COMINGS_AND_GOINGS))
    return session.scalars(query.order_by(AuditEvent.sequence.desc()).limit(limit)).all()


def concerns(environment: str) -> ColumnElement[bool]:
    """What happened in an environment, or to what is saved and so the same for all."""
    return or_(AuditEvent.environment == environment, AuditEvent.environment.is_(None))


def get_event(session: Session, identifier: str) -> AuditEvent:
    """One event by its permanent id; raises NotFound."""
    storable = identifier.replace("\x00", "")  # Postgres refuses to compare text with a NUL in it
    event = session.scalar(select(AuditEvent).where(AuditEvent.id == storable.upper()))
    if event is None or storable != identifier:
        raise NotFound("change", storable)
    return event


def neighbours(session: Session, event: AuditEvent) -> tuple[AuditEvent | None, AuditEvent | None]:
    """The event before and the one after, in the order of the chain."""
    return session.get(AuditEvent, event.sequence - 1), session.get(AuditEvent, event.sequence + 1)


def known_actors(session: Session) -> Sequence[tuple[str, str]]:
    """Everybody who ever changed something, as (id, name last used), by name."""
    newest = (
        select(AuditEvent.actor_id, func.max(AuditEvent.sequence).label("sequence"))
        .group_by(AuditEvent.actor_id)
        .subquery()
    )
    rows = session.execute(
        select(AuditEvent.actor_id, AuditEvent.actor_name)
        .join(newest, AuditEvent.sequence == newest.c.sequence)
        .order_by(func.lower(AuditEvent.actor_name), AuditEvent.actor_id)
    )
    return [(row.actor_id, row.actor_name) for row in rows]


def known_actions(session: Session) -> Sequence[str]:
    """Every action there is an event of, in order."""
    return session.scalars(select(AuditEvent.action).distinct().order_by(AuditEvent.action)).all()


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (AuditEvent.actor_id, wanted.actor),
        (AuditEvent.action, wanted.action),
        (AuditEvent.object_kind, wanted.object_kind),
        (AuditEvent.object_key, wanted.object_key),
        (AuditEvent.environment, wanted.environment),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.after is not None:
        found.append(AuditEvent.at >= _midnight(wanted.after))
    if wanted.before is not None:
        found.append(AuditEvent.at < _midnight(wanted.before) + dt.timedelta(days=1))
    found.extend(_says(word) for word in (wanted.q or "").split()[:MOST_WORDS])
    return found


def _says(word: str) -> ColumnElement[bool]:
    # autoescape: a person who types 100 % means the sign.
    return or_(
        AuditEvent.sentence.icontains(word, autoescape=True),
        AuditEvent.reason.icontains(word, autoescape=True),
        AuditEvent.actor_name.icontains(word, autoescape=True),
    )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC)


def _count(session: Session, matching: Select[AuditEvent]) -> int:
    some = matching.with_only_columns(AuditEvent.sequence).limit(MOST_COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _any(session: Session, matching: Select[AuditEvent]) -> bool:
    return session.scalar(matching.with_only_columns(AuditEvent.sequence).limit(1)) is not None
