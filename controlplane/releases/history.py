"""Releases as they were: one, the newest, the list, what each changed, and its bytes."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from controlplane.errors import NotFound
from controlplane.releases.compose import Document
from controlplane.releases.diff import EntryChange, diff
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.releases.saved import bodies_by_hash, hashes_named, live_entries, live_texts
from controlplane.runtime import canonical, snapshot

LARGEST = 2**31 - 1
"""What the column holds; a larger number in an address, or in a pointer, is no release."""


def get_release(session: Session, environment: str, number: int) -> Release:
    """Return a release; raises `NotFound`."""
    release = session.get(Release, (environment, number)) if number <= LARGEST else None
    if release is None:
        raise NotFound("release", f"{number} of {environment}")
    return release


def latest_release(session: Session, environment: str) -> Release | None:
    """Return the newest release of an environment, None before the first."""
    query = select(Release).where(Release.environment == environment).order_by(Release.number.desc()).limit(1)
    return session.scalar(query)


def previous_number(session: Session, environment: str, number: int) -> int | None:
    """Return the number of the release before; None before the first. Numbers only rise, but may leave some out."""
    return session.scalar(
        select(func.max(Release.number)).where(Release.environment == environment, Release.number < number)
    )


def next_number(session: Session, environment: str, number: int) -> int | None:
    """Return the number of the release after; None after the newest."""
    return session.scalar(
        select(func.min(Release.number)).where(Release.environment == environment, Release.number > number)
    )


def list_releases(
    session: Session, environment: str, *, before: int | None = None, limit: int = 50
) -> Sequence[Release]:
    """Return releases, newest first; `before` continues a list under this number."""
    query = select(Release).where(Release.environment == environment)
    if before is not None:
        query = query.where(Release.number < min(before, LARGEST))
    return session.scalars(query.order_by(Release.number.desc()).limit(limit)).all()


def changes_of(session: Session, environment: str, number: int) -> list[EntryChange]:
    """Return what a release changed against the one before; reads only the entries it touched."""
    query = select(ReleaseEntry.key, ReleaseEntry.valid_from, ReleaseEntry.document).where(
        ReleaseEntry.environment == environment,
        or_(ReleaseEntry.valid_from == number, ReleaseEntry.valid_to == number),
    )
    before: dict[str, Document] = {}
    after: dict[str, Document] = {}
    for key, valid_from, document in session.execute(query):
        (after if valid_from == number else before)[key] = canonical.loads(document)
    return diff(before, after)


def compare(session: Session, environment: str, older: int, newer: int) -> list[EntryChange]:
    """Return what leads from one release to another, in either direction of time."""
    return diff(
        live_entries(session, environment, at=older),
        live_entries(session, environment, at=newer),
    )


def snapshot_of(session: Session, environment: str, number: int) -> bytes:
    """Return the bytes of a release, made again from its entries; see `snapshot_from`."""
    texts = live_texts(session, environment, at=number)
    bodies = bodies_by_hash(session, hashes_named(texts))
    return snapshot_from(get_release(session, environment, number), texts, bodies)


def snapshot_from(release: Release, texts: Mapping[str, bytes], bodies: Mapping[str, str]) -> bytes:
    """Return the bytes of a release's entries as they are kept; they always have the digest that its row names.

    Raises `ValueError` when they do not: then something was changed behind the database's back, and must not go out.
    """
    data = snapshot.assemble(texts, bodies)
    found = canonical.digest(data)
    if found != release.snapshot_sha256:
        raise ValueError(
            f"release {release.number} of {release.environment} has the digest {found[:12]}, "
            f"its row says {release.snapshot_sha256[:12]}"
        )
    return data
