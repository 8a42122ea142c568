"""The review of a change is opened with its event, in the same transaction, with the risk as it is known then.

Called by `audit.services.record` and by nothing else, so that no change can be made without it.
"""

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.models import Person
from controlplane.audit.models import AuditEvent
from controlplane.db import Json
from controlplane.proposals.models import ProposalParticipant
from controlplane.registry.models import Environment
from controlplane.reviews import risk
from controlplane.reviews.models import EventReview, ReviewRules
from controlplane.reviews.risk import Facts
from controlplane.reviews.rules import DEFAULTS, Rules, asked

# What makes something live that was not: where nobody agreed to it, that is worth a word.
_MAKES_LIVE = {"release.published", "rollout.started", "release.rolled_back", "release.reverted"}
# Loading what a first run begins with is nobody's decision.
_NOBODYS = "first data"


def open_review(
    session: Session, event: AuditEvent, *, before: Json | None, after: Json | None
) -> EventReview | None:
    """Write down the risk of a change, and whether and by when somebody has to look at it; None for what is never looked at."""
    if risk.is_exempt(event.action) or event.via == _NOBODYS:
        return None
    rules = rules_of(session)
    environment = session.get(Environment, event.environment) if event.environment else None
    found = risk.assess(
        _facts(session, event, environment, before, after), rules.hours, newcomer_days=rules.newcomer_days
    )
    rule = rules.rule(event.environment, protected=environment is not None and environment.protected)
    why = asked(rule, found.level, event.id, emergency=event.emergency)
    review = EventReview(
        event_id=event.id,
        at=event.at,
        environment=event.environment,
        actor_id=event.actor_id,
        risk=found.score,
        level=int(found.level),
        reasons=[{"mark": each.mark, "points": each.points, "words": each.words} for each in found.reasons],
        asked=why,
        due_at=rules.due(event.at, found.level) if why else None,
    )
    session.add(review)
    session.flush()
    return review


def rules_of(session: Session) -> Rules:
    """The rules as they are now."""
    row = session.get(ReviewRules, 1)
    return Rules.from_json(row.content) if row else DEFAULTS


def _facts(
    session: Session,
    event: AuditEvent,
    environment: Environment | None,
    before: Json | None,
    after: Json | None,
) -> Facts:
    effect = risk.effect_of(before, after)
    person = _person(session, event)
    approvals, own = _approvals(session, event)
    return Facts(
        action=event.action,
        at=event.at,
        environment=event.environment,
        protected=environment is not None and environment.protected,
        share=effect.share if event.effect_share is None else event.effect_share,
        whom=effect.whom,
        entries=effect.entries if event.release else 1,
        actor_kind=event.actor_kind,
        role=event.actor_role,
        days_in_role=max(0, (event.at - person.role_since).days) if person and person.role_since else None,
        emergency=event.emergency,
        unapproved=event.action in _MAKES_LIVE and not approvals,
        self_approved=own > 0,
    )


def _person(session: Session, event: AuditEvent) -> Person | None:
    if event.actor_kind != "person":
        return None
    try:
        identity = uuid.UUID(event.actor_id)
    except ValueError:
        return None
    return session.get(Person, identity)


def _approvals(session: Session, event: AuditEvent) -> tuple[int, int]:
    """How many agreed to what the event made live, and how many of them had written some of it."""
    if event.proposal is None or event.release is None:
        return event.approvals or 0, 0
    agreed = ProposalParticipant.approved_sha256.is_not(None)
    query = select(
        func.count().filter(agreed), func.count().filter(agreed, ProposalParticipant.contributed)
    ).where(
        ProposalParticipant.environment == event.environment, ProposalParticipant.number == event.proposal
    )
    given, own = session.execute(query).one()
    return given, own
