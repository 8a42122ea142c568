"""What the pages show of a rollout's health: small frozen values, every word of them made here."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.guards import services, wording
from controlplane.guards.acts import OnBreach
from controlplane.guards.chosen import Chosen, settings_of
from controlplane.guards.judging import Finding, Known, Pair, bound_seconds, findings, known_from, values_of
from controlplane.guards.measures import Measure
from controlplane.guards.models import GuardBreach, GuardWatch
from controlplane.guards.shares import Ratio, ratio_of, units_of
from controlplane.guards.watching import counts_of_row, minutes_of
from controlplane.health.drawing import Chart, draw
from controlplane.health.reading import Counts
from controlplane.rollouts import standing
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.standing import Standing

WINDOW: Final = dt.timedelta(hours=24)
_POINTS: Final = 40
_MINUTE: Final = dt.timedelta(minutes=1)
_NEWS: Final = dt.timedelta(hours=24)


@dataclass(frozen=True)
class Row:
    """One measure: both versions' values, what speaks against the newer one, and how it went."""

    measure: Measure
    label: str
    help: str
    baseline: str
    variant: str
    evidence: str
    chance: str
    tone: str
    watched: bool
    tolerance: str
    chart: Chart | None
    said: str  # what the chart shows, for those who do not see it


@dataclass(frozen=True)
class Moment:
    """One line of the table behind the charts."""

    at: dt.datetime
    calls: tuple[int, int]
    values: tuple[tuple[str, str], ...]

    @property
    def clock(self) -> str:
        """When it begins, in UTC."""
        return f"{self.at.astimezone(dt.UTC):%d %b %H:%M}"


@dataclass(frozen=True)
class RolloutHealth:
    """How the two versions of a rollout do, and what its guards make of it."""

    number: int
    versions: tuple[int, int]
    running: bool
    paused: bool
    tellable: bool  # whether calls of this place are told apart from others'
    rows: tuple[Row, ...]
    moments: tuple[Moment, ...]
    calls: tuple[int, int]
    since: dt.datetime | None
    looked_at: dt.datetime | None
    window: str
    tone: str
    verdict: str
    on_breach: OnBreach
    guard: str
    breaches: Sequence[GuardBreach]
    ratio: str
    ratio_off: bool

    @property
    def definitions(self) -> list[tuple[str, str]]:
        """What each measure counts."""
        return [
            (row.label, row.help + (f" Matters from {row.tolerance}." if row.tolerance else ""))
            for row in self.rows
        ]

    @property
    def news(self) -> GuardBreach | None:
        """What the guard did last; not while it holds the rollout, which stands beside the slider already."""
        latest = self.breaches[0] if self.breaches else None
        return None if latest is not None and latest.acted == "held" and self.paused else latest

    @property
    def known(self) -> bool:
        """Whether any call of either version is known."""
        return any(self.calls) or bool(self.moments)


@dataclass(frozen=True)
class News:
    """What a guard did, for whoever has to know."""

    breach: GuardBreach
    title: str
    label: str
    tone: str


def rollout_health(session: Session, here: Standing, *, at: dt.datetime) -> RolloutHealth:
    """How a rollout does, as the guards know it, and its last day as charts."""
    rollout = here.rollout
    versions = rollout.from_version, rollout.to_version
    chosen = settings_of(session, rollout.number)
    watch = session.get(GuardWatch, rollout.number)
    known = known_from(watch.known) if watch is not None else Known()
    breaches = services.breaches_of(session, rollout.number)
    begun = max(rollout.started_at, at - WINDOW) if rollout.ended_at is None else rollout.started_at
    ended = min(at, rollout.ended_at + 10 * _MINUTE) if rollout.ended_at is not None else at
    begun = max(begun, ended - WINDOW)
    place = here.place
    minutes = minutes_of(session, rollout.environment, place, versions, after=begun - _MINUTE, before=ended)
    points = _points(minutes)
    whole = known.total if any(counts.asked for counts in known.total) else _whole(minutes)
    found = {finding.measure: finding for finding in findings(known, settings=chosen.settings)}
    marks = _places([breach.at for breach in breaches], points)
    judged = any(counts.asked for counts in known.total)
    verdict, tone = (
        _verdict(list(found.values()), running=here.running)
        if judged or not found
        else ("Judged when a minute is over", "archived")
    )
    ratio = ratio_of(here, units_of(session, here, at=at))
    return RolloutHealth(
        number=rollout.number,
        versions=versions,
        running=here.running,
        paused=here.paused,
        tellable=counts_of_row(place) is not None,
        rows=tuple(
            _row(
                measure,
                found.get(measure) if judged else None,
                whole,
                points,
                marks,
                chosen=chosen,
                versions=versions,
            )
            for measure in Measure
        ),
        moments=tuple(_moment(moment, pair, whole) for moment, pair in reversed(points)),
        calls=(int(whole[0].asked), int(whole[1].asked)),
        since=watch.since if watch is not None else None,
        looked_at=watch.looked_at if watch is not None else None,
        window=_window(points),
        tone=tone,
        verdict=verdict,
        on_breach=chosen.on_breach,
        guard=_guard_words(chosen),
        breaches=breaches,
        ratio=_ratio_words(here, ratio),
        ratio_off=ratio is not None and ratio.is_off,
    )


def news(session: Session, environment: str, *, at: dt.datetime) -> list[News]:
    """What guards found and did of late that nobody has answered: the latest for each rollout, the latest first.

    What was held or told stands until the rollout goes on or ends; what was aborted for a day.
    """
    query = (
        select(GuardBreach, Rollout, GuardWatch.since)
        .join(Rollout, Rollout.number == GuardBreach.rollout)
        .join(GuardWatch, GuardWatch.rollout == GuardBreach.rollout)
        .where(GuardBreach.environment == environment, GuardBreach.at > at - 14 * _NEWS)
        .order_by(GuardBreach.at.desc(), GuardBreach.number.desc())
        .limit(50)
    )
    latest: dict[int, tuple[GuardBreach, Rollout, dt.datetime]] = {}
    for breach, rollout, since in session.execute(query):
        latest.setdefault(breach.rollout, (breach, rollout, since))
    found = []
    for breach, rollout, since in latest.values():
        if rollout.ended_at is not None and breach.acted != "aborted":
            continue
        # Any release may have ended it, whatever its row says.
        here = standing.get_standing(session, environment, rollout.number)
        waits = {
            "aborted": breach.at > at - _NEWS,
            "held": here.paused,
            "told": here.running and breach.since == since,
        }
        if waits[breach.acted]:
            label, tone = _ACTED[breach.acted]
            found.append(News(breach, here.place.title, label, tone))
    return found


_ACTED: Final = {
    "aborted": ("Aborted by guard", "failed"),
    "held": ("Held by guard", "paused"),
    "told": ("Worse than before", "failed"),
}


def _row(
    measure: Measure,
    finding: Finding | None,
    whole: Pair,
    points: Sequence[tuple[dt.datetime, Pair]],
    marks: Sequence[float],
    *,
    chosen: Chosen,
    versions: tuple[int, int],
) -> Row:
    baseline, variant = values_of(measure, whole)
    tolerance = chosen.settings.tolerances.get(measure)
    series = [[_value(measure, pair, whole)[which] for _, pair in points] for which in (0, 1)]
    threshold = _threshold(measure, baseline, tolerance)
    spoken = [wording.value_words(measure, value) for value in (baseline, variant)]
    return Row(
        measure=measure,
        label=measure.label,
        help=_help(measure, whole),
        baseline=spoken[0],
        variant=spoken[1],
        evidence=_evidence(finding, watched=tolerance is not None),
        chance=_chance(finding),
        tone=wording.tone_of(finding) if finding is not None else "archived",
        watched=tolerance is not None,
        tolerance=_tolerance_words(measure, tolerance),
        chart=draw(series, threshold=threshold, marks=marks, least_top=0.05 if measure.is_rate else 0.0),
        said=(
            f"{measure.label} of version {versions[1]} ({spoken[1]}) against version {versions[0]} ({spoken[0]})"
        ),
    )


def _evidence(finding: Finding | None, *, watched: bool) -> str:
    if finding is None:
        return "Not judged yet" if watched else "Not watched"
    return wording.evidence_word(finding)


def _chance(finding: Finding | None) -> str:
    """How rarely it would look like this by chance, where it looks like anything."""
    if finding is None or wording.tone_of(finding) not in {"failed", "draft"}:
        return ""
    return f"{wording.chance_words(finding.evidence)} by chance"


def _value(measure: Measure, pair: Pair, whole: Pair) -> tuple[float | None, float | None]:
    """Of one point. What counts as slow is the whole baseline's: a bound that wandered would hide what it is a bound of."""
    if measure is Measure.SLOW:
        bounded = whole[0].times
        return _slow(pair[0], bounded), _slow(pair[1], bounded)
    return values_of(measure, pair)


def _slow(counts: Counts, baseline: tuple[float, ...]) -> float | None:
    return values_of(Measure.SLOW, (Counts(times=baseline), counts))[1]


def _threshold(measure: Measure, baseline: float | None, tolerance: float | None) -> float | None:
    if baseline is None or tolerance is None:
        return None
    return baseline + tolerance / 100 if measure.is_rate else baseline * (1 + tolerance / 100)


def _help(measure: Measure, whole: Pair) -> str:
    if measure is Measure.SLOW and any(whole[0].times):
        return f"{measure.help} Now that is {bound_seconds(whole[0]):g} s."
    return measure.help


def _tolerance_words(measure: Measure, tolerance: float | None) -> str:
    if tolerance is None:
        return ""
    if measure.is_rate:
        return f"{tolerance:g} point{'' if tolerance == 1 else 's'}"
    return f"{tolerance:g} %"


def _points(minutes: Sequence[tuple[dt.datetime, Pair]]) -> list[tuple[dt.datetime, Pair]]:
    """The minutes put together so that there are few enough to draw; times without a call are left empty."""
    if not minutes:
        return []
    first, last = minutes[0][0], minutes[-1][0]
    width = max(1, -(-(int((last - first) / _MINUTE) + 1) // _POINTS))
    count = int((last - first) / _MINUTE) // width + 1
    points = [(first + place * width * _MINUTE, (Counts(), Counts())) for place in range(count)]
    for moment, pair in minutes:
        place = int((moment - first) / _MINUTE) // width
        at, so_far = points[place]
        points[place] = at, (so_far[0].plus(pair[0]), so_far[1].plus(pair[1]))
    return points


def _whole(minutes: Sequence[tuple[dt.datetime, Pair]]) -> Pair:
    baseline, variant = Counts(), Counts()
    for _, pair in minutes:
        baseline, variant = baseline.plus(pair[0]), variant.plus(pair[1])
    return baseline, variant


def _places(moments: Sequence[dt.datetime], points: Sequence[tuple[dt.datetime, Pair]]) -> list[float]:
    """Where moments are between the first point and the last; those outside are left out.

    What a guard does comes a minute or two after the last one that it knew.
    """
    if len(points) < 2:
        return []
    first, last = points[0][0], points[-1][0]
    shown = [moment for moment in moments if first <= moment <= last + 3 * _MINUTE]
    return [min(1.0, (moment - first) / (last - first)) for moment in shown]


def _moment(moment: dt.datetime, pair: Pair, whole: Pair) -> Moment:
    values = tuple(
        (wording.value_words(measure, found[0]), wording.value_words(measure, found[1]))
        for measure in Measure
        for found in [_value(measure, pair, whole)]
    )
    return Moment(moment, (int(pair[0].asked), int(pair[1].asked)), values)


def _window(points: Sequence[tuple[dt.datetime, Pair]]) -> str:
    if not points:
        return ""
    first, last = points[0][0].astimezone(dt.UTC), points[-1][0].astimezone(dt.UTC)
    day = f"{first:%d %b} " if first.date() != last.date() else ""
    return f"{day}{first:%H:%M} to {last:%H:%M} UTC"


def _verdict(found: Sequence[Finding], *, running: bool) -> tuple[str, str]:
    strong = [finding.measure.label.lower() for finding in found if finding.is_breach]
    if strong:
        return f"Worse: {', '.join(strong)}", "failed"
    if not found:
        return "Nothing is watched", "archived"
    if not any(finding.enough for finding in found):
        return "Too few calls to say", "archived"
    some = [finding.measure.label.lower() for finding in found if wording.tone_of(finding) == "draft"]
    if some:
        return f"Some sign: {', '.join(some)}", "draft"
    return ("No sign of harm" if running else "No sign of harm while it ran"), "live"


def _guard_words(chosen: Chosen) -> str:
    watched = [measure.label.lower() for measure in chosen.settings.tolerances]
    if not watched:
        return "Nothing is watched."
    several = f"{', '.join(watched[:-1])} and {watched[-1]}" if len(watched) > 1 else watched[0]
    return f"Watches {several}. On a breach: {chosen.on_breach.effect}."


def _ratio_words(here: Standing, ratio: Ratio | None) -> str:
    if ratio is None and not here.running:
        return ""
    if ratio is None:
        return f"Whether {here.units} come in the share that was set: not known. It is, once an hour has passed since the last move in which they were counted."
    found = f"{100 * ratio.found:.1f} % of about {ratio.units:,} {here.units} were on version {here.rollout.to_version}"
    if ratio.is_off:
        chance = wording.chance_words(ratio.evidence)
        return f"{found}, where {share_words(here.share)} were set: {chance} by chance. Trust no comparison before this is found."
    return f"{found}; {share_words(here.share)} were set."


def form_values(chosen: Chosen) -> Mapping[str, object]:
    """The form of the guards as things stand."""
    return {
        "on_breach": chosen.on_breach.value,
        "least_calls": chosen.settings.least_calls,
        "revision": chosen.revision,
        **{
            measure.value: f"{tolerance:g}" if (tolerance := chosen.settings.tolerances.get(measure)) else ""
            for measure in Measure
        },
    }
