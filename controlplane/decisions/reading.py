"""Brings recorded calls from the store into a bounded table: a chore of the worker, every half minute.

What it costs: one listing of an hour's batches each time, two at the turn of an hour. Batches may be read by any number of
workers at once: the row of a batch is the lock, and goes with its calls in one transaction.

What is read was written by whoever can write to the store. A batch is read up to a size, a call that is not what it should be
is passed over and counted, and a batch that cannot be read is noted and not tried again.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from controlplane.db import now, transaction
from controlplane.decisions.models import RecordedBatch, RecordedCall, RecordedLook, ReplayAlarm
from controlplane.runtime import decisions
from controlplane.runtime.decisions import Batch, Decision
from controlplane.runtime.errors import StoreError
from controlplane.runtime.stores.base import ObjectMismatchError, ObjectMissingError, ObjectTooLargeError
from controlplane.runtime.stores.decisions import DecisionLog

LARGEST_BATCH: Final = 8 * 1024 * 1024
MOST_BATCHES: Final = 200
"""Of one hour, read in one turn; what is left waits for the next. A process writes one each half minute at most, as a rule."""
_MOST_FAILURES: Final = 3
"""Batches in a row that the store does not give, after which it is left alone until the next turn."""
_HOUR: Final = dt.timedelta(hours=1)
_LATE: Final = dt.timedelta(minutes=5)
"""A batch may be written so long after its hour, by a clock that is behind or a store that is slow."""
_AHEAD: Final = dt.timedelta(minutes=5)
_FARTHEST_BACK: Final = 48
"""Hours that are looked at after a time without a worker."""


@dataclass(frozen=True)
class Bounds:
    """How much is kept of each environment: nothing older, and no more calls than this, the newest."""

    days: int = 7
    rows: int = 50_000

    @property
    def age(self) -> dt.timedelta:
        """How old a call may become."""
        return dt.timedelta(days=self.days)


def read_recorded(
    engine: Engine,
    store: DecisionLog,
    environment: str,
    bounds: Bounds,
    *,
    clock: Callable[[], dt.datetime] = now,
) -> int:
    """Read what is new, forget what is too old; return how many calls were read. Raises what the store raises."""
    at = clock()
    with transaction(engine) as session:
        look = session.get(RecordedLook, environment)
        since = look.looked_at if look else at - _FARTHEST_BACK * _HOUR
        cleaned_at = look.cleaned_at if look else None
    found, all_read, refused = 0, True, None
    try:
        for hour in _hours(since, at, bounds):
            new, rest = _unread(engine, store, environment, hour)
            read, problem = _read_all(engine, store, environment, hour, new, at, bounds)
            found, refused = found + read, refused or problem
            all_read = all_read and not rest and problem is None
    finally:  # how long calls are kept does not hang on a store that answers
        with transaction(engine) as session:
            _trim(session, environment, at, bounds)
    is_clean = cleaned_at is not None and at - _HOUR < cleaned_at <= at
    with transaction(engine) as session:
        _note(session, environment, at if all_read else since, cleaned_at if cleaned_at and is_clean else at)
    # Noted before: a store that lets nothing be deleted is asked once an hour, and hides nothing new.
    if not is_clean:
        _clean_store(store, environment, at, bounds)
    if refused is not None:
        raise refused
    return found


def hour_of(at: dt.datetime) -> dt.datetime:
    """Return the hour in which a moment is."""
    return at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def _hours(since: dt.datetime, at: dt.datetime, bounds: Bounds) -> Iterator[dt.datetime]:
    """Yield the hours in which something new may be, the oldest first."""
    back = min(_FARTHEST_BACK, 24 * bounds.days)
    first = max(hour_of(min(since, at) - _LATE), hour_of(at) - back * _HOUR)
    while first <= hour_of(at + _LATE):
        yield first
        first += _HOUR


def _unread(
    engine: Engine, store: DecisionLog, environment: str, hour: dt.datetime
) -> tuple[list[str], bool]:
    names = set(store.list_decisions(environment, hour))
    if not names:
        return [], False
    with transaction(engine) as session:
        known = session.scalars(
            select(RecordedBatch.name).where(
                RecordedBatch.environment == environment, RecordedBatch.hour == hour
            )
        )
        new = sorted(names - set(known))
    return new[:MOST_BATCHES], len(new) > MOST_BATCHES


def _read_all(
    engine: Engine,
    store: DecisionLog,
    environment: str,
    hour: dt.datetime,
    names: Sequence[str],
    at: dt.datetime,
    bounds: Bounds,
) -> tuple[int, StoreError | None]:
    """Read these batches; return how many calls, and why the store kept one back: it does not hide those after it."""
    found, in_a_row = 0, 0
    problem: StoreError | None = None
    for name in names:
        try:
            found += _read_one(engine, store, environment, hour, name, at, bounds)
        except StoreError as refused:
            problem, in_a_row = problem or refused, in_a_row + 1
            if in_a_row >= _MOST_FAILURES:
                raise
        else:
            in_a_row = 0
    return found, problem


def _read_one(
    engine: Engine,
    store: DecisionLog,
    environment: str,
    hour: dt.datetime,
    name: str,
    at: dt.datetime,
    bounds: Bounds,
) -> int:
    batch, problem = None, None
    try:
        batch = decisions.read(store.read_decisions(environment, hour, name, limit=LARGEST_BATCH))
        if batch.header.environment != environment:
            batch, problem = None, "It is of another environment."
    except ObjectMissingError:
        return 0  # cleaned up since it was listed
    except (ValueError, ObjectMismatchError, ObjectTooLargeError) as refused:
        problem = f"It cannot be read: {refused}"[:500].replace("\x00", "?")
    with transaction(engine) as session:
        return keep(session, environment, hour, name, batch, problem=problem, at=at, bounds=bounds)


def keep(
    session: Session,
    environment: str,
    hour: dt.datetime,
    name: str,
    batch: Batch | None,
    *,
    at: dt.datetime,
    bounds: Bounds,
    problem: str | None = None,
) -> int:
    """Keep a batch and its calls unless that was done already; return how many calls. None is a batch that nobody can read."""
    good = [] if batch is None else [each for each in batch.decisions if _is_kept(each, at, bounds)]
    row = upsert(RecordedBatch).values(
        environment=environment,
        hour=hour,
        name=name,
        read_at=at,
        process=batch and batch.header.process.replace("\x00", "?"),
        rate=batch and batch.header.rate,
        calls=len(good),
        unreadable=0 if batch is None else batch.unreadable + len(batch.decisions) - len(good),
        dropped=0 if batch is None else batch.header.dropped,
        problem=problem,
    )
    written = session.scalar(row.on_conflict_do_nothing().returning(RecordedBatch.name))
    if written is None or batch is None or not good:
        return 0  # another worker was quicker, or there is nothing in it
    session.execute(
        insert(RecordedCall), [_row(environment, batch.header.rate, decision) for decision in good]
    )
    return len(good)


def _is_kept(decision: Decision, at: dt.datetime, bounds: Bounds) -> bool:
    """Say whether a call is of a time that is kept, and can be kept at all: no text column holds a NUL."""
    return "\x00" not in decision.interaction and at - bounds.age <= decision.at <= at + _AHEAD


def _row(environment: str, rate: float, decision: Decision) -> dict[str, Any]:
    return {
        "environment": environment,
        "at": decision.at,
        "interaction": decision.interaction,
        "rate": rate,
        "has_values": bool(decision.parameters),
        "document": decisions.encode(decision),
    }


def _trim(session: Session, environment: str, at: dt.datetime, bounds: Bounds) -> None:
    calls = RecordedCall.environment == environment
    session.execute(delete(RecordedCall).where(calls, RecordedCall.at < at - bounds.age))
    last = session.scalar(
        select(RecordedCall.id).where(calls).order_by(RecordedCall.id.desc()).offset(bounds.rows).limit(1)
    )
    if last is not None:
        session.execute(delete(RecordedCall).where(calls, RecordedCall.id <= last))
    # Longer than the store has the batches, or one would be read twice.
    session.execute(
        delete(RecordedBatch).where(
            RecordedBatch.environment == environment,
            RecordedBatch.hour < at - bounds.age - _FARTHEST_BACK * _HOUR,
        )
    )
    session.execute(
        delete(ReplayAlarm).where(
            ReplayAlarm.environment == environment, ReplayAlarm.last_at < at - bounds.age
        )
    )


def _clean_store(store: DecisionLog, environment: str, at: dt.datetime, bounds: Bounds) -> None:
    for hour in list(store.list_decision_hours(environment)):
        # A process whose clock was years ahead wrote where nobody will look, and nothing is kept for ever.
        if hour + _HOUR <= at - bounds.age or hour > at + bounds.age:
            store.delete_decisions(environment, hour, list(store.list_decisions(environment, hour)))


def _note(session: Session, environment: str, looked_at: dt.datetime, cleaned_at: dt.datetime) -> None:
    row = upsert(RecordedLook).values(environment=environment, looked_at=looked_at, cleaned_at=cleaned_at)
    session.execute(
        row.on_conflict_do_update(
            index_elements=["environment"],
            set_={"looked_at": row.excluded.looked_at, "cleaned_at": row.excluded.cleaned_at},
        )
    )
