"""What the site says of the record itself: whether it is whole, who could alter it, where it is anchored and where it begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.audit import archive, checks, roles
from controlplane.audit.models import AuditAnchor, AuditArchive

_ANCHORS_SHOWN = 20


@dataclass(frozen=True)
class Proof:
    """The record's standing, for the line above the list and for its own page."""

    badge: checks.Badge
    role: roles.Standing
    archived: Sequence[AuditArchive]

    @property
    def begins(self) -> str | None:
        """Where the list begins when it does not begin at the beginning."""
        if not self.archived:
            return None
        events = sum(each.events for each in self.archived)
        return f"Older months are archived: {events:,} events up to {self.archived[-1].month:%B %Y}."


def proof(session: Session) -> Proof:
    """How the record stands."""
    return Proof(checks.badge(session), roles.standing(session), archive.archived_months(session))


def last_anchors(session: Session) -> Sequence[AuditAnchor]:
    """Where the head was left last, newest first."""
    query = select(AuditAnchor).order_by(AuditAnchor.anchored_at.desc(), AuditAnchor.name)
    return session.scalars(query.limit(_ANCHORS_SHOWN)).all()
