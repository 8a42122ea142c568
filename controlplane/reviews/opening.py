"""The review of a change is opened with its event, in the same transaction, with the risk as it is known then.

Called by `audit.services.record` and by nothing else, so that no change can be made without it.
"""

import datetime as dt
import uuid
from typing import NamedTuple

from sqlalchemy import bindparam, func, select
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
    known = _known(session, event)
    rules = known.rules
    found = risk.assess(
        _facts(session, event, known, before, after), rules.hours, newcomer_days=rules.newcomer_days
    )
    rule = rules.rule(event.environment, protected=known.protected)
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


class _Known(NamedTuple):
    """What the tables say at that moment."""

    rules: Rules
    protected: bool
    role_since: dt.datetime | None


# All of it in one statement, put together once: every change waits for this.
_ASKED = select(
    select(ReviewRules.content).where(ReviewRules.id == 1).scalar_subquery(),
    select(Environment.protected).where(Environment.code == bindparam("environment")).scalar_subquery(),
    select(Person.role_since).where(Person.id == bindparam("person")).scalar_subquery(),
)


def _known(session: Session, event: AuditEvent) -> _Known:
    given = {"environment": event.environment, "person": _person_id(event)}
    rules, protected, role_since = session.execute(_ASKED, given).one()
    return _Known(Rules.from_json(rules) if rules else DEFAULTS, bool(protected), role_since)


def _facts(
    session: Session,
    event: AuditEvent,
    known: _Known,
    before: Json | None,
    after: Json | None,
) -> Facts:
    effect = risk.effect_of(before, after)
    approvals, own = _approvals(session, event)
    return Facts(
        action=event.action,
        at=event.at,
        environment=event.environment,
        protected=known.protected,
        share=effect.share if event.effect_share is None else event.effect_share,
        whom=effect.whom,
        entries=effect.entries if event.release else 1,
        actor_kind=event.actor_kind,
        role=event.actor_role,
        days_in_role=max(0, (event.at - known.role_since).days) if known.role_since else None,
        emergency=event.emergency,
        unapproved=event.action in _MAKES_LIVE and not approvals,
        self_approved=own > 0,
    )


def _person_id(event: AuditEvent) -> uuid.UUID | None:
    if event.actor_kind != "person":
        return None
    try:
        return uuid.UUID(event.actor_id)
    except ValueError:
        return None


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
