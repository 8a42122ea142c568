"""People, rules and proposals, for the tests of this folder."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.proposals import reviewing, services
from controlplane.proposals.models import Proposal
from controlplane.registry.models import Environment
from controlplane.releases.compose import Document
from controlplane.releases.history import latest_release
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entry

PRODUCTION = "production"
PREMIUM = "configuration/COACHING_RESPONSE/premium/*"
DEFAULT = "configuration/COACHING_RESPONSE/default/*"
REASON = "Warmer answers, see the report of May"


def person(session: Session, role: Role | str, name: str) -> Actor:
    """Somebody who may sign in, as an actor."""
    role = Role(role)
    row = Person(
        id=uuid.uuid4(),
        email=f"{uuid.uuid4().hex}@example.com",
        name=name,
        role=role.value,
        password_hash="-",
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return Actor(kind="person", id=str(row.id), name=name, role=role, via="browser")


def rule(session: Session, environment: str = PRODUCTION, **values: Any) -> None:
    """Give an environment other rules."""
    session.execute(update(Environment).where(Environment.code == environment).values(**values))
    session.expire_all()


def set_person(session: Session, actor: Actor, **values: Any) -> None:
    """Change somebody's row, as an administrator does."""
    session.execute(update(Person).where(Person.id == uuid.UUID(actor.id)).values(**values))


def warmer(session: Session, temperature: float = 0.9, key: str = PREMIUM) -> Document:
    """Return a configuration's live document with another temperature."""
    live = live_entry(session, PRODUCTION, key)
    assert live is not None
    return {**live, "variants": [{**each, "temperature": temperature} for each in live["variants"]]}


def release_number(session: Session) -> int:
    """Return the number of what is live."""
    latest = latest_release(session, PRODUCTION)
    assert latest is not None
    return latest.number


def make(session: Session, actor: Actor, **given: Any) -> Proposal:
    """Make a draft: another temperature of one configuration, unless given."""
    values: dict[str, Any] = {"base": release_number(session), "reason": REASON, "source": "saved", **given}
    if "entries" not in values:
        values["entries"] = {PREMIUM: warmer(session)}
    return services.create(session, PRODUCTION, actor=actor, **values)


def make_submitted(session: Session, actor: Actor, **given: Any) -> Proposal:
    """Make a draft and ask others to look at it."""
    return submit(session, make(session, actor, **given), actor)


def submit(session: Session, proposal: Proposal, actor: Actor) -> Proposal:
    """Ask others to look at a proposal."""
    return reviewing.submit(session, PRODUCTION, proposal.number, revision=proposal.revision, actor=actor)


def approve(session: Session, proposal: Proposal, actor: Actor, **given: Any) -> Proposal:
    """Agree to a proposal as it is."""
    values = {"revision": proposal.revision, "seen_sha256": proposal.content_sha256, **given}
    return reviewing.approve(session, PRODUCTION, proposal.number, actor=actor, **values)


def reject(session: Session, proposal: Proposal, actor: Actor, comment: str = "Too warm") -> Proposal:
    """Ask for changes of a proposal."""
    return reviewing.reject(
        session, PRODUCTION, proposal.number, revision=proposal.revision, comment=comment, actor=actor
    )


def publish(session: Session, proposal: Proposal, actor: Actor, **given: Any) -> Release:
    """Publish a proposal."""
    values = {"revision": proposal.revision, **given}
    return services.publish(session, PRODUCTION, proposal.number, actor=actor, **values)


def change(
    session: Session, proposal: Proposal, actor: Actor, temperature: float = 0.4, **given: Any
) -> Proposal:
    """Put another temperature into a proposal."""
    values = {"revision": proposal.revision, "base": release_number(session), **given}
    return services.replace_entries(
        session,
        PRODUCTION,
        proposal.number,
        entries={PREMIUM: warmer(session, temperature)},
        actor=actor,
        **values,
    )


def events_of(session: Session, number: int) -> Sequence[AuditEvent]:
    """Return what the audit tells of a proposal, in order."""
    query = select(AuditEvent).where(AuditEvent.proposal == number, AuditEvent.environment == PRODUCTION)
    return session.scalars(query.order_by(AuditEvent.sequence)).all()


def temperature_live(session: Session, key: str = PREMIUM) -> float:
    """Return the temperature that is live."""
    live = live_entry(session, PRODUCTION, key)
    assert live is not None
    value: float = live["variants"][0]["temperature"]
    return value
