"""Finding changes: the query language in SQL, a page of what it finds, and the figures beside it.

Everything a term can name stands in one inverted index (`audit_event_terms`, migration 0014), so a question of any number of
terms is one question to it, and its answer is exact. What such an index cannot do is stop after the newest fifty. So it
is asked for the newest events first, then for eight times as many before those, then for the rest: common things are found
in the first step, and what is not there is rare enough to be fetched whole.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Row, Select, and_, cast, func, literal, not_, or_, select, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from controlplane.audit.language import Query, Span, Term, span_of
from controlplane.audit.models import AuditEvent

PAGE = 50
# Counting all matches costs a pass over all of them; past this the page says "more than", and counts of the newest.
MOST_COUNTED = 10_000
_STEPS = (100_000, 900_000)

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
    newest: int | None = None  # the number of the newest match
    oldest: int | None = None  # of the oldest that was counted
    values: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    days: Mapping[dt.date, tuple[int, int]] = field(default_factory=dict)  # matches, and emergencies among them

    @property
    def capped(self) -> bool:
        """Whether there are more than were counted."""
        return self.total > MOST_COUNTED

    @property
    def words(self) -> str:
        """The number of matches, honest about where counting stopped."""
        if self.capped:
            return f"more than {MOST_COUNTED:,} changes"
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
    session.execute(select(func.set_config("work_mem", "64MB", True)))  # what is found is sorted in memory
    counted = _matches(session, wanted, limit=MOST_COUNTED + 1, columns=list(_COUNTED.values()))
    figures = _figures(counted)
    if newer_than is not None:
        rows = _matches(session, wanted, after=_place(session, newer_than), limit=PAGE)[::-1]
    elif older_than is not None:
        rows = _matches(session, wanted, before=_place(session, older_than), limit=PAGE)
    else:
        rows = counted[:PAGE]
    if not rows:
        return Found([], figures, newer=None, older=None)
    first, last = rows[0].sequence, rows[-1].sequence
    more = last != figures.oldest and (
        not figures.capped
        or bool(_matches(session, wanted, before=Place(rows[-1].at, last), limit=1))
    )
    return Found(
        events=_events(session, rows),
        figures=figures,
        newer=first if first != figures.newest else None,
        older=last if more else None,
    )


def newest(session: Session, query: Query, *, limit: int) -> Sequence[AuditEvent]:
    """Find the newest events of a query, newest first."""
    return _events(session, _matches(session, Wanted(query), limit=limit))


def count(session: Session, wanted: Wanted) -> int:
    """Count what matches, up to one more than `MOST_COUNTED`."""
    return len(_matches(session, wanted, limit=MOST_COUNTED + 1))


def all_of(wanted: Wanted, columns: Sequence[Any]) -> Select[Any]:
    """Select these columns of everything that matches, newest first."""
    return select(*columns).where(*_conditions(wanted)).order_by(*_NEWEST)


def last_number(session: Session) -> int:
    """Return the number of the last event that is recorded."""
    return session.scalar(select(func.max(AuditEvent.sequence))) or 0


def _matches(
    session: Session,
    wanted: Wanted,
    *,
    limit: int,
    before: Place | None = None,
    after: Place | None = None,
    columns: Sequence[Any] = (),
) -> Sequence[Row[Any]]:
    """Find the newest matches (after a place: the ones that follow it, in that order), with their emergency and `columns`."""
    order = _OLDEST if after else _NEWEST
    chosen = select(AuditEvent.sequence, AuditEvent.at, AuditEvent.emergency, *columns).where(*_conditions(wanted))
    place = tuple_(AuditEvent.at, AuditEvent.sequence)
    if before:
        chosen = chosen.where(AuditEvent.at <= before.at, place < tuple_(*map(literal, before)))
    if after:
        chosen = chosen.where(AuditEvent.at >= after.at, place > tuple_(*map(literal, after)))
    if _asked_of_index(wanted.query) is None:
        return session.execute(chosen.order_by(*order).limit(limit)).all()
    found: list[Row[Any]] = []
    for window in _windows(session, wanted.span, before=before, after=after):
        # All of the window first, then the newest of it: with a limit in sight Postgres would rather walk through
        # the newest events and compute the terms of each, which is quick only if its guess of how many match is good.
        every = chosen.where(*window).cte("every").prefix_with("MATERIALIZED")
        sooner = (every.c.at, every.c.sequence) if after else (every.c.at.desc(), every.c.sequence.desc())
        found += session.execute(select(every).order_by(*sooner).limit(limit - len(found))).all()
        if len(found) >= limit:
            break
    return found


def _windows(
    session: Session, span: Span, *, before: Place | None, after: Place | None
) -> Iterator[list[ColumnElement[bool]]]:
    """Cut the record into stretches of moments, the nearest to where the page begins first, each wider than the last."""
    number = after.sequence if after else before.sequence if before else _number_before(session, span.end)
    edge: dt.datetime | None = None
    for step in _STEPS:
        number += step if after else -step
        beyond = _moment_of(session, number)
        if beyond is None:
            break
        if edge is None:
            yield [AuditEvent.at < beyond] if after else [AuditEvent.at >= beyond]
        elif after:
            yield [AuditEvent.at >= edge, AuditEvent.at < beyond]
        else:
            yield [AuditEvent.at < edge, AuditEvent.at >= beyond]
        edge = beyond
    if edge is None:
        yield []
    else:
        yield [AuditEvent.at >= edge] if after else [AuditEvent.at < edge]


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


def _events(session: Session, rows: Sequence[Row[Any]]) -> Sequence[AuditEvent]:
    if not rows:
        return []
    moments = [row.at for row in rows]
    query = select(AuditEvent).where(
        AuditEvent.sequence.in_([row.sequence for row in rows]),
        AuditEvent.at.between(min(moments), max(moments)),  # which months to look into
    )
    return session.scalars(query.order_by(*_NEWEST)).all()


def _figures(rows: Sequence[Row[Any]]) -> Figures:
    if not rows:
        return Figures()
    counted = rows[:MOST_COUNTED]
    days: dict[dt.date, tuple[int, int]] = {}
    for row in counted:
        day = row.at.astimezone(dt.UTC).date()
        number, emergencies = days.get(day, (0, 0))
        days[day] = (number + 1, emergencies + row.emergency)
    first = len(counted[0]) - len(_COUNTED)
    return Figures(
        total=len(rows),
        newest=rows[0].sequence,
        oldest=rows[-1].sequence,
        values={
            word: _ranked(Counter(row[place] for row in counted if row[place] is not None))
            for place, word in enumerate(_COUNTED, start=first)
        },
        days=days,
    )


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
        *(_words(each.value) for each in query.of(None) if _has_word(each.value)),
    ]
    unwanted = [
        *(_name(word, each) for word in _NAMES for each in query.of(word, negated=True)),
        *(_name("is", each) for each in query.of("is", negated=True) if STATES[each.value] is None),
        *(_words(each.value) for each in query.of(None, negated=True) if _is_one_word(each.value)),
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


def _words(said: str) -> ColumnElement[Any]:
    return func.coalesce(func.audit_word_query(said), cast("all", TSQUERY))


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
