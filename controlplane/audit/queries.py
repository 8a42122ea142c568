"""Reading the audit: one event with its neighbours, the last changes of one object. `finding.py` has the list."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.errors import NotFound

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
    event = session.scalar(select(AuditEvent).where(AuditEvent.id == storable.upper()))
    if event is None or storable != identifier:
        raise NotFound("change", storable)
    return event


def neighbours(session: Session, event: AuditEvent) -> tuple[AuditEvent | None, AuditEvent | None]:
    """The event before and the one after, in the order of the chain."""
    return session.get(AuditEvent, event.sequence - 1), session.get(AuditEvent, event.sequence + 1)
