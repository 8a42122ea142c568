"""How many people a move concerns, in words: a count of a day, and the buckets that move. Pure.

A count is of all whom an entry answers. What part of them moves is exact, because the part is one of buckets and ids are spread
evenly over these; the numbers that come of it are as good as the count, so three digits of them are shown.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlplane.rollouts.ranges import moved
from controlplane.runtime.bucketing import BUCKETS, size
from controlplane.runtime.entries import ANY, DEFAULT_TIER
from controlplane.units.counted import Distinct

Document = Mapping[str, Any]

_DIGITS: Final = 3
_UNITS: Final = {"user": "users", "tenant": "tenants", "conversation": "conversations"}


@dataclass(frozen=True)
class People:
    """How many people something concerns, and how far that can be believed: how old it is, and who is not counted."""

    sentence: str
    standing: str


@dataclass(frozen=True)
class Move:
    """The buckets that a version holds afterwards, and those it gains and loses by it."""

    version: int
    holds: int
    gained: int
    lost: int


def moves_of(before: Document | None, after: Document | None) -> list[Move]:
    """Return what a change of a configuration's entry gives its versions; the baseline is told where it is the only one."""
    old, new = _ranges_of(before), _ranges_of(after)
    told = list(new)[1:] if len(new) > 1 else list(new)
    changes = moved([old.get(version, []) for version in told], [new[version] for version in told])
    return [
        Move(version, size(new[version]), change.gained, change.lost)
        for version, change in zip(told, changes, strict=True)
    ]


def of_configuration(
    counted: Distinct, key: str, before: Document | None, after: Document | None, *, at: dt.datetime
) -> People:
    """Return how many get which version after a change, and how many of them only then."""
    whom = _whom(counted, key)
    moves = moves_of(before, after)
    # Where the version stays and what it says changes, everybody is concerned and nobody moves.
    if all((move.holds, move.gained, move.lost) == (BUCKETS, 0, 0) for move in moves):
        return People(f"About {_number(counted.total)} {whom}.", _told(counted, at))
    if all((move.holds, move.gained) == (BUCKETS, BUCKETS) for move in moves):
        sentence = f"About {_number(counted.total)} {whom}, who all get version {moves[0].version}."
        return People(sentence, _told(counted, at))
    parts = [
        f"About {_about(counted, move.holds)} of {_number(counted.total)} {whom} on version {move.version}; "
        f"{_gain(counted, move.gained)} gain it, {_gain(counted, move.lost)} lose it."
        for move in moves
    ]
    return People(" ".join(parts), _told(counted, at))


def of_gate(
    counted: Distinct,
    interaction: str,
    before: Sequence[Sequence[int]],
    after: Sequence[Sequence[int]],
    *,
    at: dt.datetime,
) -> People:
    """Return how many a gate lets in after a change of its ranges, and how many come in and go out by it."""
    (change,) = moved([before], [after])
    sentence = (
        f"About {_about(counted, size(after))} of {_number(counted.total)} {_daily(counted)}{_plural(counted)} of "
        f"{interaction} let in; {_gain(counted, change.gained)} come in, {_gain(counted, change.lost)} go out."
    )
    return People(
        sentence, _told(counted, at, instead="a gate that is not open for all keeps them out, and they")
    )


def of_all(counted: Distinct, *, at: dt.datetime) -> People:
    """Return how many there are, for a change that concerns them all."""
    return People(f"About {_number(counted.total)} {_daily(counted)}{_plural(counted)}.", _told(counted, at))


def _ranges_of(document: Document | None) -> dict[int, list[list[int]]]:
    variants = (document or {}).get("variants", ())
    # A proposal may hold documents that never go live, because they are wrong: what is missing counts as nothing.
    return {
        variant.get("version"): [list(pair) for pair in variant.get("ranges", ())] for variant in variants
    }


def _whom(counted: Distinct, key: str) -> str:
    """Return "daily premium users": those whom an entry answers."""
    _, _, tier, tenant = key.split("/", 3)
    of_tier = "" if tier == DEFAULT_TIER else f"{tier} "
    of_tenant = "" if tenant == ANY else f" of tenant {tenant}"
    return f"{_daily(counted)}{of_tier}{_plural(counted)}{of_tenant}"


def _daily(counted: Distinct) -> str:
    return "daily " if counted.whole else ""


def _plural(counted: Distinct) -> str:
    return _UNITS.get(counted.unit, f"{counted.unit}s")


def _told(counted: Distinct, at: dt.datetime, *, instead: str = "they get the baseline and") -> str:
    """Return how old the count is, and who is not in it."""
    begun = "" if counted.whole else f" since {_moment(counted.since, at)}, when counting began"
    words = f"Counted{begun}; last told {_moment(counted.told_at, at)}."
    percent = round(100 * counted.without_unit)
    if percent:
        words += f" {percent} % of calls named no {counted.unit}: {instead} are not counted."
    return words


def _moment(moment: dt.datetime, at: dt.datetime) -> str:
    utc = moment.astimezone(dt.UTC)
    same_day = utc.date() == at.astimezone(dt.UTC).date()
    return f"{utc:%H:%M} UTC" if same_day else f"{utc.day} {utc:%B %H:%M} UTC"


def _about(counted: Distinct, buckets: int) -> str:
    return _number(counted.total * buckets / BUCKETS)


def _gain(counted: Distinct, buckets: int) -> str:
    """Return how many that is; only what is exactly none is called 0."""
    found = _about(counted, buckets)
    return "fewer than 1" if buckets and found == "0" else found


def _number(value: float) -> str:
    """Return a number with as many digits as can be believed."""
    whole = round(value)
    return f"{round(whole, min(0, _DIGITS - len(str(whole)))):,}"
