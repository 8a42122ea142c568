"""What stands around the list of changes, prepared: the query as chips, facets, views and the strip of days."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.audit.finding import Figures
from controlplane.audit.language import Problem, Query, Reading, Span, Term
from controlplane.audit.models import AuditEvent, SavedView
from controlplane.audit.pages import Line, line_of
from controlplane.audit.plain import visible

# What a facet shows before "more", and after it.
SHOWN = 12
MOST_SHOWN = 200
_BARS = 60
_HEIGHT = 40

FACETS: Mapping[str, str] = {
    "env": "Environment",
    "actor": "Who",
    "action": "What",
    "kind": "Kind of object",
    "via": "How",
}

UrlOf = Callable[[Query], str]


@dataclass(frozen=True)
class Chip:
    """One term of the query: what it says, where the list is without it, and where it is turned round."""

    words: str
    negated: bool
    without_url: str
    turned_url: str


@dataclass(frozen=True)
class Choice:
    """One value of a facet: choosing it again takes it back."""

    label: str
    count: int
    chosen: bool
    url: str


@dataclass(frozen=True)
class Facet:
    """The values that the matches have of one word, the commonest first."""

    word: str
    title: str
    choices: Sequence[Choice]
    left_out: int  # values that are not shown
    more_url: str


@dataclass(frozen=True)
class View:
    """A query under a name. `owner` is somebody else's name, `id` is there where it may be removed."""

    name: str
    url: str
    current: bool
    shared: bool = False
    owner: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class Bar:
    """Some days in a row: how many changes, how many emergencies among them, and the place of their bar in the drawing."""

    words: str
    url: str
    count: int
    emergencies: int
    x: float
    width: float
    height: float
    alarm: float  # the height of the part that is emergencies

    @property
    def y(self) -> float:
        """Where the bar begins, from above."""
        return round(_HEIGHT - self.height, 2)


@dataclass(frozen=True)
class Strip:
    """The matches over time; `height` is that of the drawing, and its width is a hundred."""

    first: dt.date
    last: dt.date
    bars: Sequence[Bar]
    height: int = _HEIGHT


@dataclass(frozen=True)
class Marked:
    """What was typed, in pieces of which some are in question, and what is wrong with those."""

    parts: Sequence[tuple[str, bool]]
    problems: Sequence[Problem]


@dataclass(frozen=True)
class Beside:
    """Other changes that belong to one, and where all of them are."""

    title: str
    lines: Sequence[Line]
    url: str


def of_object(event: AuditEvent) -> Query:
    """Return the query for everything that concerns the object of an event."""
    return Query((Term(f"{event.object_kind}/{event.object_key}", "object"),))


def context_of(
    event: AuditEvent, newest: Callable[[Query], Sequence[AuditEvent]], url_of: UrlOf
) -> list[Beside]:
    """Return what else belongs to the release of an event, and to its object."""
    asked = [("Of the same object", of_object(event))]
    if event.release is not None and event.environment is not None:
        release = (Term(event.environment, "env"), Term(str(event.release), "release"))
        asked.insert(0, ("Of the same release", Query(release)))
    beside = []
    for title, query in asked:
        others = [each for each in newest(query) if each.id != event.id]
        if others:
            beside.append(Beside(title, [line_of(each) for each in others], url_of(query)))
    return beside


def chips_of(query: Query, url_of: UrlOf, events: Sequence[AuditEvent]) -> list[Chip]:
    """Return the query term by term. An actor who is asked for by id is called by name."""
    names = {event.actor_id: event.actor_name for event in events}
    return [
        Chip(
            words=visible(_words(term, names)),
            negated=term.negated,
            without_url=url_of(query.without(term)),
            turned_url=url_of(_turned(query, term)),
        )
        for term in query.terms
    ]


def facets_of(
    query: Query, figures: Figures, url_of: UrlOf, more_url: Callable[[str], str], *, opened: str | None
) -> list[Facet]:
    """Return the facets of what was found; the one that is opened shows all its values."""
    found = []
    for word, title in FACETS.items():
        values = figures.values.get(word, ())
        chosen = {term.value.lower() for term in query.of(word) if not term.prefix}
        shown = values[: MOST_SHOWN if word == opened else SHOWN]
        if shown:
            choices = [_choice(query, word, value, count, chosen, url_of) for value, count in shown]
            found.append(Facet(word, title, choices, len(values) - len(shown), more_url(word)))
    return found


def strip_of(query: Query, figures: Figures, span: Span, url_of: UrlOf, *, now: dt.datetime) -> Strip | None:
    """Draw the matches over the days that were asked for, as far as they were counted; None for a single day."""
    if not figures.days:
        return None
    first, last = min(figures.days), max(figures.days)
    if not figures.capped and span.begin:
        first = min(first, span.begin.date())
    end = min(span.end, now) if span.end else now
    last = max(last, end.date()) if figures.days else last
    each = -(-((last - first).days + 1) // _BARS)
    if (last - first).days < 1:
        return None
    numbers = -(-((last - first).days + 1) // each)
    stretches: list[tuple[int, int]] = [(0, 0)] * numbers
    for day, (count, emergencies) in figures.days.items():
        place = (day - first).days // each
        so_far = stretches[place]
        stretches[place] = (so_far[0] + count, so_far[1] + emergencies)
    most = max(count for count, _ in stretches)
    width = 100 / numbers
    bars = []
    for place, (count, emergencies) in enumerate(stretches):
        if count:
            begin = first + dt.timedelta(days=place * each)
            until = min(last, begin + dt.timedelta(days=each - 1))
            height = max(2.0, round(_HEIGHT * count / most, 2))
            bars.append(
                Bar(
                    words=_days(begin, until),
                    url=url_of(_within(query, begin, until)),
                    count=count,
                    emergencies=emergencies,
                    x=round(place * width, 3),
                    width=round(width * 0.8, 3),
                    height=height,
                    alarm=min(height, max(1.5, round(height * emergencies / count, 2))) if emergencies else 0,
                )
            )
    return Strip(first, last, bars)


def views_of(
    saved: Sequence[SavedView], protected: Sequence[tuple[str, str]], reading: Reading, url_of: Callable[[str], str], *,
    own_id: str, may_remove_all: bool,
) -> list[View]:  # fmt: skip
    """Return the views that come with the site, then those that were saved."""
    text = str(reading.query)
    made = [
        ("Last two hours", "after:-2h"),
        *(
            (f"Quarter, {name}", str(Query((Term(code, "env"), Term("quarter", "after")))))
            for code, name in protected
        ),
        ("Emergencies", "is:emergency"),
        ("Taken back", "is:revert"),
    ]
    views = [View(name, url_of(query), query == text) for name, query in made]
    for view in saved:
        own = view.owner_id == own_id
        views.append(
            View(
                name=visible(view.name),
                url=url_of(view.query),
                current=view.query == text and bool(text),
                shared=view.shared,
                owner=None if own else visible(view.owner_name),
                id=str(view.id) if own or may_remove_all else None,
            )
        )
    return views


def _choice(query: Query, word: str, value: str, count: int, chosen: set[str], url_of: UrlOf) -> Choice:
    term = Term(value, word)
    is_chosen = value.lower() in chosen
    if is_chosen:
        same = [each for each in query.of(word) if each.value.lower() == value.lower()]
        return Choice(visible(value), count, chosen=True, url=url_of(query.without(*same)))
    return Choice(visible(value), count, chosen=False, url=url_of(query.with_(term)))


def _turned(query: Query, term: Term) -> Query:
    turned = Term(term.value, term.word, not term.negated, term.prefix)
    return Query(tuple(turned if each == term else each for each in query.terms))


def _within(query: Query, first: dt.date, last: dt.date) -> Query:
    dates = [term for term in query.terms if term.word in ("after", "before")]
    return query.without(*dates).with_(Term(first.isoformat(), "after"), Term(last.isoformat(), "before"))


def _words(term: Term, names: Mapping[str, str]) -> str:
    if term.word is None:
        return f"“{term.value}”"
    value = names.get(term.value, term.value) if term.word == "actor" else term.value
    return f"{term.word}: {value}{'…' if term.prefix else ''}"


def _days(first: dt.date, last: dt.date) -> str:
    words = f"{first.day} {first:%b %Y}"
    return words if first == last else f"{words} to {last.day} {last:%b %Y}"
