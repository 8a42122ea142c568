"""Writes what happened in each minute from what processes count since they began: part of the look at the heartbeats.

It runs inside the transaction of that look, whose row of the environment is the lock: of several workers one adds at a time,
and what was added already is known by what each process had counted then. A restarted process is another process, and begins
at nought; one that vanished leaves what it had told. One that was never read and is older than `NEW` has an unknown part of
its counts in the past: it is taken note of, and only what comes then is counted.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from sqlalchemy import delete, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.configurations.models import ConfigurationVersion
from controlplane.health.models import HealthLookups, HealthMinute, HealthSource
from controlplane.health.reading import Counts, Lookups, Subject, Told, read
from controlplane.registry.models import Interaction, Tier

KEPT: Final = dt.timedelta(days=14)
NEW: Final = dt.timedelta(minutes=5)
"""One that began so lately and was not read yet has counted nothing that belongs elsewhere."""
FORGOTTEN: Final = dt.timedelta(hours=1)
"""For so long is it known what a silent process had counted."""
SAID_AGAIN: Final = dt.timedelta(minutes=5)
"""How exactly it is known when a process was last read."""
_UNNAMED: Final = frozenset({"", "unknown", "other"})


def minute_of(at: dt.datetime) -> dt.datetime:
    """The minute that a moment is in."""
    return at.replace(second=0, microsecond=0)


def add(session: Session, environment: str, heartbeats: Mapping[str, bytes], at: dt.datetime) -> None:
    """Add what processes have counted since they were last read to the minute of `at`."""
    known = {
        row.process: row
        for row in session.scalars(select(HealthSource).where(HealthSource.environment == environment))
    }
    allowed = _Allowed(session, (_subject_of(each) for row in known.values() for each in row.counts))
    counted: dict[Subject, Counts] = {}
    lookups = Lookups()
    for process, data in heartbeats.items():
        told = read(data)
        if told is None:
            continue
        counts = {subject: each for subject, each in told.counts.items() if allowed.has(subject)}
        row = known.get(process)
        before = _Before.of(row) if row is not None else _Before.of_one_that_is_new(told, at)
        if before is not None:
            lookups = lookups.plus(told.lookups.since(before.lookups))
            for subject, now in counts.items():
                then = before.counts.get(subject)
                if then is None and not before.whole:
                    continue  # it may have been left out, with any number of calls
                counted[subject] = counted.get(subject, Counts()).plus(now.since(then or Counts()))
        _keep(session, environment, process, row, counts, told, at)
    for process, row in known.items():
        if process not in heartbeats and row.heard_at < at - FORGOTTEN:
            session.delete(row)
    session.flush()
    _write(session, environment, minute_of(at), counted, lookups)


def prune(session: Session, environment: str, at: dt.datetime) -> None:
    """Forget the minutes that are older than `KEPT`."""
    for table in (HealthMinute, HealthLookups):
        session.execute(delete(table).where(table.environment == environment, table.minute < at - KEPT))


class _Allowed:
    """Names that the registry knows, so that nobody's heartbeat can fill the tables with names of its own.

    Those that were kept before were known then; the registry is asked when there are others.
    """

    def __init__(self, session: Session, kept: Iterable[Subject]) -> None:
        self._session = session
        self._kept = frozenset(kept)

    def has(self, subject: Subject) -> bool:
        if subject in self._kept:
            return True
        tier, _, rest = subject.row.partition("/")
        is_row = rest in {"*", "tenant"} and (tier == "default" or tier in self._names["tier"])
        return (
            subject.interaction in self._names["interaction"]
            and subject.tier in self._names["tier"]
            and (is_row or subject.row in _UNNAMED or subject.row == "environment")
            and subject.version <= self._newest
        )

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        kinds = [select(literal(name), code) for name, code in _NAMED.items()]
        rows = self._session.execute(union_all(*kinds)).all()
        return {name: _UNNAMED | {code for kind, code in rows if kind == name} for name in _NAMED}

    @cached_property
    def _newest(self) -> int:
        return self._session.scalar(select(func.max(ConfigurationVersion.number))) or 0


_NAMED: Final = {"interaction": Interaction.code, "tier": Tier.code}


class _Before:
    """What a process had counted at the last reading."""

    def __init__(self, counts: Mapping[Subject, Counts], lookups: Lookups, *, whole: bool) -> None:
        self.counts = counts
        self.lookups = lookups
        self.whole = whole

    @classmethod
    def of(cls, row: HealthSource) -> "_Before":
        times, hits, misses = row.lookups
        return cls(_unpacked(row.counts), Lookups(tuple(times), hits, misses), whole=row.whole)

    @classmethod
    def of_one_that_is_new(cls, told: Told, at: dt.datetime) -> "_Before | None":
        """Nothing, when it has just begun; None when nobody knows what of its counts came before now.

        By the process's own clock, for how long it runs; that clock may be off.
        """
        if told.started_at is None or told.written_at is None:
            return None
        runs_for = told.written_at - told.started_at
        is_new = dt.timedelta() <= runs_for < NEW and abs(at - told.written_at) < NEW
        return cls({}, Lookups(), whole=True) if is_new else None


def _keep(
    session: Session,
    environment: str,
    process: str,
    row: HealthSource | None,
    counts: Mapping[Subject, Counts],
    told: Told,
    at: dt.datetime,
) -> None:
    lookups = told.lookups
    if row is None:
        row = HealthSource(environment=environment, process=process)
        session.add(row)
        merged = dict(counts)
    else:
        before = _Before.of(row)
        lookups = lookups.or_later(before.lookups)
        merged = dict(before.counts)
        for subject, each in counts.items():
            merged[subject] = each.or_later(merged.get(subject, Counts()))
    # As JSON gives them back, so that a process which counted nothing new is not written again.
    row.counts = [[*subject, *each[:-1], list(each.times)] for subject, each in merged.items()]
    row.lookups = [list(lookups.times), lookups.hits, lookups.misses]
    row.whole = told.whole
    if row.heard_at is None or abs(at - row.heard_at) > SAID_AGAIN:
        row.heard_at = at


def _unpacked(counts: list[Any]) -> dict[Subject, Counts]:
    wide = len(Subject._fields)
    return {
        _subject_of(each): Counts._make([*each[wide:-1], tuple(each[-1])])  # what JSON gives back are lists
        for each in counts
    }


def _subject_of(counts: list[Any]) -> Subject:
    return Subject(*counts[: len(Subject._fields)])


def _write(
    session: Session,
    environment: str,
    minute: dt.datetime,
    counted: Mapping[Subject, Counts],
    lookups: Lookups,
) -> None:
    """Add to what the minute has already; nobody else adds to it in the meantime."""
    counted = {subject: counts for subject, counts in counted.items() if counts != Counts()}
    if counted:
        _write_counts(session, environment, minute, counted)
    if lookups != Lookups():
        total = session.get(HealthLookups, (environment, minute))
        if total is None:
            total = HealthLookups(environment=environment, minute=minute, times=[], hits=0, misses=0)
            session.add(total)
        else:
            lookups = lookups.plus(Lookups(tuple(total.times), total.hits, total.misses))
        total.times, total.hits, total.misses = list(lookups.times), lookups.hits, lookups.misses
    session.flush()


def _write_counts(
    session: Session, environment: str, minute: dt.datetime, counted: Mapping[Subject, Counts]
) -> None:
    here = (HealthMinute.environment == environment, HealthMinute.minute == minute)
    rows = {
        Subject(row.interaction, row.tier, row.row, row.version): row
        for row in session.scalars(select(HealthMinute).where(*here))
    }
    fresh = []
    for subject, counts in counted.items():
        row = rows.get(subject)
        if row is None:
            fresh.append(
                {
                    "environment": environment,
                    "minute": minute,
                    **subject._asdict(),
                    **counts._asdict(),
                    "times": list(counts.times),
                }
            )
            continue
        for name, value in counts_of(row).plus(counts)._asdict().items():
            setattr(row, name, list(value) if name == "times" else value)
    if fresh:
        session.execute(insert(HealthMinute), fresh)


def counts_of(row: HealthMinute) -> Counts:
    """What a row of a minute holds."""
    named = {name: getattr(row, name) for name in Counts._fields}
    return Counts(**{**named, "times": tuple(row.times)})
