"""The query language in SQL: what a query asks for, as far as the index of terms answers it and beyond.

Everything a term can name stands in one inverted index (`audit_event_terms`, migration 0014).
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Boolean, ColumnElement, and_, cast, func, not_, or_
from sqlalchemy.dialects.postgresql import TSQUERY

from controlplane.audit.language import Query, Span, Term, span_of
from controlplane.audit.models import AuditEvent

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


def conditions_of(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Say in SQL what a query asks for."""
    query, span = wanted.query, wanted.span
    found: list[ColumnElement[bool]] = []
    index = asked_of_index(query)
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


def asked_of_index(query: Query) -> ColumnElement[Any] | None:
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
