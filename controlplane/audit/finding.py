"""Finding changes: the query language in SQL, a page of what it finds, and the figures beside it.

Everything a term can name stands in one inverted index (`audit_event_terms`, migration 0014), so a question of any number of
terms is one question to it, and its answer is exact. What such an index cannot do is stop after the newest fifty. So it
is asked for the newest events first, and then for as many before those as it takes if matches go on being as common: what is
common is found in a step or two, and what is not there is rare enough to be fetched whole.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from controlplane.audit.language import Query, Span, Term, span_of
from controlplane.audit.models import AuditEvent

PAGE = 50
# Counting all matches costs a pass over all of them: at this number the page says "or more", and counts are of the newest.
MOST_COUNTED = 10_000
_FIRST_STEP = 20_000
# Events are numbered as they are written and dated a little before: no transaction takes as long as this in between.
_LONGEST_TRANSACTION = dt.timedelta(days=1)

# How each word of `language.STATES` is found; None stands for those that are terms of the index.
STATES: dict[str, ColumnElement[bool] | None] = {"revert": None, "emergency": None}

# Words of the language whose values are terms of the index, in the order in which the page offers them.
_NAMES = ("actor", "action", "object", "kind", "tier", "env", "release", "via")

TERMS = func.audit_event_terms(
    AuditEvent.actor_id,
    AuditEvent.actor_name,
    AuditEvent.action,
    AuditEvent.object_kind,
    AuditEvent.object_key,
    AuditEvent.environment,
    AuditEvent.via,
    AuditEvent.release,
    AuditEvent.emergency,
    AuditEvent.sentence,
    AuditEvent.reason,
    AuditEvent.before,
    AuditEvent.after,
)
_NEWEST = (AuditEvent.at.desc(), AuditEvent.sequence.desc())
_OLDEST = (AuditEvent.at, AuditEvent.sequence)
_COUNTED = {
    "actor": AuditEvent.actor_name,
    "action": AuditEvent.action,
    "kind": AuditEvent.object_kind,
    "env": AuditEvent.environment,
    "via": AuditEvent.via,
}


_Selected = Select[*tuple[Any, ...]]


class Place(NamedTuple):
    """Where an event stands in the list: by its moment, and within that by its number."""

    at: dt.datetime
    sequence: int


@dataclass(frozen=True)
class Wanted:
    """A query at a moment, and the newest event that counts (None: all do)."""

    query: Query = field(default_factory=Query)
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    upto: int | None = None

    @property
    def span(self) -> Span:
        """The moments it leaves."""
        return span_of(self.query, now=self.now)


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
    edge, step = after, _FIRST_STEP
    while edge < last and len(found) < limit:
        # A stretch at a time, as the list does it: sorting all that matches for the first hundred takes seconds.
        upto = min(edge + step, last)
        query = select(AuditEvent).where(*_conditions(wanted), *_stretch(session, edge, upto))
        found += session.scalars(query.order_by(AuditEvent.sequence).limit(limit - len(found)))
        edge, step = upto, step * 4
    return found, found[-1].sequence if len(found) == limit else max(after, last)


def _stretch(session: Session, edge: int, upto: int) -> list[ColumnElement[bool]]:
    """Say in SQL which numbers are meant, and which months to look into for them."""
    conditions = [AuditEvent.sequence > edge, AuditEvent.sequence <= upto]
    begin, end = _moment_of(session, edge), _moment_of(session, upto)
    if begin is not None:
        conditions.append(AuditEvent.at >= begin - _LONGEST_TRANSACTION)
    if end is not None:
        conditions.append(AuditEvent.at <= end + _LONGEST_TRANSACTION)
    return conditions


def count(session: Session, wanted: Wanted) -> int:
    """Count what matches, up to `MOST_COUNTED`."""
    prepare(session)
    return len(_matches(session, wanted, limit=MOST_COUNTED))


def all_of(wanted: Wanted, columns: Sequence[Any]) -> _Selected:
    """Select these columns of everything that matches, newest first."""
    return select(*columns).where(*_conditions(wanted)).order_by(*_NEWEST)


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
    chosen = chosen.where(*_conditions(wanted))
    counted: list[Counter[str]] = [Counter() for _ in range(len(_COUNTED) + 2)]
    places: list[Place] = []

    def take(window: _Window, limit: int) -> int:
        before = counted[-2].total()
        for row in session.execute(_summary(window.of(chosen, limit=limit))):
            if row.which == _A_PLACE:
                places.append(Place(row.at, row.sequence))
            elif row.value is not None:
                counted[row.which][row.value] += row.count
                if row.which == len(_COUNTED):
                    counted[-1][row.value] += row.emergencies
        return counted[-2].total() - before

    _walk(session, wanted, take, limit=MOST_COUNTED)
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


def _summary(newest: _Selected) -> CompoundSelect[*tuple[Any, ...]]:
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
    chosen = select(AuditEvent.at, AuditEvent.sequence).where(*_conditions(wanted))
    if before:
        chosen = chosen.where(AuditEvent.at <= before.at, place < tuple_(*map(literal, before)))
    if after:
        chosen = chosen.where(AuditEvent.at >= after.at, place > tuple_(*map(literal, after)))
    found: list[Place] = []

    def take(window: _Window, limit: int) -> int:
        rows = session.execute(window.of(chosen, limit=limit)).all()
        found.extend(Place(row.at, row.sequence) for row in rows)
        return len(rows)

    _walk(session, wanted, take, limit=limit, before=before, after=after)
    return found


@dataclass(frozen=True)
class _Window:
    """A stretch of moments; `whole` where all that matches in it is found before the newest are taken of it."""

    begin: dt.datetime | None = None
    end: dt.datetime | None = None
    whole: bool = True
    forward: bool = False

    def of(self, chosen: _Selected, *, limit: int) -> _Selected:
        if not self.whole:
            return chosen.order_by(*(_OLDEST if self.forward else _NEWEST)).limit(limit)
        if self.begin:
            chosen = chosen.where(AuditEvent.at >= self.begin)
        if self.end:
            chosen = chosen.where(AuditEvent.at < self.end)
        # With a limit in sight Postgres would rather walk through the newest events and compute the terms of each, which is
        # quick only if its guess of how many match is good.
        every = chosen.cte("every").prefix_with("MATERIALIZED")
        order = (every.c.at, every.c.sequence)
        return (
            select(every).order_by(*(order if self.forward else [each.desc() for each in order])).limit(limit)
        )


def _walk(
    session: Session,
    wanted: Wanted,
    take: Callable[[_Window, int], int],
    *,
    limit: int,
    before: Place | None = None,
    after: Place | None = None,
) -> None:
    """Have windows taken, from where the list begins, until there is enough; `take` says how many it found."""
    forward = after is not None
    if _asked_of_index(wanted.query) is None:
        take(_Window(whole=False, forward=forward), limit)
        return
    begin = after or before
    number = begin.sequence if begin else _number_before(session, wanted.span.end)
    edge: dt.datetime | None = None
    found, walked, step = 0, 0, _FIRST_STEP
    while found < limit:
        walked += step
        beyond = _moment_of(session, number + walked if forward else number - walked) if step else None
        found += take(
            _Window(edge, beyond, forward=True) if forward else _Window(beyond, edge), limit - found
        )
        if beyond is None:
            break
        edge = beyond
        # Half as many again, since what is common is not so everywhere; of what was not met yet, all that is left.
        step = max(walked, int((limit - found) * walked / found * 1.5)) if found else 0


def _number_before(session: Session, end: dt.datetime | None) -> int:
    query = select(AuditEvent.sequence).order_by(*_NEWEST).limit(1)
    return session.scalar(query.where(AuditEvent.at < end) if end else query) or 0


def _moment_of(session: Session, number: int) -> dt.datetime | None:
    """Return when the event of a number happened; None where the record does not reach to."""
    return session.scalar(select(AuditEvent.at).where(AuditEvent.sequence == number))


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
    return session.scalars(query.order_by(*_NEWEST)).all()


def _ranked(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Say in SQL what a query asks for."""
    query, span = wanted.query, wanted.span
    found: list[ColumnElement[bool]] = []
    index = _asked_of_index(query)
    if index is not None:
        found.append(cast(TERMS.op("@@")(index), Boolean))
    for term in query.terms:
        if term.word is None and not _is_one_word(term.value):
            found.append(not_(_says(term.value)) if term.negated else _says(term.value))
        state = STATES.get(term.value) if term.word == "is" else None
        if state is not None:
            found.append(not_(state) if term.negated else state)
    if span.begin is not None:
        found.append(AuditEvent.at >= span.begin)
    if span.end is not None:
        found.append(AuditEvent.at < span.end)
    if wanted.upto is not None:
        found.append(AuditEvent.sequence <= wanted.upto)
    return found


def _asked_of_index(query: Query) -> ColumnElement[Any] | None:
    """Return the part of a query that the index answers; None when that is none of it."""
    parts = [
        *(_either([_name(word, each) for each in query.of(word)]) for word in _NAMES if query.of(word)),
        *(_name("is", each) for each in query.of("is") if STATES[each.value] is None),
        *(_words(each) for each in query.of(None) if _has_word(each.value)),
    ]
    unwanted = [
        *(_name(word, each) for word in _NAMES for each in query.of(word, negated=True)),
        *(_name("is", each) for each in query.of("is", negated=True) if STATES[each.value] is None),
        *(_words(each) for each in query.of(None, negated=True) if _is_one_word(each.value)),
    ]
    if not parts and unwanted:
        parts = [cast("all", TSQUERY)]  # an index can only take away from what it has found
    parts += [func.tsquery_not(each) for each in unwanted]
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = func.tsquery_and(whole, part)
    return whole


def _either(parts: list[ColumnElement[Any]]) -> ColumnElement[Any]:
    whole = parts[0]
    for part in parts[1:]:
        whole = func.tsquery_or(whole, part)
    return whole


def _name(word: str, term: Term) -> ColumnElement[Any]:
    return func.audit_name_query(word, term.value, term.prefix)


def _words(term: Term) -> ColumnElement[Any]:
    return func.coalesce(func.audit_word_query(term.value, term.prefix), cast("all", TSQUERY))


def _has_word(said: str) -> bool:
    return any(each.isalnum() for each in said)


def _is_one_word(said: str) -> bool:
    """Whether the index says all there is to say about it: with signs in it, it also has to stand there to the letter."""
    return said.isascii() and said.isalnum() and len(said) <= 100


def _says(said: str) -> ColumnElement[bool]:
    # autoescape: a person who types 100 % means the sign.
    return or_(
        *(
            and_(column.is_not(None), column.icontains(said, autoescape=True))
            for column in (AuditEvent.sentence, AuditEvent.reason, AuditEvent.actor_name)
        )
    )
