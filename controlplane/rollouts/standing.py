"""How rollouts stand: the story from their own table, everything else derived from the live entries.

A release of any kind can take a rollout's variants out of the live entry, a rollback can bring them back. So a rollout
runs exactly when the live entry has its baseline first and its candidate beside it, whatever its row says; the row
follows at the next move. Other candidates in the same entry are rollouts of their own.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Final

from sqlalchemy import ColumnElement, Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from controlplane.configurations.documents import place_of
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.db import Json
from controlplane.errors import NotFound
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.rollouts.documents import share_of, versions_of
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.wording import units_of
from controlplane.runtime import canonical
from controlplane.runtime.entries import ANY, DEFAULT_TIER

_LARGEST = 2**31 - 1
_Rows = Select[Rollout, Configuration, dt.datetime | None]


class State(StrEnum):
    """How a rollout stands."""

    RUNNING = "running"
    FINISHED = "finished"
    ABORTED = "aborted"
    PASSED_OVER = "passed_over"  # another candidate of the same configuration took over

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return {"running": "rolling", "finished": "live"}.get(self.value, "archived")

    @property
    def label(self) -> str:
        """As on its chip."""
        return _LABELS[self]


_LABELS: Final = {
    State.RUNNING: "Rolling out",
    State.FINISHED: "Finished",
    State.ABORTED: "Aborted",
    State.PASSED_OVER: "Not chosen",
}


@dataclass(frozen=True)
class Live:
    """One live entry with the release that last touched it; without a document, the release that took it away, or 0."""

    document: Json | None
    release: int


@dataclass(frozen=True)
class Step:
    """One release that changed an entry: what it held from then on (None: it was taken away)."""

    release: int
    at: dt.datetime
    by: str
    document: Json | None


@dataclass(frozen=True)
class Standing:
    """One rollout as it stands, by what was and is live."""

    rollout: Rollout
    configuration: Configuration
    state: State
    first: Step  # the release that began it
    last: Step  # the newest release in which it runs
    moved: Step  # the newest one that gave it the share it has, or had: others may have moved since
    end: Step | None  # the release after that, when it is over
    releases: tuple[int, ...]  # all that began, moved or ended it

    @property
    def number(self) -> int:
        """Its number."""
        return self.rollout.number

    @property
    def place(self) -> Place:
        """The configuration it moves."""
        return place_of(self.configuration)

    @property
    def running(self) -> bool:
        """Whether the live entry has both versions."""
        return self.state is State.RUNNING

    @property
    def paused(self) -> bool:
        """Whether it runs and is held where it is."""
        return self.running and self.rollout.paused_at is not None

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return "paused" if self.paused else self.state.tone

    @property
    def document(self) -> Json:
        """The entry with both versions, as it is or last was."""
        return self.last.document or {}

    @property
    def share(self) -> int:
        """The newer version's buckets, now or when it ended."""
        return share_of(self.last.document, self.rollout.to_version)

    @property
    def others(self) -> dict[int, int]:
        """The other candidates beside it with their shares, now or when it ended."""
        versions = versions_of(self.last.document)[1:]
        return {
            version: share_of(self.last.document, version)
            for version in versions
            if version != self.rollout.to_version
        }

    @property
    def units(self) -> str:
        """What is bucketed, in the plural."""
        return units_of(self.last.document)

    @property
    def label(self) -> str:
        """The chip's words."""
        if self.paused:
            return f"Paused at {share_words(self.share)}"
        return f"{self.state.label} {share_words(self.share)}" if self.running else self.state.label

    @property
    def sentence(self) -> str:
        """What people get, or what became of it."""
        newer, older = f"version {self.rollout.to_version}", f"version {self.rollout.from_version}"
        if self.state is State.FINISHED:
            return f"Finished: {newer} took over for everyone."
        if self.state is State.ABORTED:
            return f"Aborted at {share_words(self.share)}: nobody is on {newer} by this rollout."
        if self.state is State.PASSED_OVER:
            chosen = versions_of(self.end.document)[0] if self.end else 0
            return f"Not chosen: version {chosen} took over for everyone."
        parts = [f"{newer.capitalize()} for {share_words(self.share)} of {self.units}"]
        parts += [f"version {version} for {share_words(share)}" for version, share in self.others.items()]
        return f"{', '.join(parts)}, {older} for the rest."


def live_entry(session: Session, environment: str, key: str) -> Live:
    """One live entry with the release it is from: in one query, so that the two belong together."""
    query = select(ReleaseEntry.document, ReleaseEntry.valid_from).where(
        ReleaseEntry.environment == environment, ReleaseEntry.key == key, ReleaseEntry.valid_to.is_(None)
    )
    found = session.execute(query).one_or_none()
    if found is not None:
        return Live(canonical.loads(found.document), found.valid_from)
    ended = select(func.max(ReleaseEntry.valid_to)).where(
        ReleaseEntry.environment == environment, ReleaseEntry.key == key
    )
    return Live(None, session.scalar(ended) or 0)


def get_standing(session: Session, environment: str, number: int) -> Standing:
    """One rollout of an environment; raises `NotFound`."""
    # An address may hold any number; one that fits no column names no rollout.
    found = standings(session, environment, _rows(environment).where(Rollout.number == min(number, _LARGEST)))
    if not found:
        raise NotFound("rollout", number)
    return found[0]


def of_numbers(session: Session, environment: str, numbers: Iterable[int]) -> dict[int, Standing]:
    """Several rollouts of an environment by their numbers; those that are none are left out."""
    rows = _rows(environment).where(Rollout.number.in_(sorted(set(numbers))))
    return {each.number: each for each in standings(session, environment, rows)}


def running(session: Session, environment: str) -> list[Standing]:
    """The rollouts that run here, the latest first."""
    several = func.jsonb_array_length(cast(ReleaseEntry.document, JSONB)["variants"]) > 1
    query = _rows(environment).join(
        ReleaseEntry,
        (ReleaseEntry.environment == Rollout.environment)
        & (ReleaseEntry.key == _key())
        & ReleaseEntry.valid_to.is_(None),
    )
    return [each for each in standings(session, environment, query.where(several)) if each.running]


def past(session: Session, environment: str, *, before: int | None = None, limit: int = 25) -> list[Standing]:
    """Rollouts that are over, the latest first; `before` continues a list under this number."""
    query = _rows(environment)
    if before is not None:
        query = query.where(Rollout.number < min(before, _LARGEST))
    still = [each.number for each in running(session, environment)]
    return standings(session, environment, query.where(Rollout.number.not_in(still)).limit(limit))


def current(session: Session, environment: str, configuration: Configuration) -> list[Standing]:
    """The rollouts that run on a configuration, in the order of the live candidates."""
    found = [each for each in of_configuration(session, environment, configuration) if each.running]
    return sorted(found, key=lambda each: versions_of(each.document).index(each.rollout.to_version))


def of_configuration(session: Session, environment: str, configuration: Configuration) -> list[Standing]:
    """Every rollout a configuration has had here, the latest first."""
    query = _rows(environment).where(Rollout.configuration_id == configuration.id)
    return standings(session, environment, query)


def standings(session: Session, environment: str, rows: _Rows) -> list[Standing]:
    """How these rollouts stand: two queries more, however many they are."""
    found = session.execute(rows).all()
    keys = {place_of(configuration).key for _, configuration, _ in found}
    if not found:
        return []
    since = min(rollout.started_at for rollout, _, _ in found)
    histories = _histories(session, environment, keys, since=since)
    each = (
        _standing(rollout, configuration, histories[place_of(configuration).key], successor)
        for rollout, configuration, successor in found
    )
    return [standing for standing in each if standing is not None]


def _standing(
    rollout: Rollout, configuration: Configuration, history: Sequence[Step], successor: dt.datetime | None
) -> Standing | None:
    steps = [
        step
        for step in history
        if step.at >= rollout.started_at and (successor is None or step.at < successor)
    ]
    active = [place for place, step in enumerate(steps) if _runs_in(rollout, step.document)]
    if not active:
        return None  # its first release is being made in this very transaction
    end = next(iter(steps[active[-1] + 1 :]), None)
    state = State.RUNNING
    if end is not None:
        state = _ended(rollout, steps[active[-1]].document, end.document)
    touched = sorted({*active, *(place + 1 for place in active if place + 1 < len(steps))})
    return Standing(
        rollout,
        configuration,
        state,
        first=steps[active[0]],
        last=steps[active[-1]],
        moved=_moved(rollout, [steps[place] for place in active]),
        end=end,
        releases=tuple(steps[place].release for place in touched),
    )


def _moved(rollout: Rollout, steps: Sequence[Step]) -> Step:
    """The release since which its share is what it is at the end of these."""
    share = share_of(steps[-1].document, rollout.to_version)
    same = takewhile(lambda step: share_of(step.document, rollout.to_version) == share, reversed(steps))
    return list(same)[-1]


def _runs_in(rollout: Rollout, document: Json | None) -> bool:
    versions = versions_of(document)
    return versions[:1] == (rollout.from_version,) and rollout.to_version in versions[1:]


def _ended(rollout: Rollout, last: Json | None, end: Json | None) -> State:
    """What became of it, by the baseline that came after."""
    baseline = versions_of(end)[:1]
    if baseline == (rollout.to_version,):
        return State.FINISHED
    chosen = bool(baseline) and baseline[0] in versions_of(last)[1:]
    return State.PASSED_OVER if chosen else State.ABORTED


def _rows(environment: str) -> _Rows:
    """Rollouts with their configurations, the latest first, and when the next one of the same two versions began."""
    # A rollback can bring back the variants of an earlier rollout: they are then that one's again, not a later one's.
    # Asked for each row that is returned, by the index on configurations: a window would sort all that ever ran here.
    later = aliased(Rollout)
    successor = (
        select(later.started_at)
        .where(
            later.environment == Rollout.environment,
            later.configuration_id == Rollout.configuration_id,
            later.from_version == Rollout.from_version,
            later.to_version == Rollout.to_version,
            later.number > Rollout.number,
        )
        .order_by(later.number)
        .limit(1)
        .correlate(Rollout)
        .scalar_subquery()
    )
    return (
        select(Rollout, Configuration, successor)
        .join(Configuration, Configuration.id == Rollout.configuration_id)
        .where(Rollout.environment == environment)
        .order_by(Rollout.number.desc())
    )


def _key() -> ColumnElement[str]:
    """The key of a configuration's entry, as `Place.key` makes it."""
    return func.concat(
        "configuration/",
        Configuration.interaction,
        "/",
        func.coalesce(Configuration.tier, DEFAULT_TIER),
        "/",
        func.coalesce(Configuration.tenant, ANY),
    )


def _histories(
    session: Session, environment: str, keys: Iterable[str], *, since: dt.datetime
) -> Mapping[str, list[Step]]:
    """Every release from this time on that touched one of these keys, by key, in order."""
    wanted = sorted(set(keys))
    # A rollout's first release wrote its entry, so nothing that is older has a part in its story.
    query = (
        select(ReleaseEntry)
        .join(
            Release,
            (Release.environment == ReleaseEntry.environment) & (Release.number == ReleaseEntry.valid_from),
        )
        .where(
            ReleaseEntry.environment == environment,
            ReleaseEntry.key.in_(wanted),
            Release.created_at >= since,
        )
        .order_by(ReleaseEntry.key, ReleaseEntry.valid_from)
    )
    held: dict[str, dict[int, Json | None]] = {key: {} for key in wanted}
    for entry in session.scalars(query.execution_options(populate_existing=True)):
        documents = held[entry.key]
        documents[entry.valid_from] = canonical.loads(entry.document)
        if entry.valid_to is not None:
            documents[entry.valid_to] = None  # until the next row says what came in its place
    numbers = sorted({number for documents in held.values() for number in documents})
    releases = select(Release.number, Release.created_at, Release.author_name).where(
        Release.environment == environment, Release.number.in_(numbers)
    )
    made = {number: (at, by) for number, at, by in session.execute(releases)}
    return {
        key: [Step(number, *made[number], document) for number, document in sorted(documents.items())]
        for key, documents in held.items()
    }
