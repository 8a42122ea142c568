"""Anchors: the chain's head, left outside of the database, so that a cut tail and a restored copy are seen.

Two kinds lie in the store, each written once and signed with the releases' key where there is one:

    releases/<environment>/<release, 12 digits>.json   the event that made the release
    daily/<day>.json                                   the head on that day, when the worker first looked

Not in the pointer, whose signed fields readers know, and not in the snapshot, which is named by its content: two releases of
the same content are the same bytes. Whoever wants to change the past would have to change what S3 keeps under a name that
is never written twice, and to sign it.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.audit.chain import Place, archived_runs, head_of
from controlplane.audit.models import AuditAnchor, AuditEvent, AuditHead
from controlplane.db import now, transaction
from controlplane.runtime import canonical
from controlplane.runtime.signing import SignatureRefused, Signer, Verifier
from controlplane.runtime.stores import EvidenceStore

RELEASES, DAILY = "releases", "daily"
_LIMIT = 16 * 1024  # bytes of an anchor
_AT_ONCE = 50
_MOST_COMPARED = 5_000


class AnchorTakenError(Exception):
    """Under an anchor's name the store has another one: two databases disagree about the past."""


@dataclass(frozen=True)
class Anchor:
    """What an anchor says."""

    name: str
    environment: str | None
    release: int | None
    sequence: int
    hash: str
    key_id: str | None

    @property
    def words(self) -> str:
        """Where it was left, for a sentence."""
        if self.release is not None:
            return f"with release {self.release} of {self.environment}"
        return f"on {self.name.partition('/')[2].removesuffix('.json')}"


@dataclass(frozen=True)
class Compared:
    """What comparing with the anchors found."""

    count: int
    unknown: int
    """How many of them are signed with a key that is not known here, or not at all."""
    findings: tuple[str, ...]

    @property
    def words(self) -> str:
        """For a report that found nothing wrong."""
        if not self.count:
            return "Nothing of it was anchored outside yet"
        unchecked = (
            f", {self.unknown:,} without a signature of a key that is known here" if self.unknown else ""
        )
        return f"It holds every event that was anchored outside ({self.count:,} anchors{unchecked})"


def anchor_releases(engine: Engine, store: EvidenceStore, environment: str, signer: Signer | None) -> int:
    """Leave an anchor for each release of an environment that has none; return for how many."""
    with transaction(engine) as session:
        events = _without_anchor(session, environment)
    for event in events:
        name = f"{RELEASES}/{environment}/{event.release:012d}.json"
        anchor = Anchor(name, environment, event.release, event.sequence, event.hash, None)
        _leave(engine, store, anchor, signer)
    return len(events)


def anchor_day(engine: Engine, store: EvidenceStore, signer: Signer | None) -> bool:
    """Leave the head of today (UTC), unless that was done; whether it was done now."""
    name = f"{DAILY}/{now():%Y-%m-%d}.json"
    with transaction(engine) as session:
        if session.get(AuditAnchor, name) is not None:
            return False
        head = session.scalars(select(AuditHead)).one()
        anchor = Anchor(name, None, None, head.sequence, head.hash, None)
    if anchor.sequence == 0:
        return False
    _leave(engine, store, anchor, signer)
    return True


def newest(session: Session) -> AuditAnchor | None:
    """The anchor of the newest release that has one."""
    query = select(AuditAnchor).where(AuditAnchor.release.is_not(None))
    return session.scalars(query.order_by(AuditAnchor.sequence.desc()).limit(1)).first()


def compare(session: Session, store: EvidenceStore, end: Place, *, verifier: Verifier) -> Compared:
    """Compare the record, which ends at `end`, with every anchor in the store: is each of those events still what it was?"""
    known = select(AuditAnchor.name).order_by(AuditAnchor.sequence.desc()).limit(_MOST_COMPARED)
    there = {*store.list_evidence(RELEASES), *store.list_evidence(DAILY)}
    return _compare(session, store, sorted({*session.scalars(known), *there}), end, verifier)


def compare_newest(session: Session, store: EvidenceStore, end: Place, *, verifier: Verifier) -> Compared:
    """As `compare`, with the anchors of today, of yesterday, and of the last releases alone: for every minute."""
    today = now()
    days = [f"{DAILY}/{today - dt.timedelta(days=back):%Y-%m-%d}.json" for back in (0, 1)]
    known = select(AuditAnchor.name).where(AuditAnchor.release.is_not(None))
    last = session.scalars(known.order_by(AuditAnchor.sequence.desc()).limit(3))
    return _compare(session, store, [*days, *last], end, verifier)


def _compare(
    session: Session, store: EvidenceStore, names: Sequence[str], end: Place, verifier: Verifier
) -> Compared:
    known = {row.name: row for row in session.scalars(select(AuditAnchor).where(AuditAnchor.name.in_(names)))}
    anchors: list[Anchor] = []
    findings: list[str] = []
    for name in names:
        data = store.read_evidence(name, limit=_LIMIT)
        if data is None and name in known:
            findings.append(f"the anchor {name} is gone from the store")
        if data is None:
            continue
        try:
            anchor = read(name, data, verifier)
        except (SignatureRefused, ValueError) as problem:
            findings.append(f"the anchor {name} is {problem}")
            continue
        anchors.append(anchor)
        if name in known and not _is_that(anchor, known[name]):
            findings.append(f"the anchor {name} in the store is not the one that was left there")
    # Read after the anchors: what was written and anchored since the walk is beyond its end, and in order.
    head = head_of(session)
    findings.extend(_beyond(anchors, head if head and head.sequence > end.sequence else end))
    sealed = _hashes(session, {anchor.sequence for anchor in anchors})
    findings.extend(
        f"event {anchor.sequence:,} is not the one that was anchored {anchor.words}"
        for anchor in anchors
        if sealed.get(anchor.sequence, anchor.hash) != anchor.hash
    )
    unknown = sum(not verifier.knows(anchor.key_id) for anchor in anchors) if verifier.required else 0
    return Compared(len(anchors), unknown, tuple(findings))


def _beyond(anchors: Iterable[Anchor], end: Place) -> list[str]:
    beyond = [anchor for anchor in anchors if anchor.sequence > end.sequence]
    if not beyond:
        return []
    last = max(beyond, key=lambda anchor: anchor.sequence)
    told = (
        f"event {last.sequence:,} was anchored {last.words}, and the record ends with event {end.sequence:,}"
    )
    return [f"{told}: its end was cut off, or an older copy of the database was put in its place"]


def _is_that(anchor: Anchor, row: AuditAnchor) -> bool:
    return (anchor.sequence, anchor.hash, anchor.key_id) == (row.sequence, row.hash, row.key_id)


def read(name: str, data: bytes, verifier: Verifier) -> Anchor:
    """What an anchor says; raises `SignatureRefused`, and `ValueError` for one that nobody can read.

    One that is signed with a key of before, or was written before there was a key, is not refused: how it was signed is
    remembered here, and what it says is compared all the same.
    """
    document: Any = canonical.loads(data)
    try:
        if verifier.knows(document.get("key_id")):
            verifier.verify_document(document)
        return Anchor(
            name=name,
            environment=document["environment"],
            release=document["release"],
            sequence=int(document["sequence"]),
            hash=str(document["hash"]),
            key_id=document.get("key_id"),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError("not readable") from problem


def _without_anchor(session: Session, environment: str) -> list[AuditEvent]:
    """The events that made releases since the last one with an anchor, oldest first."""
    anchored = select(func.coalesce(func.max(AuditAnchor.sequence), 0)).where(
        AuditAnchor.environment == environment, AuditAnchor.release.is_not(None)
    )
    known = select(AuditAnchor.release).where(
        AuditAnchor.environment == environment, AuditAnchor.release.is_not(None)
    )
    first = (
        select(func.min(AuditEvent.sequence))
        .where(
            AuditEvent.environment == environment,
            AuditEvent.release.is_not(None),
            AuditEvent.sequence > anchored.scalar_subquery(),
            AuditEvent.release.not_in(known),
        )
        .group_by(AuditEvent.release)
    )
    query = select(AuditEvent).where(AuditEvent.sequence.in_(first)).order_by(AuditEvent.sequence)
    return list(session.scalars(query.limit(_AT_ONCE)))


def _leave(engine: Engine, store: EvidenceStore, anchor: Anchor, signer: Signer | None) -> None:
    """Write an anchor and remember it; where another worker was quicker, its anchor is the one."""
    document: dict[str, Any] = {
        "kind": "anchor of the record of changes",
        "environment": anchor.environment,
        "release": anchor.release,
        "sequence": anchor.sequence,
        "hash": anchor.hash,
    }
    signed = document if signer is None else signer.sign_document(document)
    if not store.create_evidence(anchor.name, canonical.dumps(signed)):
        there = read(anchor.name, store.read_evidence(anchor.name, limit=_LIMIT) or b"null", Verifier())
        if anchor.release is not None and (there.sequence, there.hash) != (anchor.sequence, anchor.hash):
            raise AnchorTakenError(
                f"{anchor.name} names another event than number {anchor.sequence:,} of this database"
            )
        anchor = there
    else:
        anchor = replace(anchor, key_id=signer.key_id if signer else None)
    row = {
        "name": anchor.name,
        "environment": anchor.environment,
        "release": anchor.release,
        "sequence": anchor.sequence,
        "hash": anchor.hash,
        "key_id": anchor.key_id,
        "anchored_at": now(),
    }
    with transaction(engine) as session:
        session.execute(insert(AuditAnchor).values(row).on_conflict_do_nothing())


def _hashes(session: Session, sequences: set[int]) -> Mapping[int, str]:
    """The hashes of these events, as far as they are here or at the end of an archived stretch."""
    query = select(AuditEvent.sequence, AuditEvent.hash).where(AuditEvent.sequence.in_(sorted(sequences)))
    found = {run.last: run.hash for run in archived_runs(session).values()}
    return found | {row.sequence: row.hash for row in session.execute(query)}
