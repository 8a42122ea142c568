"""How far a release has come, as its page shows it: the steps to the stores, then its arrival at the processes."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.releases import steps
from controlplane.releases.arriving import ArrivalView, arrival_view
from controlplane.releases.models import ExportStep, Release
from controlplane.releases.steps import Export, State, Step


@dataclass(frozen=True)
class StepView:
    """One step of an export, begun or not."""

    label: str
    tone: str | None
    state: str
    words: str | None
    seconds: str | None
    attempts: int


@dataclass(frozen=True)
class ExportView:
    """How a release stands on its way to the services."""

    tone: str
    label: str
    sentence: str
    steps: list[StepView]
    moving: bool
    live_at: dt.datetime | None
    by: int | None


@dataclass(frozen=True)
class Progress:
    """How far a release has come: on its way to the stores, and from there to the processes."""

    export: ExportView
    arrival: ArrivalView | None

    @property
    def moving(self) -> bool:
        """Whether something may still happen: a page that shows it should look again."""
        return self.export.moving or (self.arrival is not None and self.arrival.watching)


def progress(session: Session, release: Release) -> Progress:
    """Return how far a release has come by now."""
    export = steps.export_of(session, release.environment, release.number)
    return Progress(export_view(export), arrival_view(session, release, export, now()))


def export_view(export: Export) -> ExportView:
    """Return how a release stands, in words."""
    tone, label, sentence = _standing(export)
    begun = {step.step: step for step in export.steps}
    return ExportView(
        tone=tone,
        label=label,
        sentence=sentence,
        steps=[_step_view(step, begun.get(step)) for step in Step],
        moving=export.moving,
        live_at=export.live_at,
        by=export.by,
    )


def _standing(export: Export) -> tuple[str, str, str]:
    """Return tone, short label and sentence of where an export stands."""
    match export.state:
        case State.WAITING:
            return "scheduled", "Waiting", "No worker has taken it up yet. It usually takes a second."
        case State.RUNNING:
            return "rolling", "Exporting", "On its way to the services."
        case State.FAILED:
            return (
                "failed",
                "Not exported",
                "It did not get through. It is tried again, later each time; services go on with the release before.",
            )
        case State.SUPERSEDED:
            return (
                "archived",
                "Passed over",
                f"Release {export.by} went out before this one could; it contains these changes, or what came after them.",
            )
        case _ if export.by is not None:
            return "archived", "Was live", f"Replaced by a later release; release {export.by} is live now."
        case _:
            return "live", "Live", "The pointer has moved: every service takes it up at its next look."


_STEP_STATES = {
    State.RUNNING: ("rolling", "running"),
    State.DONE: ("live", "done"),
    State.FAILED: ("failed", "failed"),
    State.SUPERSEDED: ("archived", "passed over"),
}


def _step_view(step: Step, begun: ExportStep | None) -> StepView:
    if begun is None:
        return StepView(step.label, None, "not begun", None, None, 0)
    tone, state = _STEP_STATES[State(begun.state)]
    seconds = None
    if begun.finished_at is not None:
        seconds = f"{max(0.0, (begun.finished_at - begun.started_at).total_seconds()):.2f} s"
    return StepView(step.label, tone, state, (begun.detail or {}).get("words"), seconds, begun.attempts)
