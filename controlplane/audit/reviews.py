"""Emergencies looked at after the fact: what was done without agreement is agreed to, or disputed, by somebody else."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent, EmergencyReview
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Conflict, Forbidden, NotFound, Refused

LONGEST_COMMENT = 2_000


@dataclass(frozen=True)
class Reviewed:
    """An emergency and how the look at it stands."""

    event: AuditEvent
    review: EmergencyReview


def open_reviews(session: Session, *, limit: int = 50) -> Sequence[Reviewed]:
    """Return the emergencies that nobody has looked at yet, the oldest first."""
    query = (
        select(AuditEvent, EmergencyReview)
        .join(EmergencyReview, EmergencyReview.event_id == AuditEvent.id)
        .where(EmergencyReview.state == "open")
        .order_by(AuditEvent.sequence)
        .limit(limit)
    )
    return [Reviewed(event, review) for event, review in session.execute(query)]


def open_for(session: Session, environment: str, *, actor: Actor, limit: int) -> Sequence[Reviewed]:
    """Return the emergencies of an environment that this person may answer for, the oldest first."""
    if actor.kind != "person" or not actor.role.includes(Role.PUBLISHER):
        return []
    query = (
        select(AuditEvent, EmergencyReview)
        .join(EmergencyReview, EmergencyReview.event_id == AuditEvent.id)
        .where(EmergencyReview.state == "open", EmergencyReview.actor_id != actor.id)
        .where(AuditEvent.environment == environment)
        .order_by(AuditEvent.sequence)
        .limit(limit)
    )
    return [Reviewed(event, review) for event, review in session.execute(query)]


def open_count(session: Session) -> int:
    """Return how many emergencies nobody has looked at yet."""
    query = select(func.count()).select_from(EmergencyReview).where(EmergencyReview.state == "open")
    return session.scalar(query) or 0


def review_of(session: Session, event_id: str) -> EmergencyReview | None:
    """Return the review of an event; None for one that was no emergency."""
    return session.get(EmergencyReview, event_id)


def answer(session: Session, event_id: str, *, agreed: bool, comment: str, actor: Actor) -> EmergencyReview:
    """Agree to an emergency after the fact, or dispute it; a dispute says why.

    Raises `Forbidden` to whoever did it and to anything but a person, `Conflict` when it was answered meanwhile.
    """
    actor.require(Role.PUBLISHER)
    review = session.get(EmergencyReview, event_id, with_for_update=True, populate_existing=True)
    event = session.scalar(select(AuditEvent).where(AuditEvent.id == event_id))
    if review is None or event is None:
        raise NotFound("review of an emergency", event_id)
    if actor.kind != "person" or actor.id == review.actor_id:
        raise Forbidden("Publisher, and somebody else than who did it")
    if review.state != "open":
        raise Conflict(f"{review.reviewer_name} has looked at it already. Nothing was changed.")
    comment = " ".join(comment.split())
    if len(comment) > LONGEST_COMMENT:
        raise Refused({"comment": f"This has {len(comment)} characters; {LONGEST_COMMENT} is the most."})
    if not agreed and not comment:
        raise Refused({"comment": "Say what is wrong with it."})
    review.state = "agreed" if agreed else "disputed"
    review.reviewer_id, review.reviewer_name = actor.id, actor.name
    review.reviewed_at, review.comment = now(), comment or None
    session.flush()
    verb = "agreed to" if agreed else "disputed"
    record(
        session,
        actor=actor,
        action=f"emergency.{review.state}",
        object_kind=event.object_kind,
        object_key=event.object_key,
        sentence=f"{verb} the emergency of {event.actor_name}: {event.sentence}",
        environment=event.environment,
        reason=comment or None,
        release=event.release,
        proposal=event.proposal,
    )
    return review
