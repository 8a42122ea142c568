"""Events to review and people to review them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.reviews import signing_off
from controlplane.reviews.listing import Wanted
from controlplane.reviews.models import EventReview
from tests.audit.events import ADA, told

GRACE = Actor(kind="person", id="grace-1", name="Grace Hopper", role=Role.PUBLISHER, via="browser")
LINUS = Actor(kind="person", id="linus-1", name="Linus", role=Role.PUBLISHER, via="browser")


def published(session: Session, number: int = 1, **more: Any) -> AuditEvent:
    """A release of production by Ada, that nobody agreed to: of medium risk at least."""
    facts: dict[str, Any] = {
        "actor": ADA,
        "action": "release.published",
        "object_kind": "release",
        "object_key": f"production/{number}",
        "environment": "production",
        "release": number,
    }
    return told(session, f"published release {number} of production", **{**facts, **more})


def emergency(session: Session, **more: Any) -> AuditEvent:
    """A rollout that Ada aborted without asking anybody."""
    facts: dict[str, Any] = {
        "action": "rollout.aborted",
        "environment": "production",
        "emergency": True,
        "reason": "Answers came in the wrong language",
    }
    return told(session, "aborted version 2 at 10 % of users in production", **{**facts, **more})


def review_of(session: Session, event: AuditEvent) -> EventReview:
    return session.get_one(EventReview, event.id, populate_existing=True)


def newest(session: Session, count: int = 1) -> Sequence[AuditEvent]:
    query = select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(count)
    return session.scalars(query).all()


def make_sign_off(session: Session) -> int:
    """Something signed off; its number."""
    published(session)
    at = now()
    chosen = signing_off.choose(session, Wanted(), actor=GRACE, at=at)
    signed = signing_off.sign_off(
        session,
        Wanted(),
        statement="Looked at each of them",
        through=chosen.through,
        count=chosen.count,
        sha256=chosen.sha256,
        at=at,
        actor=GRACE,
    )
    return signed.number
