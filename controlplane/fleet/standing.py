"""How many of the processes serve a release, which do not, and how long it took to arrive."""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from controlplane.fleet.models import Arrival, Observation, Process


@dataclass(frozen=True)
class Straggler:
    """A process that runs and does not serve a release as it is."""

    process: str
    host: str
    release: int | None
    serving_since: dt.datetime | None
    heard_at: dt.datetime
    held_back: int
    refused: bool
    problem: str | None


@dataclass(frozen=True)
class Arrivals:
    """Seconds from the making of a release until processes served it: of so many that ran already when it was made."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Confirmation:
    """How one release stands with the processes that run; `total` is all of these.

    `partly` serve it but for some entries, `later` a later release, `stragglers` an earlier one, other content, or nothing.
    """

    total: int
    confirmed: int
    later: int
    partly: tuple[Straggler, ...]
    stragglers: tuple[Straggler, ...]
    poll_seconds: float | None
    arrival: Arrivals | None = None
    observed_at: dt.datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nobody is waited for, and somebody has it."""
        return self.total > 0 and not self.partly and not self.stragglers


@dataclass(frozen=True)
class Summary:
    """How many of the processes serve what the store names; None: nobody has looked yet."""

    release: int | None
    sha256: str | None
    confirmed: int
    total: int
    observed_at: dt.datetime | None


def confirmation(
    session: Session, environment: str, release: int, sha256: str, *, made_at: dt.datetime | None = None
) -> Confirmation:
    """Return how a release with this content stands; with `made_at`, also how long it took to arrive."""
    counted = count(_running(session, environment), release, sha256)
    seen = session.get(Observation, environment)
    return Confirmation(
        **{name: getattr(counted, name) for name in _COUNTED},
        arrival=_arrivals(session, environment, release, made_at) if made_at else None,
        observed_at=seen.observed_at if seen else None,
    )


_COUNTED = ("total", "confirmed", "later", "partly", "stragglers", "poll_seconds")


def summary(session: Session, environment: str) -> Summary:
    """Return how the release stands that the store names."""
    seen = session.get(Observation, environment)
    if seen is None or seen.release is None:
        return Summary(None, None, 0, 0, seen.observed_at if seen else None)
    confirmed = and_(Process.release == seen.release, Process.sha256 == seen.sha256, Process.held_back == 0)
    query = select(func.count(), func.count().filter(confirmed)).where(
        Process.environment == environment, Process.gone_at.is_(None)
    )
    total, having = session.execute(query).one()
    return Summary(seen.release, seen.sha256, having, total, seen.observed_at)


def oldest_served(session: Session, environment: str) -> int | None:
    """Return the oldest release that a running process says it serves; None where none does."""
    return session.scalar(
        select(func.min(Process.release)).where(Process.environment == environment, Process.gone_at.is_(None))
    )


def processes(session: Session, environment: str) -> Sequence[Process]:
    """Return the processes, those that are gone for a while among them."""
    query = select(Process).where(Process.environment == environment)
    return session.scalars(query.order_by(Process.gone_at.desc().nulls_first(), Process.process)).all()


def count(running: Iterable[Process], release: int, sha256: str) -> Confirmation:
    """Part the processes that run by what they serve.

    Equal content under another number does not count: until a process tells the number, nobody knows that it has looked.
    """
    rows = list(running)
    partly = [row for row in rows if row.release == release and row.held_back]
    confirmed = [row for row in rows if (row.release, row.sha256) == (release, sha256) and not row.held_back]
    later = [row for row in rows if row.release is not None and row.release > release]
    told = {row.process for row in (*partly, *confirmed, *later)}
    return Confirmation(
        total=len(rows),
        confirmed=len(confirmed),
        later=len(later),
        partly=tuple(_straggler(row, sha256) for row in partly),
        stragglers=tuple(_straggler(row, sha256) for row in rows if row.process not in told),
        poll_seconds=max((row.poll_seconds for row in rows if row.poll_seconds), default=None),
    )


def arrivals_of(seconds: Iterable[float]) -> Arrivals | None:
    """Return percentiles by nearest rank; None without any. Clocks differ between hosts: nothing took less than 0 s."""
    ordered = sorted(max(0.0, each) for each in seconds)
    if not ordered:
        return None
    ranks = (ordered[math.ceil(percent * len(ordered) / 100) - 1] for percent in (50, 95, 99))
    return Arrivals(len(ordered), *ranks)


def _arrivals(session: Session, environment: str, release: int, made_at: dt.datetime) -> Arrivals | None:
    found = session.scalars(
        select(Arrival.arrived_at).where(
            Arrival.environment == environment, Arrival.release == release, Arrival.started_at < made_at
        )
    )
    return arrivals_of((arrived_at - made_at).total_seconds() for arrived_at in found)


def _running(session: Session, environment: str) -> Sequence[Process]:
    query = select(Process).where(Process.environment == environment, Process.gone_at.is_(None))
    return session.scalars(query.order_by(Process.process).execution_options(populate_existing=True)).all()


def _straggler(row: Process, sha256: str) -> Straggler:
    return Straggler(
        process=row.process,
        host=row.host,
        release=row.release,
        serving_since=row.serving_since,
        heard_at=row.heard_at,
        held_back=row.held_back,
        refused=row.quarantined == sha256,
        problem=row.problem,
    )
