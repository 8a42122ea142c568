"""What the pages of recorded calls show, worked out before any template sees it."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.decisions.checking import OTHER, SAME, alarms
from controlplane.decisions.kept import WINDOW, Recording, kept, rate_words, recording
from controlplane.decisions.models import RecordedCall, ReplayAlarm
from controlplane.decisions.radius import LEGACY, percent
from controlplane.runtime.decisions import Decision
from controlplane.runtime.services.answers import Path

NEWEST_SHOWN: Final = 12
_NOT_TOLD: Final = "not told"
_WHY: Final = {
    "call": "the call asked for it",
    "service": "look-up is off in the service",
    "switch": "kill switch",
    "gate": "outside of the gate",
    "no_release": "no release yet",
    "no_configuration": "no configuration",
    "no_template": "no template",
    "render_failed": "its template failed",
}


@dataclass(frozen=True)
class OfInteraction:
    """The recorded calls of one interaction."""

    code: str
    calls: int
    legacy: str
    models: tuple[tuple[str, int], ...]
    tenants: int
    units: int
    errors: int
    middle_ms: int | None
    with_values: int


@dataclass(frozen=True)
class Line:
    """One recorded call."""

    decision: Decision
    went: str
    took: str


@dataclass(frozen=True)
class Checked:
    """How deciding calls again went, of those of the last day."""

    same: int
    other: int
    waiting: int
    unasked: int

    @property
    def sentence(self) -> str:
        """In words."""
        decided = self.same + self.other
        if not decided:
            return (
                "None of them was decided again yet."
                if self.waiting
                else "There was nothing to decide again."
            )
        if not self.other:
            return f"{decided:,} were decided again by the release they name: every one came to the same."
        return (
            f"{decided:,} were decided again by the release they name: {self.other:,} came to something else."
        )


@dataclass(frozen=True)
class Page:
    """The page of an environment's recorded calls."""

    recording: Recording
    total: int
    looked_at: int
    sample_words: str
    interactions: Sequence[OfInteraction]
    newest: Sequence[Line]
    checked: Checked
    alarms: Sequence[ReplayAlarm]

    @property
    def rates_words(self) -> str:
        """Which share of calls is recorded now."""
        return rate_words(self.recording.rates)


def recorded_page(session: Session, environment: str, at: dt.datetime) -> Page:
    """Return what was recorded in the last day, and how it was decided again."""
    found = kept(session, environment, at)
    return Page(
        recording=recording(session, environment, at),
        total=found.total,
        looked_at=len(found.decisions),
        sample_words=found.sample_words,
        interactions=_interactions(found.decisions),
        newest=[Line(each, _went(each), _took(each)) for each in found.decisions[:NEWEST_SHOWN]],
        checked=_checked(session, environment, at),
        alarms=alarms(session, environment),
    )


def _interactions(decisions: Sequence[Decision]) -> list[OfInteraction]:
    of: dict[str, list[Decision]] = {}
    for decision in decisions:
        of.setdefault(decision.interaction, []).append(decision)
    return sorted((_of(code, calls) for code, calls in of.items()), key=lambda each: (-each.calls, each.code))


def _of(code: str, calls: Sequence[Decision]) -> OfInteraction:
    took = [each.milliseconds for each in calls if each.milliseconds is not None and not each.error]
    models = Counter(_answered_by(each) for each in calls if not each.error)
    return OfInteraction(
        code=code,
        calls=len(calls),
        legacy=percent(sum(each.path == "legacy" for each in calls), len(calls)),
        models=tuple(models.most_common(3)),
        tenants=len({each.tenant for each in calls if each.tenant}),
        units=len({each.unit for each in calls if each.unit}),
        errors=sum(each.error is not None for each in calls),
        middle_ms=round(median(took)) if took else None,
        with_values=sum(bool(each.parameters) for each in calls),
    )


def _answered_by(decision: Decision) -> str:
    """Return who answered; of a call that was only resolved here, its product called a model by itself."""
    if decision.path == Path.LEGACY:
        return LEGACY
    return decision.answered_by or _NOT_TOLD


def _went(decision: Decision) -> str:
    if decision.path == "legacy":
        why = _WHY.get(decision.kept_out or "", "")
        return f"legacy path: {why}" if why else "legacy path"
    asked = f"version {decision.version}, {decision.model}"
    if decision.error:
        return f"{asked}: {decision.error.replace('_', ' ')}"
    if decision.answered_by and decision.answered_by != decision.model:
        return f"{asked}; {decision.answered_by} answered"
    return asked


def _took(decision: Decision) -> str:
    return "" if decision.milliseconds is None else f"{decision.milliseconds:,} ms"


def _checked(session: Session, environment: str, at: dt.datetime) -> Checked:
    query = (
        select(RecordedCall.verdict, func.count())
        .where(RecordedCall.environment == environment, RecordedCall.at > at - WINDOW)
        .group_by(RecordedCall.verdict)
    )
    counts: dict[str | None, int] = dict(iter(session.execute(query)))
    same, other, waiting = (counts.get(verdict, 0) for verdict in (SAME, OTHER, None))
    return Checked(same, other, waiting, sum(counts.values()) - same - other - waiting)
