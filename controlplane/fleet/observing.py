"""Brings the table of processes up to date with their heartbeats: a chore of the worker, every two seconds.

What it costs: two seconds after two seconds one small read of the pointer and one row of Postgres. The heartbeats themselves
are read every ten seconds, and every two while a release is on its way to the processes. A process's row is written when it
was heard again, so once for each of its beats.

Times of other hosts are taken as they are told, but never as later than now: arrivals cannot lie in the future. From a process
whose clock is minutes off no time is taken: what it says began when that was first seen here.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from sqlalchemy import Engine, case, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.db import now, transaction
from controlplane.fleet.heartbeats import Beat, moment, read
from controlplane.fleet.models import Arrival, Observation, Process
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.base import Pointer, PointerUnreadableError, is_process
from controlplane.units.gathering import gather

BEATS_MISSED: Final = 6
"""So many may be missed before a process no longer counts: for as long does a store keep a heartbeat."""
CALM: Final = dt.timedelta(seconds=10)
ARRIVING: Final = dt.timedelta(minutes=2)
"""For so long after the store names another release the heartbeats are read every time."""
SHOWN_GONE: Final = dt.timedelta(minutes=15)
KEPT_RELEASES: Final = 200
"""Of so many releases back it is kept when they arrived where."""
CLOCK_OFF: Final = dt.timedelta(minutes=2)
"""A heartbeat that says it was written so long before or after now was written by a clock that is wrong."""
SET_BACK: Final = dt.timedelta(minutes=10)
"""The last look lies so far ahead of now: this clock was set back, and that look counts no more."""
_LARGEST: Final = 2**31 - 1


def observe(
    engine: Engine,
    store: ReleaseStore,
    environment: str,
    *,
    clock: Callable[[], dt.datetime] = now,
) -> None:
    """Read the heartbeats of an environment if that is due; raises what the store raises."""
    at = clock()
    pointer = _pointer(store, environment)
    with transaction(engine) as session:
        if not _is_due(session, environment, pointer, at):
            return
    found = sorted(store.read_heartbeats(environment).items())
    beats = {process: read(process, data) for process, data in found if is_process(process)}
    with transaction(engine) as session:
        # The row is the lock: of two workers the one that looked earlier must not write over the other.
        if _note(session, environment, pointer, at):
            _keep(session, environment, beats, clock())
            gather(session, environment, (data for _, data in found), clock())


def _pointer(store: ReleaseStore, environment: str) -> Pointer | None:
    try:
        pointer = store.read_pointer(environment)
    except PointerUnreadableError:
        return None
    # A number that no column holds is nobody's release; the exporter says what is wrong with it.
    return pointer if pointer is not None and pointer.release <= _LARGEST else None


def _is_due(session: Session, environment: str, pointer: Pointer | None, at: dt.datetime) -> bool:
    last = session.get(Observation, environment)
    if last is None or not at - CALM < last.observed_at <= at + SET_BACK:
        return True
    if pointer is None:
        return False
    if (last.release, last.sha256) != (pointer.release, pointer.sha256):
        return True
    is_new = last.named_at is not None and last.named_at > at - ARRIVING
    return is_new and _somebody_waits(session, environment, pointer)


def _somebody_waits(session: Session, environment: str, pointer: Pointer) -> bool:
    waits = exists().where(
        Process.environment == environment,
        Process.gone_at.is_(None),
        or_(
            Process.release.is_distinct_from(pointer.release),
            Process.sha256.is_distinct_from(pointer.sha256),
            Process.held_back > 0,
        ),
    )
    return bool(session.scalar(select(waits)))


def _note(session: Session, environment: str, pointer: Pointer | None, at: dt.datetime) -> bool:
    """Say when this was looked at; False when somebody looked later already."""
    fresh = insert(Observation).values(
        environment=environment,
        observed_at=at,
        release=pointer and pointer.release,
        sha256=pointer and pointer.sha256,
        named_at=at if pointer else None,
    )
    same = Observation.release.is_not_distinct_from(fresh.excluded.release)
    written = session.scalar(
        fresh.on_conflict_do_update(
            index_elements=["environment"],
            set_={
                "observed_at": at,
                "release": fresh.excluded.release,
                "sha256": fresh.excluded.sha256,
                "named_at": case((same, Observation.named_at), else_=fresh.excluded.named_at),
            },
            where=or_(Observation.observed_at < at, Observation.observed_at > at + SET_BACK),
        ).returning(Observation.environment)
    )
    return written is not None


def _keep(session: Session, environment: str, beats: Mapping[str, Beat], at: dt.datetime) -> None:
    known = {
        row.process: row for row in session.scalars(select(Process).where(Process.environment == environment))
    }
    arrived: list[Process] = []
    for process, beat in beats.items():
        row = known.get(process)
        before = _serves(row) if row else None
        if row is None:
            row = Process(environment=environment, process=process, first_seen_at=at, heard_at=at)
            session.add(row)
        _bring_up(row, beat, at)
        if _serves(row) not in {before, None}:
            arrived.append(row)
    for process, row in known.items():
        if process not in beats:
            _tell_gone(session, row, at)
    session.flush()
    _keep_arrivals(session, environment, arrived, at)


def _serves(row: Process) -> tuple[int, str | None] | None:
    """Return what a process serves whole; None while it serves nothing, or entries of the release before."""
    return None if row.release is None or row.held_back else (row.release, row.sha256)


def _bring_up(row: Process, beat: Beat, at: dt.datetime) -> None:
    changed = (row.release, row.sha256) != (beat.release, beat.sha256)
    if row.beat != beat.beat:
        row.heard_at = at
    told = dict(vars(beat))
    started_at, serving_since = (None, None) if _is_off(beat, at) else (beat.started_at, beat.serving_since)
    told["started_at"] = min(started_at or row.first_seen_at, at)
    # One that does not tell since when has had it since this was seen first.
    told["serving_since"] = min(serving_since or (at if changed else row.serving_since) or at, at)
    if beat.release is None:
        told["serving_since"] = None
    for name, value in told.items():
        setattr(row, name, value)
    is_silent = at - row.heard_at > BEATS_MISSED * dt.timedelta(seconds=beat.interval_seconds)
    row.gone_at = (row.gone_at or at) if is_silent else None


def _is_off(beat: Beat, at: dt.datetime) -> bool:
    """Say whether the clock of a process is so wrong that no time of its tells anything. One that beats seldom is older."""
    written_at = moment(beat.beat)
    older = dt.timedelta(seconds=beat.interval_seconds)
    return written_at is not None and not at - CLOCK_OFF - older < written_at < at + CLOCK_OFF


def _tell_gone(session: Session, row: Process, at: dt.datetime) -> None:
    if row.gone_at is None:
        row.gone_at = at
    elif row.gone_at < at - SHOWN_GONE:
        session.delete(row)


def _keep_arrivals(session: Session, environment: str, arrived: Iterable[Process], at: dt.datetime) -> None:
    rows = [
        {
            "environment": environment,
            "release": row.release,
            "process": row.process,
            "started_at": row.started_at,
            "arrived_at": row.serving_since or at,
        }
        for row in arrived
        if row.release is not None
    ]
    if not rows:
        return
    session.execute(insert(Arrival).values(rows).on_conflict_do_nothing())
    oldest = max(row["release"] for row in rows) - KEPT_RELEASES  # type: ignore[type-var, operator]
    session.execute(delete(Arrival).where(Arrival.environment == environment, Arrival.release < oldest))
