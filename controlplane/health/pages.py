"""What the page of an environment's health shows: five figures of the last day, and how each interaction does."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Float, Integer, cast, func, select, true
from sqlalchemy.orm import Session

from controlplane.health.drawing import Chart, draw
from controlplane.health.models import HealthLookups, HealthMinute
from controlplane.health.reading import Lookups
from controlplane.runtime.metrics import LONG_BOUNDS, SHORT_BOUNDS

DAY: Final = dt.timedelta(hours=24)
HOUR: Final = dt.timedelta(hours=1)
_POINT: Final = dt.timedelta(minutes=30)
_POINTS: Final = 48
_SLOW_LOOKUP: Final = 0.2
_FEWEST_HITS: Final = 0.8
_MOST_FALLBACKS: Final = 0.05
_MOST_ERRORS: Final = 0.01


@dataclass(frozen=True)
class Figure:
    """One of the five: its value in words, whether that is within its limit, and its day."""

    label: str
    value: str
    word: str
    tone: str
    hint: str
    chart: Chart | None

    @property
    def said(self) -> str:
        """What its chart shows, in words."""
        return f"{self.label} of the last 24 hours: {self.value}, {self.word}, {self.hint}"


@dataclass(frozen=True)
class Line:
    """How the calls of one interaction went in the last day; its p95 is of the last hour."""

    interaction: str
    calls: int
    errors: str
    fallbacks: str
    unusable: str
    p95: str
    tone: str


@dataclass(frozen=True)
class Point:
    """Half an hour, for the table behind the charts."""

    at: dt.datetime
    calls: int
    values: tuple[str, ...]

    @property
    def clock(self) -> str:
        """When it begins, in UTC."""
        return f"{self.at.astimezone(dt.UTC):%d %b %H:%M}"


@dataclass(frozen=True)
class HealthPage:
    """The page."""

    figures: tuple[Figure, ...]
    lines: tuple[Line, ...]
    points: tuple[Point, ...]

    @property
    def known(self) -> bool:
        """Whether any process told of anything in the last day."""
        return bool(self.points)


@dataclass
class _Half:
    """What happened in half an hour."""

    calls: int = 0
    failed: int = 0
    fallbacks: int = 0
    lookups: Lookups = field(default_factory=Lookups)

    @property
    def p95(self) -> float | None:
        return percentile(self.lookups.times, SHORT_BOUNDS)

    @property
    def hits(self) -> float | None:
        return _part(self.lookups.hits, self.lookups.hits + self.lookups.misses)


def health_page(
    session: Session, environment: str, *, at: dt.datetime, answered: int, cells: int
) -> HealthPage:
    """How calls go in an environment; of `cells` of the grid so many are `answered`."""
    first = at.replace(minute=30 * (at.minute // 30), second=0, microsecond=0) - (_POINTS - 1) * _POINT
    halves = _halves(session, environment, first)
    series = [halves.get(place) for place in range(_POINTS)]
    return HealthPage(
        figures=(*_figures(series, first), _coverage(answered, cells)),
        lines=tuple(_lines(session, environment, first, at - HOUR)),
        points=tuple(
            _point(first + place * _POINT, half) for place, half in sorted(halves.items(), reverse=True)
        ),
    )


def percentile(times: Sequence[float], bounds: Sequence[float], share: float = 0.95) -> float | None:
    """The bound that this share of a histogram does not exceed; infinite beyond the last one, None without any."""
    total = sum(times)
    if not total:
        return None
    below = 0.0
    for count, bound in zip(times, bounds, strict=False):
        below += count
        if below >= share * total:
            return bound
    return float("inf")


def seconds_words(value: float | None, bounds: Sequence[float]) -> str:
    """A bound of a histogram: "at most 2.5 µs"."""
    if value is None:
        return "not known"
    word, found = ("at most", value) if value != float("inf") else ("over", bounds[-1])
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if found < 1000 * size:
            return f"{word} {round(found / size, 3):g} {unit}"
    return f"{word} {found:g} s"


def _halves(session: Session, environment: str, first: dt.datetime) -> dict[int, _Half]:
    found: dict[int, _Half] = {}
    place = cast(
        func.floor(func.extract("epoch", HealthMinute.minute - first) / _POINT.total_seconds()), Integer
    )
    query = (
        select(
            place,
            func.sum(HealthMinute.answered + HealthMinute.failed + HealthMinute.elsewhere),
            func.sum(HealthMinute.failed),
            func.sum(HealthMinute.fallbacks),
        )
        .where(HealthMinute.environment == environment, HealthMinute.minute >= first)
        .group_by(place)
    )
    for number, calls, failed, fallbacks in session.execute(query):
        found[number] = _Half(int(calls), int(failed), int(fallbacks))
    rows = select(HealthLookups).where(
        HealthLookups.environment == environment, HealthLookups.minute >= first
    )
    for row in session.scalars(rows):
        half = found.setdefault(int((row.minute - first) / _POINT), _Half())
        half.lookups = half.lookups.plus(Lookups(tuple(row.times), row.hits, row.misses))
    return found


def _figures(series: Sequence[_Half | None], first: dt.datetime) -> list[Figure]:
    whole = _Half()
    for half in series:
        if half is not None:
            whole = _Half(
                whole.calls + half.calls,
                whole.failed + half.failed,
                whole.fallbacks + half.fallbacks,
                whole.lookups.plus(half.lookups),
            )
    errors = [_part(half.failed, half.calls) if half else None for half in series]
    fallbacks = [_part(half.fallbacks, half.calls) if half else None for half in series]
    lookups = [half.p95 if half else None for half in series]
    hits = [half.hits if half else None for half in series]
    return [
        _figure(
            "Errors",
            errors,
            first,
            value=_percent(_part(whole.failed, whole.calls)),
            limit=_MOST_ERRORS,
            limit_words="at most 1 % of calls",
        ),
        _figure(
            "Steps down",
            fallbacks,
            first,
            value=_percent(_part(whole.fallbacks, whole.calls)),
            limit=_MOST_FALLBACKS,
            limit_words="at most 5 % of calls",
        ),
        _figure(
            "Look-up, p95",
            lookups,
            first,
            value=seconds_words(whole.p95, SHORT_BOUNDS),
            limit=_SLOW_LOOKUP,
            limit_words="at most 200 ms",
        ),
        _figure(
            "Cache hits",
            hits,
            first,
            value=_percent(whole.hits),
            limit=_FEWEST_HITS,
            limit_words="at least 80 %",
            is_least=True,
            unknown="Nothing is looked up in caches where whole releases are in memory.",
        ),
    ]


def _figure(
    label: str,
    values: Sequence[float | None],
    first: dt.datetime,
    *,
    value: str,
    limit: float,
    limit_words: str,
    is_least: bool = False,
    unknown: str = "No calls in the last day.",
) -> Figure:
    word, tone, since = _state(values, first, limit, is_least=is_least)
    hint = unknown if tone == "archived" else f"{since}Limit: {limit_words}."
    drawn = [min(each, 10 * limit) if each is not None else None for each in values]
    return Figure(label, value, word, tone, hint, draw([drawn], threshold=limit))


def _state(
    values: Sequence[float | None], first: dt.datetime, limit: float, *, is_least: bool
) -> tuple[str, str, str]:
    """Whether the newest known value keeps the limit, as a word and a tone; if not, since when none does."""
    known = [(place, each) for place, each in enumerate(values) if each is not None]
    if not known:
        return "Not known", "archived", ""

    def keeps(value: float) -> bool:
        return value >= limit if is_least else value <= limit

    if keeps(known[-1][1]):
        return "Ok", "live", ""
    began = known[-1][0]
    for place, each in reversed(known):
        if keeps(each):
            break
        began = place
    since = (first + began * _POINT).astimezone(dt.UTC)
    return f"{'Below' if is_least else 'Above'} its limit", "failed", f"Since {since:%H:%M} UTC. "


def _coverage(answered: int, cells: int) -> Figure:
    tone = "live" if answered == cells else "failed"
    word = "Ok" if answered == cells else f"{cells - answered} are not"
    hint = "Of each interaction for each tier. Limit: all of them."
    return Figure("Cells answered", f"{answered} of {cells}", word, tone, hint, None)


def _lines(session: Session, environment: str, first: dt.datetime, hour: dt.datetime) -> list[Line]:
    calls = func.sum(HealthMinute.answered + HealthMinute.failed + HealthMinute.elsewhere)
    query = (
        select(
            HealthMinute.interaction,
            calls.label("calls"),
            func.sum(HealthMinute.failed).label("failed"),
            func.sum(HealthMinute.fallbacks).label("fallbacks"),
            func.sum(HealthMinute.unusable).label("unusable"),
        )
        .where(HealthMinute.environment == environment, HealthMinute.minute >= first)
        .group_by(HealthMinute.interaction)
        .order_by(calls.desc(), HealthMinute.interaction)
    )
    times = _times(session, environment, hour)
    return [
        _line_of(interaction, *map(int, counts), times=times.get(interaction, ()))
        for interaction, *counts in session.execute(query)
    ]


def _times(session: Session, environment: str, since: dt.datetime) -> Mapping[str, list[float]]:
    """The histogram of each interaction's answers."""
    each = func.unnest(HealthMinute.times).table_valued("count", with_ordinality="place").render_derived()
    query = (
        select(HealthMinute.interaction, cast(func.sum(each.c.count), Float))
        .join(each, onclause=true())
        .where(HealthMinute.environment == environment, HealthMinute.minute >= since)
        .group_by(HealthMinute.interaction, each.c.place)
        .order_by(HealthMinute.interaction, each.c.place)
    )
    found: dict[str, list[float]] = {}
    for interaction, count in session.execute(query):
        found.setdefault(interaction, []).append(count)
    return found


def _line_of(
    interaction: str, calls: int, failed: int, fallbacks: int, unusable: int, *, times: Sequence[float]
) -> Line:
    errors = _part(failed, calls)
    return Line(
        interaction=interaction,
        calls=calls,
        errors=_percent(errors),
        fallbacks=_percent(_part(fallbacks, calls)),
        unusable=_percent(_part(unusable, calls)),
        p95=seconds_words(percentile(times, LONG_BOUNDS), LONG_BOUNDS),
        tone="failed" if errors is not None and errors > _MOST_ERRORS else "live",
    )


def _point(at: dt.datetime, half: _Half) -> Point:
    return Point(
        at,
        half.calls,
        (
            _percent(_part(half.failed, half.calls)),
            _percent(_part(half.fallbacks, half.calls)),
            seconds_words(half.p95, SHORT_BOUNDS),
            _percent(half.hits),
        ),
    )


def _part(some: float, whole: float) -> float | None:
    return some / whole if whole else None


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{100 * value:.1f} %"
