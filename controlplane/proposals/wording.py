"""How a proposal stands, in words: its chip, what it still needs, its time in two zones. Pure."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from controlplane.proposals.states import State

# The tone and the word of each state's chip; what is open comes first, in the order in which it comes about.
STATES: Final = {
    State.DRAFT: ("draft", "Draft"),
    State.IN_REVIEW: ("review", "In review"),
    State.APPROVED: ("live", "Approved"),
    State.SCHEDULED: ("scheduled", "Scheduled"),
    State.REJECTED: ("failed", "Changes asked for"),
    State.CONFLICTED: ("differs", "Conflict"),
    State.PUBLISHED: ("live", "Published"),
    State.WITHDRAWN: ("archived", "Withdrawn"),
}
# Somebody has to do something: agree, publish, or choose.
WAITING: Final = (State.IN_REVIEW, State.APPROVED, State.CONFLICTED)


@dataclass(frozen=True)
class Chip:
    """A state as colour and words."""

    tone: str
    label: str


def chip(state: str, *, release: int | None = None, due: str | None = None) -> Chip:
    """Return the chip of a state, with what makes it particular: the release that it made, the time that it waits for."""
    tone, label = STATES[State(state)]
    if release is not None:
        label = f"{label} in release {release}"
    return Chip(tone, f"{label} for {due}" if state == State.SCHEDULED and due else label)


def counted(number: int, noun: str) -> str:
    """Return "1 entry", "2 entries"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("try") else f"{number:,} {noun}s"


def names_words(names: Sequence[str], *, limit: int = 5) -> str:
    """Return names for a sentence: "Ada, Grace and 3 more"; "nobody" for none."""
    if not names:
        return "nobody"
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def ask_words(names: Sequence[str]) -> str:
    """Return whom to ask, as a sentence; where there is nobody, what has to happen first."""
    return (
        f"Ask: {names_words(names)}."
        if names
        else "Nobody else may yet: an administrator has to add somebody."
    )


def due_words(due_at: dt.datetime, zone: str) -> str:
    """Return a time in the zone that it was chosen in, and in UTC: "Tue 24 Nov 2026, 09:00 Europe/Berlin (08:00 UTC)"."""
    utc = due_at.astimezone(dt.UTC)
    if zone == "UTC":
        return f"{_day(utc)} {utc:%Y, %H:%M} UTC"
    local = due_at.astimezone(ZoneInfo(zone))
    other_day = f"{_day(utc)}, " if utc.date() != local.date() else ""
    return f"{_day(local)} {local:%Y, %H:%M} {zone} ({other_day}{utc:%H:%M} UTC)"


def due_short(due_at: dt.datetime, zone: str) -> str:
    """Return a time for a chip, in the zone that it was chosen in: "Tue 24 Nov, 09:00"."""
    local = due_at.astimezone(ZoneInfo(zone))
    return f"{_day(local)}, {local:%H:%M}"


def source_words(source: str) -> str:
    """Return where the entries of a proposal come from."""
    known = {
        "saved": "what was saved",
        "rollout": "a rollout that is to begin",
        "bundle": "an imported bundle",
    }
    return known.get(source, source)


def sentence_case(text: str) -> str:
    """Return a text with its first letter large, and the others as they are: codes stay codes."""
    return text[:1].upper() + text[1:]


def listed(items: Iterable[str]) -> str:
    """Return items for a sentence: "a, b and c"."""
    *most, last = list(items) or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def _day(moment: dt.datetime) -> str:
    return f"{moment:%a} {moment.day} {moment:%b}"
