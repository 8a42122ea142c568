"""Looking after the record, over and over: months ahead, anchors outside, and whether it is whole; the badge on its page.

What is new is checked every minute, from where the last check ended; all of it once a day. A check that found something
does not move on: it finds the same again until somebody has seen to it.
"""

import datetime as dt
import logging
from dataclasses import dataclass

from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.audit import anchors
from controlplane.audit.chain import BEGINNING, Place
from controlplane.audit.models import AuditAnchor, AuditCheck, AuditEvent
from controlplane.audit.verify import Report, verify, verify_all
from controlplane.db import now, transaction
from controlplane.runtime.signing import Signer, Verifier
from controlplane.runtime.stores import EvidenceStore, ReleaseStore

_log = logging.getLogger(__name__)
NEWEST, ALL = "newest", "all"
_NEWEST_EVERY = dt.timedelta(minutes=1)
_ALL_EVERY = dt.timedelta(days=1)
LATE = dt.timedelta(minutes=15)
_LOCK = 7_205_114_095  # arbitrary: of several workers one checks


def look_after(
    engine: Engine, store: ReleaseStore, environment: str, signer: Signer | None, verifier: Verifier
) -> None:
    """Do what is due for the record, with the eyes of one environment; safe from any number of workers."""
    with transaction(engine) as session:
        session.execute(text("SELECT audit_events_add_months()"))
    if not isinstance(store, EvidenceStore):
        return
    anchors.anchor_releases(engine, store, environment, signer)
    anchors.anchor_day(engine, store, signer)
    check_if_due(engine, store, verifier=verifier)


def check_if_due(engine: Engine, store: EvidenceStore, *, verifier: Verifier) -> None:
    """Check what is due, unless another worker is at it, and keep what was found."""
    with transaction(engine) as session:
        if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}):
            return
        report = check(session, store, verifier=verifier)
    if report is not None and not report.intact:
        _log.error("%s", report.sentence)


def check(session: Session, store: EvidenceStore, *, verifier: Verifier) -> Report | None:
    """Check what is due and keep what was found; None when nothing is."""
    last, whole = (session.get(AuditCheck, kind, populate_existing=True) for kind in (NEWEST, ALL))
    if last is None or whole is None or whole.checked_at < now() - _ALL_EVERY:
        report = verify_all(session, store, verifier=verifier)
        keep(session, report)
        return report
    if last.checked_at >= now() - _NEWEST_EVERY:
        return None
    report = _newest(session, store, last, verifier)
    _keep(session, NEWEST, report, last)
    return report


def keep(session: Session, report: Report) -> None:
    """Keep what a check of the whole found: it speaks for what is new as well."""
    for kind in (ALL, NEWEST):
        _keep(session, kind, report, None)


def _newest(session: Session, store: EvidenceStore, last: AuditCheck, verifier: Verifier) -> Report:
    since = Place(last.sequence, last.hash)
    there = session.scalar(select(AuditEvent.hash).where(AuditEvent.sequence == since.sequence))
    if there != since.hash:
        since = BEGINNING  # it is gone, altered or archived: look at all, and say what is wrong
    found = verify(session, since=since)
    left = anchors.compare_newest(session, store, found.end, verifier=verifier)
    return Report(found.events, found.end, found.breaks, (*found.findings, *left.findings))


def _keep(session: Session, kind: str, report: Report, stay: AuditCheck | None) -> None:
    end = report.end
    if not report.intact and stay is not None:
        end = Place(stay.sequence, stay.hash)
    values = {
        "checked_at": now(),
        "sequence": end.sequence,
        "hash": end.hash,
        "events": report.events,
        "findings": list(report.named),
    }
    statement = insert(AuditCheck).values(kind=kind, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["kind"], set_=values))


@dataclass(frozen=True)
class Badge:
    """How the record stands, for its page."""

    tone: str
    words: str
    checked_at: dt.datetime | None
    anchor: AuditAnchor | None
    findings: tuple[str, ...]


def badge(session: Session) -> Badge:
    """How the record stands by the last checks."""
    checks = session.scalars(select(AuditCheck).order_by(AuditCheck.checked_at)).all()
    findings = tuple(dict.fromkeys(each for check in checks for each in check.findings))
    checked_at = checks[-1].checked_at if checks else None
    if findings:
        tone, words = "failed", "Tampered with or damaged"
    elif checked_at is None:
        tone, words = "neutral", "Not checked yet"
    elif checked_at < now() - LATE:
        tone, words = "paused", "Whole when it was last checked"
    else:
        tone, words = "live", "Whole"
    return Badge(tone, words, checked_at, anchors.newest(session), findings)
