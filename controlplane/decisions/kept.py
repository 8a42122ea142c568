"""What is kept of recorded calls, asked for: the newest of a time, their values, and how the recording itself goes."""

import contextlib
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.decisions.models import RecordedBatch, RecordedCall, RecordedLook
from controlplane.runtime import decisions
from controlplane.runtime.decisions import Decision

KeyT = TypeVar("KeyT")
WINDOW: Final = dt.timedelta(hours=24)
MOST_CALLS: Final = 5_000
"""So many of the newest are looked at: deciding them twice takes one or two tenths of a second."""
MOST_VALUES: Final = 5
_SMALLEST_RATE: Final = 1e-9


@dataclass(frozen=True)
class Kept:
    """The recorded calls of a time, as far as they are looked at, the newest first."""

    decisions: Sequence[Decision]
    total: int
    """How many there are of that time; more than are looked at, perhaps."""
    rates: tuple[float, ...]
    """The shares of calls that their processes record, each once, the smallest first."""
    newest: int
    """What changes when there is more."""

    @property
    def sample_words(self) -> str:
        """How large a part of all calls that is, in words."""
        return rate_words(self.rates)


@dataclass(frozen=True)
class Recording:
    """How recording goes, by the batches of a time."""

    calls: int
    processes: int
    rates: tuple[float, ...]
    dropped: int
    unreadable: int
    problems: Sequence[RecordedBatch]
    looked_at: dt.datetime | None


def kept(
    session: Session,
    environment: str,
    at: dt.datetime,
    *,
    interaction: str | None = None,
    most: int = MOST_CALLS,
) -> Kept:
    """Return the newest recorded calls of the last day."""
    of_time = [
        RecordedCall.environment == environment,
        RecordedCall.at > at - WINDOW,
        *([RecordedCall.interaction == interaction] if interaction is not None else []),
    ]
    total, newest = session.execute(
        select(func.count(), func.coalesce(func.max(RecordedCall.id), 0)).where(*of_time)
    ).one()
    query = select(RecordedCall.document, RecordedCall.rate).where(*of_time)
    rows = session.execute(query.order_by(RecordedCall.at.desc(), RecordedCall.id.desc()).limit(most)).all()
    found = [decision for _, decision in decoded((rate, document) for document, rate in rows)]
    return Kept(
        found,
        total - (len(rows) - len(found)),
        tuple(sorted({rate for _, rate in rows})),
        newest,
    )


def decoded(documents: Iterable[tuple[KeyT, bytes]]) -> list[tuple[KeyT, Decision]]:
    """Return the calls in these documents, each with what stands beside it; without those of another version that nobody can read."""
    found = []
    for key, document in documents:
        with contextlib.suppress(ValueError):
            found.append((key, decisions.decode(document)))
    return found


def newest_of(session: Session, environment: str, at: dt.datetime) -> int:
    """Return what changes when there is more: 0 when nothing was recorded in the last day."""
    newest = select(func.coalesce(func.max(RecordedCall.id), 0)).where(
        RecordedCall.environment == environment, RecordedCall.at > at - WINDOW
    )
    return session.scalar(newest) or 0


def recorded_values(
    session: Session, interaction: str, *, most: int = MOST_VALUES
) -> list[tuple[dt.datetime, Mapping[str, Any]]]:
    """Return the values of the newest calls of an interaction that were kept with some, in any environment, each once."""
    query = (
        select(RecordedCall.document)
        .where(RecordedCall.interaction == interaction, RecordedCall.has_values)
        .order_by(RecordedCall.at.desc(), RecordedCall.id.desc())
        .limit(4 * most)
    )
    found: list[tuple[dt.datetime, Mapping[str, Any]]] = []
    for _, decision in decoded((None, document) for document in session.scalars(query)):
        if decision.parameters and not any(decision.parameters == each for _, each in found):
            found.append((decision.at, decision.parameters))
    return found[:most]


def recording(session: Session, environment: str, at: dt.datetime) -> Recording:
    """Return how the recording of the last day went."""
    of_time = [RecordedBatch.environment == environment, RecordedBatch.hour > at - WINDOW]
    calls, processes, dropped, unreadable = session.execute(
        select(
            func.coalesce(func.sum(RecordedBatch.calls), 0),
            func.count(RecordedBatch.process.distinct()),
            func.coalesce(func.sum(RecordedBatch.dropped), 0),
            func.coalesce(func.sum(RecordedBatch.unreadable), 0),
        ).where(*of_time)
    ).one()
    rates = session.scalars(
        select(RecordedBatch.rate).where(*of_time, RecordedBatch.rate.is_not(None)).distinct()
    )
    problems = session.scalars(
        select(RecordedBatch)
        .where(*of_time, RecordedBatch.problem.is_not(None))
        .order_by(RecordedBatch.read_at.desc(), RecordedBatch.name)
        .limit(5)
    ).all()
    look = session.get(RecordedLook, environment)
    return Recording(
        calls=int(calls),
        processes=processes,
        rates=tuple(sorted(rate for rate in rates if rate is not None)),
        dropped=int(dropped),
        unreadable=int(unreadable),
        problems=problems,
        looked_at=look.looked_at if look else None,
    )


def rate_words(rates: Sequence[float]) -> str:
    """Return how large a part of all calls is recorded: "1 in 100", "all", "from 1 in 100 to 1 in 10"."""
    # A rate was written by whoever can write to the store: of the smallest there are, one divided by it is no number.
    words = ["all" if rate >= 1 else f"1 in {round(1 / max(rate, _SMALLEST_RATE)):,}" for rate in rates]
    if not words:
        return ""
    return words[0] if len(set(words)) == 1 else f"from {words[0]} to {words[-1]}"
