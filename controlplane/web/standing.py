"""What the frame says about an environment on every page: the live release, and how much waits.

This module sits above the features; the frame's plumbing sits below them and is handed these two functions.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.releases.history import get_release
from controlplane.releases.services import unpublished
from controlplane.releases.steps import export_of, exported_release
from controlplane.rollouts.standing import running
from controlplane.web.environments import LiveRelease
from controlplane.web.extensions import cache


def live_release(session: Session, environment: str) -> LiveRelease | None:
    """The newest release that services can read, and since when; None before the first is exported."""
    number = exported_release(session, environment)
    if number is None:
        return None
    release = get_release(session, environment, number)
    return LiveRelease(number, export_of(session, environment, number).live_at or release.created_at)


def navigation_counts(session: Session, environment: str) -> dict[str, int]:
    """How many entries differ between saved and live, and how many rollouts run.

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
        }
        cache.set(key, counts, timeout=300)
    return counts
