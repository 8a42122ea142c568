"""Reading the audit: one event with its neighbours, the last changes of one object. `finding.py` has the list."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from controlplane.audit.identifiers import moment_of
from controlplane.audit.models import AuditEvent
from controlplane.errors import NotFound

_NEAR = dt.timedelta(days=1)
# Everyone's signing in would push out what was changed; the full list has it.
_COMINGS_AND_GOINGS = ("person.signed_in", "person.signed_out", "person.sign_in_refused")


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
    query = select(AuditEvent).where(AuditEvent.id == storable.upper())
    event = _soonest(session, query, moment_of(storable))
    if event is None or storable != identifier:
        raise NotFound("change", storable)
    return event


def neighbours(session: Session, event: AuditEvent) -> tuple[AuditEvent | None, AuditEvent | None]:
    """The event before and the one after, in the order of the chain."""
    before, after = (
        _soonest(session, select(AuditEvent).where(AuditEvent.sequence == number), event.at)
        if number
        else None
        for number in (event.sequence - 1, event.sequence + 1)
    )
    return before, after


def _soonest(session: Session, query: Select[AuditEvent], moment: dt.datetime | None) -> AuditEvent | None:
    """Look in the months around a moment, then in all: there may be a hundred, each with an index of its own to ask."""
    if moment is not None:
        near = query.where(AuditEvent.at.between(moment - _NEAR, moment + _NEAR))
        if (event := session.scalar(near)) is not None:
            return event
    return session.scalar(query)
