"""What the pages of the audit show, prepared: templates only put it in place."""

import datetime as dt
import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from controlplane.audit.kinds import kind_of
from controlplane.audit.models import AuditEvent
from controlplane.audit.plain import shown, visible
from controlplane.db import Json

# Events whose before and after are whole documents keep them under paths as deep as this.
_DEEPEST = 6


@dataclass(frozen=True)
class Line:
    """One event in the list."""

    id: str
    at: dt.datetime
    actor: str
    initials: str
    role: str
    sentence: str
    reason: str | None
    environment: str | None
    release: int | None
    via: str
    tone: str
    emergency: bool

    @property
    def clock(self) -> str:
        """The time of day (UTC), under the heading of its day."""
        return f"{self.at.astimezone(dt.UTC):%H:%M}"


@dataclass(frozen=True)
class Day:
    """The events of one day (UTC), newest first."""

    date: dt.date
    lines: Sequence[Line]

    @property
    def words(self) -> str:
        """As a heading: "Sunday 22 November 2026"."""
        return f"{self.date:%A} {self.date.day} {self.date:%B %Y}"


@dataclass(frozen=True)
class FieldChange:
    """One field before and after, as text; None is "not set"."""

    key: str
    field: str
    before: str | None
    after: str | None


def line_of(event: AuditEvent) -> Line:
    """One event as the list shows it."""
    return Line(
        id=event.id,
        at=event.at,
        actor=visible(event.actor_name),
        initials=initials(event.actor_name),
        role=event.actor_role,
        sentence=visible(event.sentence),
        reason=event.reason and visible(event.reason),
        environment=event.environment and visible(event.environment),
        release=event.release,
        via=visible(event.via),
        tone="failed" if event.emergency else tone_of(event.action),
        emergency=event.emergency,
    )


def days_of(events: Sequence[AuditEvent]) -> list[Day]:
    """Events under the day (UTC) on which they happened."""
    return [
        Day(date, [line_of(event) for event in on_day])
        for date, on_day in groupby(events, key=lambda event: event.at.astimezone(dt.UTC).date())
    ]


def tone_of(action: str) -> str:
    """How loud an event is: what takes something away from people is red, what puts something live is green."""
    return kind_of(action).tone


def initials(name: str) -> str:
    """Two letters for the round sign before a line."""
    words = [word for word in name.replace("@", " ").replace(".", " ").replace("-", " ").split() if word]
    letters = [word[0] for word in words if word[0].isalnum()]
    return "".join(letters[:2]).upper() or "?"


def field_changes(
    before: Json | None, after: Json | None, *, leave_out: Set[str] = frozenset()
) -> list[FieldChange]:
    """Every field that differs between the two, by its path; a template's digest and size follow from its version."""
    old, new = _flat(before or {}), _flat(after or {})
    return [
        FieldChange("", path, _spell(old.get(path)), _spell(new.get(path)))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
        and path not in leave_out
        and not (path.startswith("prompt/") and path.endswith((".sha256", ".size")))
    ]


def as_json(document: Json | None) -> str | None:
    """A document as people read JSON."""
    return (
        None
        if document is None
        else shown(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True))
    )


def _flat(value: Any, path: str = "", depth: int = 0) -> dict[str, Any]:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{path}.{key}" if path else str(key), depth + 1)
        return found
    return {path: value} if path else {}


def _spell(value: Any) -> str | None:
    if value is None:
        return None
    return shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))
