"""The answer to a question, from the release that was live at its moment and with the runtime's own resolver.

A release counts from the moment its pointer was moved, because that is what services read; where no worker told of that, from
when it was made. A process takes it up some seconds later, so within those an answer of the past may be the next release's.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.errors import Refused
from controlplane.explain.asked import Asked
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.proposals.models import Proposal, ProposalParticipant
from controlplane.releases.history import get_release, latest_release, snapshot_of
from controlplane.releases.models import ExportStep, Release
from controlplane.releases.steps import State, Step
from controlplane.runtime.bucketing import BUCKETS
from controlplane.runtime.explain import Explanation, document, explain
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches, Switch
from controlplane.switches.documents import as_obeyed
from controlplane.switches.models import EVERYTHING
from controlplane.switches.services import OBJECT_KIND, thrown_in

_MOST_KEPT: Final = 4
_COLOURS: Final = 4
# Whole releases by their content and number, which never change. A page that compares two units, or is asked again and again
# for the same afternoon, reads a release of thousands of entries once.
_kept: OrderedDict[tuple[str, int, str], Snapshot] = OrderedDict()


@dataclass(frozen=True)
class Source:
    """The release that an answer comes from, and who answers for it."""

    release: Release
    live_at: dt.datetime
    """Since when the pointer named it, or, where that was not told, when it was made."""
    is_newest: bool
    approved_by: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """An explanation, where it comes from, and what the template becomes when values were given."""

    explained: Explanation
    source: Source
    text: str | None = None
    problem: str | None = None

    @property
    def bar(self) -> tuple[tuple[str, float, int], ...]:
        """The shares of the variants for drawing: words, per cent, which colour."""
        return tuple(
            (f"Version {band.version}", band.share * 100 / BUCKETS, place % _COLOURS + 1)
            for place, band in enumerate(self.explained.bands)
        )

    @property
    def document(self) -> dict[str, Any]:
        """As plain data, in the same form as the runtime's own HTTP answer."""
        return document(self.explained, text=self.text, problem=self.problem)


def answer(session: Session, environment: str, asked: Asked, pool: RenderPool) -> Answer:
    """Return why a call gets what it gets. Raises `Refused` on `at` when nothing was live then."""
    return answers(session, environment, [asked], pool)[0]


def answers(session: Session, environment: str, asked: Sequence[Asked], pool: RenderPool) -> list[Answer]:
    """Return the answers to questions about one moment, all from one release."""
    at = asked[0].at or now()
    source = _source(session, environment, at)
    found = _snapshot(session, source.release)
    switches = _switches(session, environment, at)
    return [_answer(found, source, each, at, switches, pool) for each in asked]


def newest_snapshot(session: Session, environment: str) -> Snapshot | None:
    """Return what was published last, made ready to be asked; None before the first release."""
    release = latest_release(session, environment)
    return None if release is None else _snapshot(session, release)


def release_snapshot(session: Session, environment: str, number: int) -> Snapshot:
    """Return a release of any time, made again and ready to be asked.

    Raises `NotFound`, and `ValueError` when its entries are not those that its digest names.
    """
    return _snapshot(session, get_release(session, environment, number))


def _answer(
    found: Snapshot, source: Source, asked: Asked, at: dt.datetime, switches: KillSwitches, pool: RenderPool
) -> Answer:
    explained = explain(found, asked.request, now=at, switches=switches)
    if asked.values is None or explained.resolution is None:
        return Answer(explained, source)
    text, problem = _rendered(found, explained, asked.values, pool)
    return Answer(explained, source, text, problem)


def _source(session: Session, environment: str, at: dt.datetime) -> Source:
    number = _live_number(session, environment, at)
    if number is None:
        raise Refused({"at": f"Nothing was live in {environment} at that moment."})
    release = get_release(session, environment, number)
    newest = session.scalar(select(func.max(Release.number)).where(Release.environment == environment))
    return Source(
        release=release,
        live_at=_moved_at(session, release) or release.created_at,
        is_newest=newest == number,
        approved_by=_approved_by(session, release),
    )


def _live_number(session: Session, environment: str, at: dt.datetime) -> int | None:
    """Return the release that the pointer named at a moment; without word of any pointer the newest that was made."""
    moved = select(func.max(ExportStep.number)).where(
        ExportStep.environment == environment,
        ExportStep.step == Step.POINTER,
        ExportStep.state == State.DONE,
        ExportStep.finished_at <= at,
    )
    made = select(func.max(Release.number)).where(
        Release.environment == environment, Release.created_at <= at
    )
    number = session.scalar(moved)
    return session.scalar(made) if number is None else number


def _moved_at(session: Session, release: Release) -> dt.datetime | None:
    step = session.get(ExportStep, (release.environment, release.number, Step.POINTER.value))
    return step.finished_at if step is not None and step.state == State.DONE else None


def _approved_by(session: Session, release: Release) -> tuple[str, ...]:
    if release.proposal is None:
        return ()
    proposal = session.get(Proposal, (release.environment, release.proposal))
    if proposal is None:
        return ()
    agreed = (
        select(ProposalParticipant.name)
        .where(
            ProposalParticipant.environment == release.environment,
            ProposalParticipant.number == release.proposal,
            ProposalParticipant.approved_sha256 == proposal.content_sha256,
        )
        .order_by(ProposalParticipant.name)
    )
    return tuple(session.scalars(agreed))


def _switches(session: Session, environment: str, at: dt.datetime) -> KillSwitches:
    """Return what was thrown at a moment: now by the table, in the past by the record, which never forgets."""
    last = (
        select(func.max(AuditEvent.sequence))
        .where(
            AuditEvent.object_kind == OBJECT_KIND,
            AuditEvent.environment == environment,
            AuditEvent.at <= at,
        )
        .group_by(AuditEvent.object_key)
    )
    later = select(AuditEvent.sequence).where(
        AuditEvent.object_kind == OBJECT_KIND, AuditEvent.environment == environment, AuditEvent.at > at
    )
    if session.scalar(later.limit(1)) is None:
        return as_obeyed(thrown_in(session, environment))
    thrown = session.scalars(
        select(AuditEvent).where(AuditEvent.sequence.in_(last), AuditEvent.action == f"{OBJECT_KIND}.thrown")
    )
    switches = {
        event.object_key: Switch(event.actor_name, event.at.isoformat(timespec="seconds"), event.reason or "")
        for event in thrown
    }
    everything = switches.pop(EVERYTHING, None)
    return KillSwitches(everything, switches)


def _snapshot(session: Session, release: Release) -> Snapshot:
    key = (release.environment, release.number, release.snapshot_sha256)
    found = _kept.get(key)
    if found is None:
        data = snapshot_of(session, release.environment, release.number)
        found = Snapshot.load(data, release=release.number, environment=release.environment)
        _kept[key] = found
        if len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)  # in one step: other threads explain as well
    return found


def _rendered(
    found: Snapshot, explained: Explanation, values: dict[str, Any], pool: RenderPool
) -> tuple[str | None, str | None]:
    """Return what the template becomes, or why it becomes nothing."""
    resolution = explained.resolution
    assert resolution is not None  # noqa: S101 - asked for by the caller, for the reader of types
    interaction = found.interaction(explained.request.interaction)
    declared = interaction.parameters if interaction else ()
    try:
        preview = pool.preview(found.body(resolution.prompt.sha256), values, declared, patience=2.0)
    except RenderBusy as busy:
        return None, str(busy)
    if preview.problem is None:
        return preview.text, None
    line = f"Line {preview.problem.line}: " if preview.problem.line else ""
    return None, f"{line}{preview.problem.message}"
