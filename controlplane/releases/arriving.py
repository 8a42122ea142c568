"""How a release arrives at the processes that serve it, in the words of its page."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from controlplane.fleet.standing import Arrivals, Confirmation, Straggler, Summary, confirmation
from controlplane.releases.models import Release
from controlplane.releases.steps import Export

WATCHED: Final = dt.timedelta(minutes=2)
"""For so long after the pointer moved a page waits for those that are missing; then it says who they are and ends."""
UNSEEN: Final = dt.timedelta(seconds=30)
"""When the processes were last looked at longer ago, somebody should look at the worker."""
USUAL_POLL: Final = 5.0
"""Seconds between two looks of a process that does not tell; what a client does unless told otherwise."""
_TO_LOAD: Final = 1.0
_SHOWN: Final = 50


@dataclass(frozen=True)
class StragglerView:
    """A process that is not there yet: what it serves, since when, and why as far as it knows."""

    process: str
    words: str
    serving_since: dt.datetime | None
    heard_at: dt.datetime
    problem: str | None


@dataclass(frozen=True)
class ArrivalView:
    """How many processes confirm a release, who does not, and how long it took.

    `watching`: somebody may still be waited for, so a page that shows this should look again.
    """

    tone: str
    label: str
    sentence: str
    behind: list[StragglerView]
    more_behind: int
    times: str | None
    certain_by: dt.datetime | None
    watching: bool


def arrival_view(session: Session, release: Release, export: Export, at: dt.datetime) -> ArrivalView | None:
    """Return how a release arrives as of `at`; None before the stores have it."""
    if export.live_at is None:
        return None
    found = confirmation(
        session,
        release.environment,
        release.number,
        release.snapshot_sha256,
        made_at=release.created_at,
    )
    times = _times(found.arrival)
    if export.by is not None:
        return _was_live(export.by, times)
    certain_by = export.live_at + dt.timedelta(seconds=(found.poll_seconds or USUAL_POLL) + _TO_LOAD)
    tone, label, sentence, watching = _standing(found, export.live_at, certain_by, at)
    behind = [*found.stragglers, *found.partly]
    return ArrivalView(
        tone=tone,
        label=label,
        sentence=sentence,
        behind=[_straggler(each, release.number) for each in behind[:_SHOWN]],
        more_behind=max(0, len(behind) - _SHOWN),
        times=times,
        # Of those who tell it is known; the others are certain by then, so it stays told where nobody tells.
        certain_by=certain_by if not found.total or (at < certain_by and not found.is_complete) else None,
        watching=watching,
    )


def confirmed_words(found: Summary, number: int) -> str | None:
    """Return "12 of 12" of the release that the store names; None of another, or where no process tells of itself."""
    if found.release != number or not found.total:
        return None
    return f"{found.confirmed} of {found.total}"


def _standing(
    found: Confirmation, live_at: dt.datetime, certain_by: dt.datetime, at: dt.datetime
) -> tuple[str, str, str, bool]:
    """Return tone, label, sentence and whether to look again."""
    watched = at < live_at + WATCHED
    seen = found.observed_at
    if seen is None or seen < at - UNSEEN:
        since = "yet" if seen is None else f"since {seen:%H:%M:%S} UTC"
        sentence = (
            f"Nobody has looked at the processes {since}: the worker does not run, or cannot read the store."
        )
        return "differs", "Not known", sentence, watched
    if not found.total:
        sentence = (
            "No process tells of itself. Whoever runs and reaches the store takes it up at its next look."
        )
        return "neutral", "Nobody tells", sentence, at < certain_by
    label = f"{found.confirmed} of {_processes(found.total)} confirmed"
    later = f" {_processes(found.later)} already {_verb(found.later, 'serves', 'serve')} a later release."
    if found.is_complete:
        return (
            "live",
            label,
            f"Every process that tells of itself serves exactly this.{later if found.later else ''}",
            False,
        )
    if watched:
        others = "take it up when they next look at the store" if at < certain_by else "should have it by now"
        return "rolling", label, f"The others {others}.", True
    missing = len(found.stragglers)
    sentence = f"{_processes(missing)} {_verb(missing, 'is', 'are')} missing." if missing else ""
    if found.partly:
        sentence += (
            f" {_processes(len(found.partly))} {_verb(len(found.partly), 'serves', 'serve')} it in part."
        )
    return "failed", label, sentence.strip(), False


def _was_live(by: int, times: str | None) -> ArrivalView | None:
    if times is None:
        return None
    sentence = (
        f"How long it took while it was live; what runs now serves release {by} or is on its way there."
    )
    return ArrivalView("archived", "Had arrived", sentence, [], 0, times, None, watching=False)


def _times(arrival: Arrivals | None) -> str | None:
    if arrival is None:
        return None
    parts = (("p50", arrival.p50), ("p95", arrival.p95), ("p99", arrival.p99))
    figures = " · ".join(f"{name} {_seconds(value)}" for name, value in parts)
    return f"{figures}, from its making until {_processes(arrival.count)} served it"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 120 else f"{value / 60:,.0f} min"


def _straggler(each: Straggler, number: int) -> StragglerView:
    if each.release is None:
        words = "has nothing to serve yet"
    elif each.held_back and each.release == number:
        entries = "1 entry" if each.held_back == 1 else f"{each.held_back} entries"
        words = f"confirmed but for {entries}, kept as the release before had {'it' if each.held_back == 1 else 'them'}"
    elif each.release == number:
        words = f"serves other content as release {number}"
    elif each.refused:
        words = f"refused it and serves release {each.release}"
    else:
        words = f"serves release {each.release}"
    return StragglerView(each.process, words, each.serving_since, each.heard_at, each.problem)


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
