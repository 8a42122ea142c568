"""What a heartbeat says of its calls, read as the untrusted input it is: whatever can write to the store can write one.

A heartbeat counts since its process began. What happened between two of them is the difference, never less than nothing: of
two that are read in the wrong order the older one adds nothing.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import add
from typing import Annotated, Final, NamedTuple

import msgspec

from controlplane.runtime.metrics import LONG_BOUNDS, SHORT_BOUNDS
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT

_LARGEST: Final = 2**40
_NO_TIMES: Final = (0,) * (len(LONG_BOUNDS) + 1)
_NO_LOOKUPS: Final = (0,) * (len(SHORT_BOUNDS) + 1)
# Of what went wrong: an answer that came and cannot be used, and a model that refused to give one.
_UNREADABLE: Final = "parse"
_REFUSED: Final = "content_filter"
# The template could not be rendered: an older one was used, or the call left the configuration altogether.
_NOT_RENDERED: Final = ("render_failed", "no_template")

Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST)]
Name = Annotated[str, msgspec.Meta(max_length=128)]


class Subject(NamedTuple):
    """Whose calls: `row` is the row of configuration (`premium/*`), empty where a process does not tell it.

    Version 0 is the calls without a configuration.
    """

    interaction: str
    tier: str
    row: str
    version: int


class Counts(NamedTuple):
    """How calls went. Of `answered` calls `times` is the histogram, by `LONG_BOUNDS`; `failed` ones had no answer.

    `elsewhere` are calls that were answered without their configuration, because its template could not be rendered. All are
    whole numbers but `cost` and `seconds`, until somebody lets older ones weigh less.
    """

    answered: float = 0
    failed: float = 0
    elsewhere: float = 0
    unusable: float = 0
    fallbacks: float = 0
    input_tokens: float = 0
    output_tokens: float = 0
    unpriced: float = 0
    cost: float = 0
    seconds: float = 0
    times: tuple[float, ...] = _NO_TIMES

    @property
    def asked(self) -> float:
        """How many calls there were."""
        return self.answered + self.failed + self.elsewhere

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts._make([*map(add, self[:-1], other[:-1]), tuple(map(add, self.times, other.times))])

    def since(self, before: "Counts") -> "Counts":
        """What came after `before`."""
        amounts = (max(0, mine - theirs) for mine, theirs in zip(self[:-1], before[:-1], strict=True))
        times = (max(0, mine - theirs) for mine, theirs in zip(self.times, before.times, strict=True))
        return Counts._make([*amounts, tuple(times)])

    def or_later(self, other: "Counts") -> "Counts":
        """Of two readings of what only grows, the later one."""
        amounts = map(max, self[:-1], other[:-1])
        return Counts._make([*amounts, tuple(map(max, self.times, other.times))])


class Lookups(NamedTuple):
    """How long look-ups took, by `SHORT_BOUNDS`, and how often caches had what was asked for."""

    times: tuple[int, ...] = _NO_LOOKUPS
    hits: int = 0
    misses: int = 0

    def plus(self, other: "Lookups") -> "Lookups":
        """Both together."""
        times = tuple(map(add, self.times, other.times))
        return Lookups(times, self.hits + other.hits, self.misses + other.misses)

    def since(self, before: "Lookups") -> "Lookups":
        """What came after `before`."""
        times = (max(0, mine - theirs) for mine, theirs in zip(self.times, before.times, strict=True))
        return Lookups(tuple(times), max(0, self.hits - before.hits), max(0, self.misses - before.misses))

    def or_later(self, other: "Lookups") -> "Lookups":
        """Of two readings of what only grows, the later one."""
        times = tuple(map(max, self.times, other.times))
        return Lookups(times, max(self.hits, other.hits), max(self.misses, other.misses))


@dataclass(frozen=True)
class Told:
    """What one process counted since it began. `whole`: it left no series out for want of room."""

    counts: Mapping[Subject, Counts] = field(default_factory=dict)
    lookups: Lookups = field(default_factory=Lookups)
    whole: bool = True
    started_at: dt.datetime | None = None
    written_at: dt.datetime | None = None


class _Variant(msgspec.Struct):
    interaction: Name
    tier: Name | None = None
    configuration: Name | None = None
    variant: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    calls: Count = 0
    errors: Count = 0
    fallbacks: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    calls_without_cost: Count = 0
    cost: Amount = 0.0
    seconds: Amount = 0.0
    counts: list[Count] = []
    kinds: dict[str, Count] | None = None
    steps: dict[str, Count] | None = None


class _Histogram(msgspec.Struct):
    counts: list[Count] = []


class _Metrics(msgspec.Struct):
    variants: list[msgspec.Raw] = []
    lookup: msgspec.Raw = msgspec.Raw(b"{}")
    caches: msgspec.Raw = msgspec.Raw(b"{}")


class _Heartbeat(msgspec.Struct):
    metrics: _Metrics = msgspec.field(default_factory=_Metrics)
    variants_left_out: int = 0
    started: str = ""
    written: str = ""


def read(data: bytes) -> Told | None:
    """What a heartbeat tells of its process's calls; None when it cannot be read. Never raises."""
    if len(data) > HEARTBEAT_LIMIT:
        return None
    try:
        heartbeat = msgspec.json.decode(data, type=_Heartbeat)
    except (ValueError, RecursionError):  # what msgspec raises is a ValueError
        return None
    counts: dict[Subject, Counts] = {}
    for raw in heartbeat.metrics.variants:
        variant = _variant(raw)
        if variant is not None:
            subject = _subject(variant)
            counts[subject] = counts.get(subject, Counts()).plus(_counts(variant))
    return Told(
        counts=counts,
        lookups=_lookups(heartbeat.metrics),
        whole=heartbeat.variants_left_out == 0,
        started_at=_moment(heartbeat.started),
        written_at=_moment(heartbeat.written),
    )


def _variant(raw: msgspec.Raw) -> _Variant | None:
    try:
        return msgspec.json.decode(raw, type=_Variant)
    except (ValueError, RecursionError):
        return None


def _subject(variant: _Variant) -> Subject:
    return Subject(variant.interaction, variant.tier or "", variant.configuration or "", variant.variant or 0)


def _counts(variant: _Variant) -> Counts:
    kinds, steps = variant.kinds or {}, variant.steps or {}
    unreadable = kinds.get(_UNREADABLE, 0)
    not_rendered = sum(steps.get(step, 0) for step in _NOT_RENDERED)
    # A process of before tells no kinds and no steps: its sums are the best there is.
    stepped_down = (
        variant.fallbacks if variant.steps is None else steps.get("fallback_model", 0) + not_rendered
    )
    return Counts(
        answered=variant.calls,
        failed=max(0, variant.errors - unreadable),
        elsewhere=max(0, not_rendered - steps.get("last_good_template", 0)),
        unusable=unreadable + kinds.get(_REFUSED, 0),
        fallbacks=stepped_down,
        input_tokens=variant.input_tokens,
        output_tokens=variant.output_tokens,
        unpriced=variant.calls_without_cost,
        cost=variant.cost,
        seconds=variant.seconds,
        times=_times(variant.counts, _NO_TIMES),
    )


def _lookups(metrics: _Metrics) -> Lookups:
    try:
        times = msgspec.json.decode(metrics.lookup, type=_Histogram).counts
        caches = msgspec.json.decode(metrics.caches, type=dict[str, Count])
    except (ValueError, RecursionError):
        return Lookups()
    hits = sum(count for name, count in caches.items() if name.endswith("/hit"))
    misses = sum(count for name, count in caches.items() if name.endswith("/miss"))
    return Lookups(_times(times, _NO_LOOKUPS), min(hits, _LARGEST), min(misses, _LARGEST))


def _times(counts: list[int], none: tuple[int, ...]) -> tuple[int, ...]:
    """A histogram; nothing, when it has other bounds than this version of the library."""
    return tuple(counts) if len(counts) == len(none) else none


def _moment(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
        return found.astimezone(dt.UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
