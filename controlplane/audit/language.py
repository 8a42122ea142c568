"""What is typed to find changes: read into terms, and printed again from them.

    actor:"Ada Lovelace" -via:schedule after:-2h is:revert env:production coaching

A term is a word with a value, or text of its own; `-` before it leaves out what it finds, quotes keep spaces together, `*` at
the end of a value finds what begins with it. Terms narrow one another; the same word twice means either of its values. What
cannot be read is named with its place, and the rest is still a query: nobody loses the list over a slip of the fingers.
"""

import calendar
import datetime as dt
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

# What each word finds, as the page explains it.
WORDS: Mapping[str, str] = {
    "actor": "who did it, by name or id",
    "action": "what was done: release.published, or one half of it",
    "object": "what it concerns: a code, or a kind and a code; with all that was published of it",
    "kind": "the kind of object: configuration, prompt, model …",
    "tier": "the tier it concerns",
    "env": "the environment it happened in",
    "release": "the number of the release it made",
    "via": "how it was done: browser, token, schedule, command line …",
    "after": "from then on",
    "before": "up to then",
    "is": "a state it is in",
}

# What may follow `is:`. `conditions.STATES` says how each is found; features above add theirs to both.
STATES: dict[str, str] = {
    "revert": "took something back",
    "emergency": "done without the agreement that is asked for",
}

DATES = ("after", "before")
LONGEST = 1_000
MOST_TERMS = 30
_SHORTEST_BEGINNING = 2
_BEGINNINGS = ("today", "week", "month", "quarter", "year")
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIELD = re.compile(r"([A-Za-z_]+):")
_RELATIVE = re.compile(r"-(\d{1,4})(min|h|d|w)")


@dataclass(frozen=True)
class Term:
    """One thing asked for. Without a `word` it is text to look for; where it stood in what was typed is no part of it."""

    value: str
    word: str | None = None
    negated: bool = False
    prefix: bool = False
    place: tuple[int, int] = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        """Print the term so that reading it gives the same."""
        sign = "-" if self.negated else ""
        word = f"{self.word}:" if self.word else ""
        star = "*" if self.prefix else ""
        return f"{sign}{word}{_quoted(self.value, bare=self.word is None)}{star}"


@dataclass(frozen=True)
class Query:
    """All that is asked for, in the order in which it was typed."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """Print the query so that reading it gives the same."""
        return " ".join(map(str, self.terms))

    def __bool__(self) -> bool:
        """Whether it narrows anything."""
        return bool(self.terms)

    def of(self, word: str | None, *, negated: bool = False) -> tuple[Term, ...]:
        """Return the terms of one word (None for text)."""
        return tuple(each for each in self.terms if each.word == word and each.negated == negated)

    def with_(self, *terms: Term) -> "Query":
        """Return the query with further terms, those that it has already left out."""
        return Query(tuple(dict.fromkeys((*self.terms, *terms))))

    def without(self, *terms: Term) -> "Query":
        """Return the query without these terms."""
        return Query(tuple(each for each in self.terms if each not in terms))


@dataclass(frozen=True)
class Problem:
    """What of the typed text could not be read, and what to do about it."""

    message: str
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """What was typed, the query that it makes, and what of it makes none."""

    text: str
    query: Query
    problems: tuple[Problem, ...] = ()

    @property
    def parts(self) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it is in question: to mark it where it stands."""
        found: list[tuple[str, bool]] = []
        at = 0
        for problem in self.problems:
            found += [(self.text[at : problem.start], False), (self.text[problem.start : problem.end], True)]
            at = problem.end
        return [(words, marked) for words, marked in (*found, (self.text[at:], False)) if words]


@dataclass(frozen=True)
class Span:
    """The moments that are asked for: from the first one on, up to but without the last."""

    begin: dt.datetime | None = None
    end: dt.datetime | None = None


def parse(text: str, *, states: Iterable[str] = STATES) -> Reading:
    """Read what was typed."""
    text = text.replace("\x00", "")[:LONGEST]
    terms: list[Term] = []
    problems: list[Problem] = []
    for term in _terms(text, problems):
        problem = _against(term, frozenset(states))
        if problem is None and len(terms) == MOST_TERMS:
            problem = f"{MOST_TERMS} terms are the most that can be asked for at once."
        if problem is None:
            terms.append(term)
        else:
            problems.append(Problem(problem, *term.place))
    return Reading(text, Query(tuple(terms)), tuple(problems))


def span_of(query: Query, *, now: dt.datetime) -> Span:
    """Return the moments that `after:` and `before:` leave, each the narrowest. Negated, the one is the other."""
    begins: list[dt.datetime] = []
    ends: list[dt.datetime] = []
    for term in query.terms:
        if term.word not in DATES:
            continue
        moment = _moment(term.value, now=now, closes=(term.word == "before"))
        if moment is None:
            raise ValueError(f"{term} is no date")  # parse lets none through
        (begins if (term.word == "after") != term.negated else ends).append(moment)
    return Span(max(begins, default=None), min(ends, default=None))


def _terms(text: str, problems: list[Problem]) -> Iterator[Term]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start = at
        negated = text[at] == "-" and at + 1 < len(text) and not text[at + 1].isspace()
        at += negated
        named = _FIELD.match(text, at)
        at = named.end() if named else at
        value, at, prefix, closed = _value(text, at)
        place = (start, at)
        if not closed:
            problems.append(Problem("This quotation mark is never closed.", start, at))
        elif value == "" and named:
            problems.append(Problem(f"“{named[1]}:” needs a value right behind it.", *place))
        elif value:
            yield Term(value, named[1].lower() if named else None, negated, prefix, place)


def _value(text: str, at: int) -> tuple[str, int, bool, bool]:
    """Read a value from `at`: the value, where it ends, whether a star stands behind it, and whether its quotes close."""
    if text[at : at + 1] == '"':
        taken: list[str] = []
        at += 1
        while at < len(text) and text[at] != '"':
            at += text[at] == "\\" and at + 1 < len(text)
            taken.append(text[at])
            at += 1
        if at >= len(text):
            return "", at, False, False
        star = text[at + 1 : at + 2] == "*"
        return "".join(taken), at + 1 + star, star, True
    end = at
    while end < len(text) and not text[end].isspace():
        end += 1
    value = text[at:end]
    star = value.endswith("*") and len(value) > 1
    return value[:-1] if star else value, end, star, True


def _quoted(value: str, *, bare: bool) -> str:
    plain = value and not any(each.isspace() or each == '"' for each in value) and not value.endswith("*")
    if plain and bare:
        plain = not value.startswith("-") and not _FIELD.match(value)
    if plain:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _against(term: Term, states: frozenset[str]) -> str | None:
    """Say what is wrong with a term, or None."""
    if term.word is None:
        if term.prefix and len(term.value) < _SHORTEST_BEGINNING:
            return f"Too much begins with “{term.value}”: write {_SHORTEST_BEGINNING} letters or more before the star."
        return None
    if term.word not in WORDS:
        told = _unknown("word", term.word, WORDS, "{}:")
        return f"{told} To look for it as text, put it in quotation marks."
    check = _CHECKS.get(term.word)
    return check(term, states) if check else None


def _check_date(term: Term, _states: frozenset[str]) -> str | None:
    moment = None if term.prefix else _moment(term.value, now=dt.datetime.now(dt.UTC), closes=False)
    if moment is not None:
        return None
    return f"“{term.value[:40]}” is no date. Write 2026-11-22, 2026-11-22T14:30, -2h (min, h, d, w), or {_list(_BEGINNINGS)}."


def _check_state(term: Term, states: frozenset[str]) -> str | None:
    if term.value in states and not term.prefix:
        return None
    return _unknown("state", term.value, sorted(states), "is:{}")


def _check_release(term: Term, _states: frozenset[str]) -> str | None:
    value = term.value
    if value.isascii() and value.isdigit() and len(value) < 10 and not term.prefix:
        return None
    return f"A release has a number: “release:419”, not “{value[:40]}”."


_CHECKS: dict[str, Callable[[Term, frozenset[str]], str | None]] = {
    "after": _check_date,
    "before": _check_date,
    "is": _check_state,
    "release": _check_release,
}


def _unknown(noun: str, given: str, known: Iterable[str], spelt: str) -> str:
    near = difflib.get_close_matches(given.lower(), known, n=1, cutoff=0.5)
    what = f"Unknown {noun} “{spelt.format(given[:40])}”."
    if near:
        return f"{what} Did you mean “{spelt.format(near[0])}”?"
    return f"{what} There are {_list(map(spelt.format, known))}."


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _moment(text: str, *, now: dt.datetime, closes: bool) -> dt.datetime | None:
    """Return the moment that a value names. A day that `closes` a span belongs to it: the moment is that of its end."""
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return now - dt.timedelta(**{_UNITS[relative[2]]: int(relative[1])})
    if text in _BEGINNINGS:
        return _beginning(text, now.astimezone(dt.UTC).date())
    try:
        return _day(text, closes=closes) if len(text) == len("2026-11-22") else _aware(text)
    except (ValueError, OverflowError):
        return None


def _day(text: str, *, closes: bool) -> dt.datetime:
    day = dt.date.fromisoformat(text)
    # The calendar's own end has no day beyond it; nothing is recorded there either.
    return _midnight(day + dt.timedelta(days=1) if closes and day < dt.date.max else day)


def _aware(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _beginning(of: str, today: dt.date) -> dt.datetime:
    first = {
        "today": today,
        "week": today - dt.timedelta(days=today.weekday() - calendar.MONDAY),
        "month": today.replace(day=1),
        "quarter": today.replace(month=today.month - (today.month - 1) % 3, day=1),
        "year": today.replace(month=1, day=1),
    }
    return _midnight(first[of])


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC)
