"""What the address of the list of changes may say; what makes no sense is passed over and named."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.audit.queries import Filter

WORDS = ("q", "actor", "action", "object_kind", "object_key", "environment")
DATES = ("after", "before")
_LONGEST = 200


@dataclass(frozen=True)
class Asked:
    """The filter that was asked for, the cursors, and what of the address was not understood."""

    wanted: Filter
    older_than: int | None
    newer_than: int | None
    not_understood: tuple[str, ...]


def asked_of(given: Mapping[str, str]) -> Asked:
    """Read the address's query."""
    problems: list[str] = []
    words = {name: given[name].strip()[:_LONGEST] for name in WORDS if given.get(name, "").strip()}
    dates = {name: _date(given[name], problems) for name in DATES if given.get(name, "").strip()}
    cursors = {name: _cursor(given[name], problems) for name in ("older", "newer") if given.get(name)}
    return Asked(
        wanted=Filter(
            q=_storable(words.get("q")),
            actor=_storable(words.get("actor")),
            action=_storable(words.get("action")),
            object_kind=_storable(words.get("object_kind")),
            object_key=_storable(words.get("object_key")),
            environment=_storable(words.get("environment")),
            after=dates.get("after"),
            before=dates.get("before"),
        ),
        older_than=cursors.get("older"),
        newer_than=cursors.get("newer"),
        not_understood=tuple(problems),
    )


def _storable(text: str | None) -> str | None:
    # Postgres text holds no NUL: nothing that was ever stored could match it.
    return text.replace("\x00", "") or None if text else None


def _date(text: str, problems: list[str]) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        problems.append(f"“{text[:40]}” is not a date such as 2026-11-22; it was left out.")
        return None
    return day if dt.date.min < day < dt.date.max else None


def _cursor(text: str, problems: list[str]) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    problems.append("The place in the list was not understood: this is its beginning.")
    return None
