"""How much attention a change deserves: points for what made it dangerous, each with its words. Pure.

The points are worked out when the change is made, from what was known then, and kept with it: a score that moved with
somebody's role or with the rules of today could not be explained a year later.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from controlplane.audit import kinds
from controlplane.reviews.states import Level
from controlplane.runtime.bucketing import BUCKETS

MOST = 100
HIGH, MEDIUM = 65, 35

# What an action weighs by itself. A kind without a line weighs `_OTHERWISE`; the tests name every kind that is recorded.
KINDS: Mapping[str, int] = {
    "switch.thrown": 25,
    "switch.lifted": 25,
    "release.published": 15,
    "release.rolled_back": 15,
    "release.reverted": 15,
    "rollout.started": 15,
    "rollout.raised": 10,
    "rollout.lowered": 5,
    "rollout.moved": 10,
    "rollout.finished": 10,
    "rollout.aborted": 15,
    "gate.raised": 15,
    "gate.lowered": 15,
    "person.added": 35,
    "person.role_changed": 45,
    "person.enabled": 35,
    "person.disabled": 20,
    "person.password_reset": 35,
    "person.reviewer_made": 45,
    "person.reviewer_unmade": 35,
    "token.created": 35,
    "environment.added": 20,
    "environment.changed": 45,
    "environment.archived": 45,
    "review.rules_changed": 50,
    "interaction.changed": 10,
    "model.changed": 10,
    "tier.changed": 10,
}
_OTHERWISE = 4
# Comings, goings, and what the worker tidies up.
EXEMPT = frozenset({each.action for each in kinds.KINDS.values() if not each.changes}) | {
    "release.caught_up",
    "store.pruned",
}
# A step of a proposal makes nothing live: it is looked at with what it became. And looking at who looked would never end.
EXEMPT_SUBJECTS = frozenset({"review", "emergency", "proposal", "record", "view"})
NOT_EXEMPT = frozenset({"review.rules_changed"})

_SHARES = ((BUCKETS, 20), (BUCKETS // 4, 12), (BUCKETS // 20, 6), (1, 2))
_ENTRIES = ((11, 15), (4, 8))
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Hours:
    """When people are usually at work: the zone, the first hour and the one after the last, Monday to Friday."""

    zone: str = "UTC"
    begin: int = 8
    end: int = 18

    def outside(self, at: dt.datetime) -> str | None:
        """A moment outside of them in words ("at 03:12", "on Sunday at 11:40"); None when it is within."""
        local = at.astimezone(ZoneInfo(self.zone))
        clock = f"at {local:%H:%M}" + ("" if self.zone == "UTC" else f" {local:%Z}")
        if local.weekday() >= 5:  # Saturday and Sunday
            return f"on {_DAYS[local.weekday()]} {clock}"
        return None if self.begin <= local.hour < self.end else clock


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a change at the moment it is made."""

    action: str
    at: dt.datetime
    environment: str | None = None
    protected: bool = False
    share: int | None = None  # buckets whose units get something else than before
    whom: str = "users"
    entries: int = 1
    actor_kind: str = "person"
    role: str = "editor"
    days_in_role: int | None = None
    emergency: bool = False
    unapproved: bool = False  # something new went live, and nobody agreed to it
    self_approved: bool = False  # one of those who agreed had written some of it


@dataclass(frozen=True)
class Reason:
    """One thing that adds to the risk: a mark to find it by, its points, its words."""

    mark: str
    points: int
    words: str


@dataclass(frozen=True)
class Risk:
    """The score with its reasons, the heaviest first."""

    score: int
    reasons: tuple[Reason, ...]

    @property
    def level(self) -> Level:
        """What people act on."""
        return level_of(self.score)


def level_of(score: int) -> Level:
    """The level of a score."""
    return Level.HIGH if score >= HIGH else Level.MEDIUM if score >= MEDIUM else Level.LOW


def is_exempt(action: str) -> bool:
    """Whether changes of this kind are never looked at: they change nothing, or are themselves a look at something."""
    if action in NOT_EXEMPT:
        return False
    return action in EXEMPT or action.partition(".")[0] in EXEMPT_SUBJECTS


def assess(facts: Facts, hours: Hours, *, newcomer_days: int) -> Risk:
    """The risk of a change."""
    found = [each for each in _reasons(facts, hours, newcomer_days) if each.points > 0]
    # Sorting is stable: reasons of equal weight stay in the order in which people would tell them.
    found.sort(key=lambda each: -each.points)
    return Risk(min(MOST, sum(each.points for each in found)), tuple(found))


def _reasons(facts: Facts, hours: Hours, newcomer_days: int) -> Iterator[Reason]:
    if facts.environment is not None:
        yield Reason("environment", 30 if facts.protected else 5, facts.environment)
    yield Reason("kind", KINDS.get(facts.action, _OTHERWISE), _words_of(facts.action))
    if facts.share:
        points = next(points for least, points in _SHARES if facts.share >= least)
        # Where nothing is protected, nobody's customers are moved.
        yield Reason(
            "share", points if facts.protected else points // 2, f"{share_words(facts.share)} of {facts.whom}"
        )
    if facts.entries >= _ENTRIES[-1][0]:
        points = next(points for least, points in _ENTRIES if facts.entries >= least)
        yield Reason("entries", points, f"{facts.entries} entries")
    if facts.emergency:
        yield Reason("emergency", 30, "an emergency: nobody agreed first")
    elif facts.unapproved and facts.protected:
        yield Reason("unapproved", 12, "no approval")
    if facts.self_approved:
        yield Reason("self-approved", 15, "approved by one of its authors")
    outside = hours.outside(facts.at)
    if outside:
        yield Reason("hour", 10, outside)
    if facts.actor_kind != "person":
        yield Reason(
            "automated", 8, f"by a {facts.actor_kind}" if facts.actor_kind != "system" else "by the system"
        )
    elif facts.days_in_role is not None and facts.days_in_role < newcomer_days:
        since = {0: "since today", 1: "since yesterday"}.get(
            facts.days_in_role, f"for {facts.days_in_role} days"
        )
        yield Reason("newcomer", 8, f"{facts.role} only {since}")


def _words_of(action: str) -> str:
    subject, _, verb = action.partition(".")
    return f"{subject.replace('_', ' ')} {verb.replace('_', ' ')}".strip()


def share_words(buckets: int) -> str:
    """A number of buckets as a share of all: "12.5 %"."""
    thousandths = buckets * 100_000 // BUCKETS
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".") + " %"


@dataclass(frozen=True)
class Effect:
    """How far a change of live entries reaches: the largest share of units that get something else, and of whom."""

    share: int | None
    whom: str
    entries: int


def effect_of(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Effect:
    """Read the effect out of the documents that an event keeps, by entry key; of anything else nothing is known."""
    old, new = before or {}, after or {}
    keys = sorted(key for key in old.keys() | new.keys() if "/" in key and old.get(key) != new.get(key))
    moved = [(_moved(key, old.get(key), new.get(key)), key) for key in keys]
    known = [(share, key) for share, key in moved if share is not None]
    if not known:
        return Effect(None, "users", max(1, len(keys)))
    share, key = max(known, key=lambda each: each[0])
    return Effect(share, _whom(key, several=len(known) > 1), max(1, len(keys)))


def _moved(key: str, before: Any, after: Any) -> int | None:
    kind = key.partition("/")[0]
    if kind == "prompt":
        return BUCKETS  # whoever gets it gets another text
    if kind == "gate":
        return _differing(_gate(before), _gate(after))
    if kind == "configuration":
        return _differing(_variants(before), _variants(after))
    return None


Piece = tuple[int, int, Any]


def _gate(document: Any) -> list[Piece]:
    return [(*_ends(pair), "in") for pair in _list(document, "ranges")]


def _variants(document: Any) -> list[Piece]:
    return [
        (*_ends(pair), {name: value for name, value in each.items() if name not in {"ranges", "version"}})
        for each in _list(document, "variants")
        for pair in each.get("ranges", ())
    ]


def _list(document: Any, name: str) -> Sequence[Any]:
    found = document.get(name) if isinstance(document, Mapping) else None
    return found if isinstance(found, list) else ()


def _ends(pair: Sequence[int]) -> tuple[int, int]:
    # A range that gives up buckets from its other side is written from the higher end to the lower.
    return min(pair), max(pair)


def _differing(before: Sequence[Piece], after: Sequence[Piece]) -> int:
    """How many buckets get something else than before."""
    edges = sorted({0, BUCKETS, *(edge for piece in (*before, *after) for edge in piece[:2])})
    return sum(high - low for low, high in pairwise(edges) if _at(before, low) != _at(after, low))


def _at(pieces: Sequence[Piece], bucket: int) -> Any:
    return next((what for low, high, what in pieces if low <= bucket < high), None)


def _whom(key: str, *, several: bool) -> str:
    kind, _, rest = key.partition("/")
    if several:
        return "users in places of theirs" if kind == "configuration" else "calls"
    if kind == "prompt":
        return f"what uses the template {rest}"
    interaction, *where = rest.split("/")
    tier = where[0] if where else "default"
    tenant = where[1] if len(where) > 1 else "*"
    who = "users" if tier == "default" else f"{tier} users"
    return f"{who} of {tenant} in {interaction}" if tenant != "*" else f"{who} in {interaction}"
