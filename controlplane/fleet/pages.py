"""What the page of the processes shows, worked out before any template sees it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from controlplane.fleet.models import Process
from controlplane.fleet.standing import Summary, processes, summary

_NAMES = {"llm-controlplane": "this library", "python": "Python", "jinja2": "Jinja", "msgspec": "msgspec"}


@dataclass(frozen=True)
class ProcessView:
    """One process: how it stands with the release that the store names, and what it says of itself."""

    row: Process
    tone: str
    label: str
    versions: str
    errors: str


@dataclass(frozen=True)
class ProcessesPage:
    """The processes of an environment; those that are gone for a while come last."""

    summary: Summary
    running: list[ProcessView]
    gone: list[ProcessView]

    @property
    def sentence(self) -> str:
        """How they stand, all together."""
        total, confirmed = self.summary.total, self.summary.confirmed
        if self.summary.release is None or not total:
            return "No process tells of itself at the moment."
        words = "1 process runs" if total == 1 else f"{total} processes run"
        return f"{words}; {confirmed} of {total} {'serves' if confirmed == 1 else 'serve'} release {self.summary.release}."


def processes_page(session: Session, environment: str) -> ProcessesPage:
    """Return the processes of an environment."""
    found = summary(session, environment)
    rows = processes(session, environment)
    return ProcessesPage(
        summary=found,
        running=_views([row for row in rows if row.gone_at is None], found),
        gone=_views([row for row in rows if row.gone_at is not None], found),
    )


def _views(rows: Sequence[Process], found: Summary) -> list[ProcessView]:
    return [_view(row, found) for row in rows]


def _view(row: Process, found: Summary) -> ProcessView:
    tone, label = _standing(row, found)
    known = [(_NAMES.get(name, name), str(version)) for name, version in row.versions.items()]
    return ProcessView(
        row=row,
        tone=tone,
        label=label,
        versions=", ".join(f"{name} {version}" for name, version in sorted(known)),
        errors=_errors(row),
    )


def _standing(row: Process, found: Summary) -> tuple[str, str]:
    if row.gone_at is not None:
        silent = row.gone_at - row.heard_at > 5 * dt.timedelta(seconds=row.interval_seconds)
        return "archived", "Fell silent" if silent else "Ended"
    if row.release is None:
        return "failed", "Serves nothing"
    if row.release == found.release and row.held_back:
        return "differs", f"But for {row.held_back} " + ("entry" if row.held_back == 1 else "entries")
    if (row.release, row.sha256) == (found.release, found.sha256):
        return "live", "Confirmed"
    refused = row.quarantined is not None and row.quarantined == found.sha256
    return ("failed", "Refused it") if refused else ("rolling", "Behind")


def _errors(row: Process) -> str:
    """Return how many of its calls failed since it started."""
    asked = row.calls + row.errors
    if not asked:
        return "no calls yet"
    return f"{row.errors:,} of {asked:,} ({100 * row.errors / asked:.1f} %)"
