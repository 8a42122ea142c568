"""Finding changes: a page of what a query finds, the figures beside it, and what follows the record.

A question of any number of terms is one question to the index (`conditions`), and its answer is exact; `walking` says how a page of it
is found without finding everything.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    Text,
    case,
    cast,
    func,
    literal,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from controlplane.audit.conditions import Wanted, conditions_of
from controlplane.audit.language import Query
from controlplane.audit.models import AuditEvent
from controlplane.audit.walking import FIRST_STEP, NEWEST, Place, Selected, Window, moment_of, walk

PAGE = 50
# Counting all matches costs a pass over all of them: at this number the page says "or more", and counts are of the newest.
MOST_COUNTED = 10_000
# Events are numbered as they are written and dated a little before: no transaction takes as long as this in between.
_LONGEST_TRANSACTION = dt.timedelta(days=1)

_COUNTED = {
    "actor": AuditEvent.actor_name,
    "action": AuditEvent.action,
    "kind": AuditEvent.object_kind,
    "env": AuditEvent.environment,
    "via": AuditEvent.via,
}


@dataclass(frozen=True)
class Figures:
    """What all matches have in common, or the newest of them where there are more than are counted."""

    total: int = 0
    values: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    days: Mapping[dt.date, tuple[int, int]] = field(
        default_factory=dict
    )  # matches, and emergencies among them

    @property
    def capped(self) -> bool:
        """Whether counting stopped before the end."""
        return self.total >= MOST_COUNTED

    @property
    def words(self) -> str:
        """The number of matches, honest about where counting stopped."""
        if self.capped:
            return f"{MOST_COUNTED:,} or more changes"
        return "1 change" if self.total == 1 else f"{self.total:,} changes"


@dataclass(frozen=True)
class Found:
    """One page of events, newest first, how to go on from it, and the figures of all matches."""

    events: Sequence[AuditEvent]
    figures: Figures
    newer: int | None  # cursor: there are matches newer than the event of this number
    older: int | None


def find(
    session: Session, wanted: Wanted, *, older_than: int | None = None, newer_than: int | None = None
) -> Found:
    """Find a page of events, before or after a cursor (an event's number), and count what matches."""
    prepare(session)
    figures, newest = _survey(session, wanted)
    if newer_than is not None:
        rows = _matches(session, wanted, after=_place(session, newer_than), limit=PAGE)[::-1]
        older = bool(rows and _matches(session, wanted, before=Place(*rows[-1]), limit=1))
    else:
        rows = newest if older_than is None else _matches(
            session, wanted, before=_place(session, older_than), limit=PAGE + 1
        )  # fmt: skip
        older = len(rows) > PAGE
        rows = rows[:PAGE]
    if not rows:
        return Found([], figures, newer=None, older=None)
    return Found(
        events=_events(session, rows),
        figures=figures,
        newer=rows[0].sequence if rows[0].sequence != newest[0].sequence else None,
        older=rows[-1].sequence if older else None,
    )


def newest(session: Session, query: Query, *, limit: int) -> Sequence[AuditEvent]:
    """Find the newest events of a query, newest first."""
    prepare(session)
    return _events(session, _matches(session, Wanted(query), limit=limit))


def following(
    session: Session, wanted: Wanted, *, after: int, limit: int
) -> tuple[Sequence[AuditEvent], int]:
    """Find what the record has after the event of a number, in the order of the record: for programs that follow it.

    Returns the events, and the number up to which there is nothing else: what to ask for the next time. By number and not
    by moment: of two transactions the one that began first may come second, and who has read the other would never see it.
    """
    prepare(session)
    last = last_number(session)
    found: list[AuditEvent] = []
    edge, step = after, FIRST_STEP
    while edge < last and len(found) < limit:
        # A stretch at a time, as the list does it: sorting all that matches for the first hundred takes seconds.
        upto = min(edge + step, last)
        query = select(AuditEvent).where(*conditions_of(wanted), *_stretch(session, edge, upto))
        found += session.scalars(query.order_by(AuditEvent.sequence).limit(limit - len(found)))
        edge, step = upto, step * 4
    return found, found[-1].sequence if len(found) == limit else max(after, last)


def _stretch(session: Session, edge: int, upto: int) -> list[ColumnElement[bool]]:
    """Say in SQL which numbers are meant, and which months to look into for them."""
    conditions = [AuditEvent.sequence > edge, AuditEvent.sequence <= upto]
    begin, end = moment_of(session, edge), moment_of(session, upto)
    if begin is not None:
        conditions.append(AuditEvent.at >= begin - _LONGEST_TRANSACTION)
    if end is not None:
        conditions.append(AuditEvent.at <= end + _LONGEST_TRANSACTION)
    return conditions


def count(session: Session, wanted: Wanted) -> int:
    """Count what matches, up to `MOST_COUNTED`."""
    prepare(session)
    return len(_matches(session, wanted, limit=MOST_COUNTED))


def all_of(wanted: Wanted, columns: Sequence[Any]) -> Selected:
    """Select these columns of everything that matches, newest first."""
    return select(*columns).where(*conditions_of(wanted)).order_by(*NEWEST)


def last_number(session: Session) -> int:
    """Return the number of the last event that is recorded."""
    return session.scalar(select(func.max(AuditEvent.sequence))) or 0


def prepare(session: Session) -> None:
    """Have what is found sorted in memory; starting helpers, or compiling, takes longer than a step does.

    What the terms cost is set high so that they are never computed row by row: by that, Postgres would compile every question.
    """
    session.execute(
        select(
            func.set_config("work_mem", "64MB", literal(value=True)),
            func.set_config("max_parallel_workers_per_gather", "0", literal(value=True)),
            func.set_config("jit", "off", literal(value=True)),
        )
    )


def _survey(session: Session, wanted: Wanted) -> tuple[Figures, list[Place]]:
    """Count what matches, and return the newest of it: one more than a page."""
    chosen = select(AuditEvent.at, AuditEvent.sequence, AuditEvent.emergency, *_COUNTED.values())
    chosen = chosen.where(*conditions_of(wanted))
    counted: list[Counter[str]] = [Counter() for _ in range(len(_COUNTED) + 2)]
    places: list[Place] = []

    def take(window: Window, limit: int) -> int:
        before = counted[-2].total()
        for row in session.execute(_summary(window.of(chosen, limit=limit))):
            if row.which == _A_PLACE:
                places.append(Place(row.at, row.sequence))
            elif row.value is not None:
                counted[row.which][row.value] += row.count
                if row.which == len(_COUNTED):
                    counted[-1][row.value] += row.emergencies
        return counted[-2].total() - before

    walk(session, wanted, take, limit=MOST_COUNTED)
    *values, days, emergencies = counted
    return (
        Figures(
            total=days.total(),
            values={word: _ranked(each) for word, each in zip(_COUNTED, values, strict=True)},
            days={dt.date.fromisoformat(day): (days[day], emergencies[day]) for day in days},
        ),
        places[: PAGE + 1],
    )


_A_PLACE = -1


def _summary(newest: Selected) -> CompoundSelect[*tuple[Any, ...]]:
    """Select how often each value occurs, by the place of its column in `_COUNTED` (the day comes after them), and a page."""
    found = newest.subquery()
    day = func.to_char(func.timezone("UTC", found.c.at), "YYYY-MM-DD").label("day")
    rows = select(found, day).cte("newest").prefix_with("MATERIALIZED")
    at, sequence, emergency, *columns = rows.c
    last = len(columns) - 1
    # In its own set a column's bit is the only one that is not set.
    bits = {(2 << last) - 1 - (1 << (last - place)): place for place in range(last + 1)}
    values = select(
        case(bits, value=func.grouping(*columns)).label("which"),
        func.coalesce(*columns).label("value"),
        func.count().label("count"),
        func.sum(cast(emergency, Integer)).label("emergencies"),
        cast(null(), at.type).label("at"),
        cast(null(), sequence.type).label("sequence"),
    ).group_by(func.grouping_sets(*map(tuple_, columns)))
    page = (
        select(
            literal(_A_PLACE).label("which"),
            cast(null(), Text).label("value"),
            cast(null(), BigInteger).label("count"),
            cast(null(), BigInteger).label("emergencies"),
            at,
            sequence,
        )
        .order_by(at.desc(), sequence.desc())
        .limit(PAGE + 1)
        .subquery()
    )
    return union_all(values, select(page))


def _matches(
    session: Session, wanted: Wanted, *, limit: int, before: Place | None = None, after: Place | None = None
) -> list[Place]:
    """Find the newest matches, newest first; after a place: the ones that follow it, in that order."""
    place = tuple_(AuditEvent.at, AuditEvent.sequence)
    chosen = select(AuditEvent.at, AuditEvent.sequence).where(*conditions_of(wanted))
    if before:
        chosen = chosen.where(AuditEvent.at <= before.at, place < tuple_(*map(literal, before)))
    if after:
        chosen = chosen.where(AuditEvent.at >= after.at, place > tuple_(*map(literal, after)))
    found: list[Place] = []

    def take(window: Window, limit: int) -> int:
        rows = session.execute(window.of(chosen, limit=limit)).all()
        found.extend(Place(row.at, row.sequence) for row in rows)
        return len(rows)

    walk(session, wanted, take, limit=limit, before=before, after=after)
    return found


def _place(session: Session, number: int) -> Place:
    """Return the place of a number in the list, whether there is an event of it or not."""
    nearest = (
        select(AuditEvent.at)
        .where(AuditEvent.sequence <= number)
        .order_by(AuditEvent.sequence.desc())
        .limit(1)
    )
    at = session.scalar(nearest)
    return Place(at or dt.datetime.min.replace(tzinfo=dt.UTC), number)


def _events(session: Session, places: Sequence[Place]) -> Sequence[AuditEvent]:
    if not places:
        return []
    moments = [place.at for place in places]
    query = select(AuditEvent).where(
        AuditEvent.sequence.in_([place.sequence for place in places]),
        AuditEvent.at.between(min(moments), max(moments)),  # which months to look into
    )
    return session.scalars(query.order_by(*NEWEST)).all()


def _ranked(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
