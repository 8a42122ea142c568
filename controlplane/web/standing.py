"""What the frame says about an environment on every page: the live release, and how much waits.

This module sits above the features; the frame's plumbing sits below them and is handed these functions.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.fleet.standing import summary
from controlplane.proposals.listing import waiting_count
from controlplane.proposals.models import Proposal, ProposalEntry, ProposalParticipant
from controlplane.proposals.states import OPEN
from controlplane.releases.history import get_release
from controlplane.releases.pages import Approval
from controlplane.releases.services import unpublished
from controlplane.releases.steps import export_of, exported_release
from controlplane.reviews.listing import waiting_count as reviews_waiting
from controlplane.rollouts.standing import running
from controlplane.switches.models import KillSwitch
from controlplane.switches.services import thrown_in
from controlplane.web.environments import LiveRelease
from controlplane.web.extensions import cache


def live_release(session: Session, environment: str) -> LiveRelease | None:
    """The newest release that services can read, and since when; None before the first is exported."""
    number = exported_release(session, environment)
    if number is None:
        return None
    release = get_release(session, environment, number)
    found = summary(session, environment)
    return LiveRelease(
        number,
        export_of(session, environment, number).live_at or release.created_at,
        confirmed=found.confirmed if found.release == number else 0,
        processes=found.total,
    )


def approvals_of(session: Session, environment: str, proposal: int) -> list[Approval]:
    """Who agreed to what a proposal made live, in the order in which they did."""
    query = (
        select(ProposalParticipant.name, ProposalParticipant.approved_at)
        .join(
            Proposal,
            and_(
                Proposal.environment == ProposalParticipant.environment,
                Proposal.number == ProposalParticipant.number,
            ),
        )
        .where(
            Proposal.environment == environment,
            Proposal.number == proposal,
            ProposalParticipant.approved_sha256 == Proposal.content_sha256,
        )
        .order_by(ProposalParticipant.approved_at, ProposalParticipant.name)
    )
    return [Approval(name, at) for name, at in session.execute(query) if at is not None]


def proposed_in(session: Session, environment: str) -> dict[str, list[int]]:
    """The numbers of the open proposals that hold an entry, by its key."""
    query = (
        select(ProposalEntry.key, ProposalEntry.number)
        .join(
            Proposal,
            and_(Proposal.environment == ProposalEntry.environment, Proposal.number == ProposalEntry.number),
        )
        .where(Proposal.environment == environment, Proposal.state.in_(OPEN))
        .order_by(ProposalEntry.number, ProposalEntry.key)
    )
    found = defaultdict(list)
    for key, number in session.execute(query):
        found[key].append(number)
    return dict(found)


def thrown_switches(session: Session, environment: str) -> Sequence[KillSwitch]:
    """The kill switches that are thrown there, that of everything first."""
    return thrown_in(session, environment)


def navigation_counts(session: Session, environment: str) -> dict[str, int]:
    """How many entries differ between saved and live, rollouts run, proposals wait, switches are thrown, reviews wait.

    Comparing everything saved with everything live on every page would grow with the number of configurations. Each
    change of either writes an audit event in the same transaction, so the counts are fixed for a given last event:
    kept under its number they never need invalidating. The number is read before the counts, so what is kept under it
    is never older than it says.
    """
    last = session.scalar(select(func.max(AuditEvent.sequence))) or 0
    key = f"navigation:{environment}:{last}"
    counts: dict[str, int] | None = cache.get(key)
    if counts is None:
        counts = {
            "releases.unpublished": len(unpublished(session, environment)),
            "rollouts.index": len(running(session, environment)),
            "proposals.index": waiting_count(session, environment),
            "switches.index": len(thrown_in(session, environment)),
            "reviews.index": reviews_waiting(session),
        }
        cache.set(key, counts, timeout=300)
    return counts
