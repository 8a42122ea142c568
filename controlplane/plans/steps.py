"""The steps of a plan, and which of them is due. Pure: the time comes in as an argument.

One step at a time, always: a step is due when the one before it was held for its whole time, counted from when it was in
fact reached. A worker that was away for a week takes the next step when it is back, and not all of them.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controlplane.rollouts.ranges import share_words
from controlplane.runtime.bucketing import BUCKETS

MOST: Final = 12
LONGEST: Final = 90 * 24 * 60
_UNITS: Final = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 1),
    **dict.fromkeys(("h", "hour", "hours"), 60),
    **dict.fromkeys(("d", "day", "days"), 1440),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 1440),
}


@dataclass(frozen=True)
class Step:
    """A share, for how many minutes it is held, and whether a person has to say so before it is set."""

    share: int
    minutes: int
    waits: bool = False
    note: str = ""

    @property
    def hold(self) -> str:
        """How long it is held, as it is typed."""
        return hold_words(self.minutes)


@dataclass(frozen=True)
class Shape:
    """A plan to begin with, by name."""

    code: str
    name: str
    steps: tuple[Step, ...]

    @property
    def label(self) -> str:
        """Its name and its steps."""
        return f"{self.name}: {in_words(self.steps)}"


_HOUR, _DAY, _WEEK = 60, 1440, 7 * 1440
STANDARD: Final = Shape("standard", "Standard", (Step(10_000, _DAY), Step(50_000, _DAY), Step(BUCKETS, _DAY)))
CAREFUL: Final = Shape(
    "careful",
    "Careful",
    (
        Step(1_000, _DAY),
        Step(10_000, 2 * _DAY),
        Step(50_000, 2 * _DAY, waits=True),
        Step(BUCKETS, _DAY, waits=True),
    ),
)
QUICK: Final = Shape("quick", "Quick", (Step(10_000, _HOUR), Step(50_000, _HOUR), Step(BUCKETS, _HOUR)))
MIGRATION: Final = Shape(
    "migration",
    "Migration in six weeks",
    (
        Step(0, _WEEK, note="Off: every call takes the legacy path."),
        Step(0, _WEEK, waits=True, note="Staging: its gate is open, and what it answers was looked at."),
        Step(10_000, _WEEK, waits=True, note="The first users."),
        Step(50_000, _WEEK),
        Step(BUCKETS, 2 * _WEEK),
        Step(BUCKETS, _DAY, waits=True, note="Remove the legacy path from the product's code."),
    ),
)
OF_ROLLOUTS: Final = (STANDARD, CAREFUL, QUICK)
OF_GATES: Final = (MIGRATION, STANDARD, CAREFUL)


def shape_of(code: str) -> Shape | None:
    """The plan of this name."""
    return next((each for each in (*OF_ROLLOUTS, *OF_GATES) if each.code == code), None)


def from_share(shape: Shape, share: int) -> tuple[Step, ...]:
    """A shape's steps for what begins at this share: it is held as the first step is, then come those above it."""
    return (Step(share, shape.steps[0].minutes), *(each for each in shape.steps if each.share > share))


def parse_hold(text: str) -> int:
    """Read a time as it is typed ("24 h", "90 min", "7 days"; a bare number is hours) in minutes; `ValueError` in plain words."""
    found = re.fullmatch(r"([0-9]{1,6})\s*([a-z]*)", text.strip().lower())
    if found is None or (found[2] and found[2] not in _UNITS):
        raise ValueError("Enter how long, such as 24 h, 90 min or 7 days.")
    minutes = int(found[1]) * _UNITS.get(found[2], 60)
    if not 1 <= minutes <= LONGEST:
        raise ValueError("Enter from 1 min to 90 days.")
    return minutes


def hold_words(minutes: int) -> str:
    """Minutes as they are typed: "24 h", "7 days", "90 min"."""
    if minutes % _DAY == 0 and minutes > _DAY:
        return f"{minutes // _DAY} days"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def in_words(steps: Sequence[Step]) -> str:
    """All steps in one line: "10 % 24 h → 50 % 24 h → 100 %"; a step that waits for a person says so."""
    told = [
        f"{share_words(step.share)}{'' if step is steps[-1] else f' {step.hold}'}"
        f"{' (waits for a person)' if step.waits else ''}"
        for step in steps
    ]
    return " → ".join(told)


def problems(steps: Sequence[Step], *, after: int | None = None) -> dict[str, str]:
    """What is wrong with these steps, by their fields; `after` is the share that the plan is at."""
    errors: dict[str, str] = {}
    if len(steps) < (2 if after is None else 1):
        errors["steps"] = (
            "A plan has at least two steps: where it begins and where it goes."
            if after is None
            else "At least one step is ahead; cancel the plan to end it here."
        )
    elif len(steps) > MOST:
        errors["steps"] = f"A plan has at most {MOST} steps."
    before = after
    for at, step in enumerate(steps):
        if before is not None and step.share < before:
            errors[f"steps.{at}.share"] = f"A plan climbs: this is below the {share_words(before)} before it."
        if len(step.note) > 200:
            errors[f"steps.{at}.note"] = "Use at most 200 characters."
        before = step.share
    return errors


class Wait(StrEnum):
    """What a running plan is waiting for."""

    TIME = "time"
    PERSON = "person"
    PAUSE = "pause"  # its rollout to be resumed
    NOTHING = "nothing"  # the next step is due
    END = "end"  # there is no next step


@dataclass(frozen=True)
class Turn:
    """Which step comes next, when, and what it waits for."""

    wait: Wait
    due_at: dt.datetime | None = None
    left: dt.timedelta | None = None


def turn(
    steps: Sequence[Step],
    at_step: int,
    *,
    since: dt.datetime,
    held_seconds: int,
    paused_at: dt.datetime | None,
    now: dt.datetime,
) -> Turn:
    """Say whether the step after `at_step` may be taken at `now`.

    `held_seconds` is how long the rollout was paused since then and is not any more: that time does not count.
    """
    if at_step + 1 >= len(steps):
        return Turn(Wait.END)
    due_at = since + dt.timedelta(minutes=steps[at_step].minutes, seconds=held_seconds)
    if paused_at is not None:
        return Turn(Wait.PAUSE, left=max(due_at - paused_at, dt.timedelta()))
    if now < due_at:
        return Turn(Wait.TIME, due_at, due_at - now)
    return Turn(Wait.PERSON if steps[at_step + 1].waits else Wait.NOTHING, due_at, dt.timedelta())
