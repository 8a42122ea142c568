"""What is typed to find changes: read, printed and read again; what cannot be read is named in its place."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.audit import conditions
from controlplane.audit.language import DATES, LONGEST, MOST_TERMS, STATES, WORDS, Query, Term, parse, span_of

NOW = dt.datetime(2026, 11, 28, 22, 30, tzinfo=dt.UTC)  # a Saturday

_anything = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
)
_tricky = st.text("\"\\-*: \t\n#'ab", min_size=1, max_size=8)
_free = st.builds(Term, value=_anything | _tricky, negated=st.booleans(), prefix=st.booleans()).filter(
    lambda term: len(term.value) > 1 or not term.prefix
)
_named = st.builds(
    Term,
    value=_anything | _tricky,
    word=st.sampled_from([word for word in WORDS if word not in {*DATES, "is", "release"}]),
    negated=st.booleans(),
    prefix=st.booleans(),
)
_checked = st.one_of(
    st.builds(Term, st.sampled_from(list(STATES)), st.just("is"), st.booleans()),
    st.builds(Term, st.integers(0, 999_999).map(str), st.just("release"), st.booleans()),
    st.builds(Term, st.dates().map(dt.date.isoformat), st.sampled_from(DATES), st.booleans()),
    st.builds(Term, st.sampled_from(["-2h", "-30min", "-7d", "-2w", "today", "quarter"]), st.just("after")),
)
queries = st.lists(_free | _named | _checked, max_size=6).map(tuple).map(Query)


@settings(max_examples=300)
@given(queries)
def test_what_is_printed_is_read_as_the_same(query: Query) -> None:
    reading = parse(str(query))
    assert reading.query == query
    assert reading.problems == ()


@settings(max_examples=300)
@given(st.text(max_size=60) | st.text('"-*: aci\\', max_size=30))
def test_whatever_is_typed_is_read_to_its_end_and_marked_in_its_place(text: str) -> None:
    reading = parse(text)
    assert "".join(words for words, _ in reading.parts) == reading.text
    assert parse(str(reading.query)).query == reading.query
    for problem in reading.problems:
        assert 0 <= problem.start < problem.end <= len(reading.text)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("  two   words ", (Term("two"), Term("words"))),
        ('"two words"', (Term("two words"),)),
        ("-bot", (Term("bot", negated=True),)),
        ("-", (Term("-"),)),
        ("a - b", (Term("a"), Term("-"), Term("b"))),
        ("100 %", (Term("100"), Term("%"))),
        ("actor:ada", (Term("ada", "actor"),)),
        ("ACTOR:Ada", (Term("Ada", "actor"),)),
        ('-actor:"Ada Lovelace"', (Term("Ada Lovelace", "actor", negated=True),)),
        ('action:"say \\"no\\""', (Term('say "no"', "action"),)),
        ("object:configuration/COACHING*", (Term("configuration/COACHING", "object", prefix=True),)),
        ('via:"command l"*', (Term("command l", "via", prefix=True),)),
        ("coach*", (Term("coach", prefix=True),)),
        ('"coaching resp"*', (Term("coaching resp", prefix=True),)),
        ("12:30 http:x", (Term("12:30"),)),
        ('"http:x"', (Term("http:x"),)),
        ("is:revert is:emergency", (Term("revert", "is"), Term("emergency", "is"))),
        ("a\x00b", (Term("ab"),)),
    ],
)
def test_what_is_typed_becomes_terms(text: str, terms: tuple[Term, ...]) -> None:
    assert parse(text).query.terms == terms


@pytest.mark.parametrize(
    ("text", "marked", "message"),
    [
        ("one actr:ada two", "actr:ada", "Unknown word “actr:”. Did you mean “actor:”?"),
        ("xyzzy:1", "xyzzy:1", "There are actor:, action:"),
        ("is:revrt", "is:revrt", "Did you mean “is:revert”?"),
        ("is:purple", "is:purple", "There are is:"),
        ("release:four", "release:four", "A release has a number"),
        ("after:yesterdy", "after:yesterdy", "“yesterdy” is no date. Write 2026-11-22"),
        ("before:2026-02-30", "before:2026-02-30", "is no date"),
        ("b a*", "a*", "Too much begins with “a”"),
        ("env: production", "env:", "“env:” needs a value right behind it"),
        ('x "never closed', '"never closed', "This quotation mark is never closed"),
    ],
)
def test_what_cannot_be_read_is_marked_and_explained(text: str, marked: str, message: str) -> None:
    reading = parse(text)
    assert [words for words, is_marked in reading.parts if is_marked] == [marked]
    assert message in reading.problems[0].message


def test_the_rest_of_the_query_still_counts() -> None:
    assert str(parse("env:production actr:ada summer").query) == "env:production summer"


def test_a_text_and_its_terms_have_an_end() -> None:
    assert len(parse("a" * 5_000).text) == LONGEST
    reading = parse(" ".join(["a"] * (MOST_TERMS + 2)))
    assert len(reading.query.terms) == MOST_TERMS
    assert "the most" in reading.problems[0].message


def test_every_state_says_how_it_is_found() -> None:
    assert set(STATES) == set(conditions.STATES)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("after:2026-11-01", "2026-11-01T00:00", None),
        ("before:2026-11-22", None, "2026-11-23T00:00"),
        ("after:2026-11-01T10:30 before:2026-11-01T11:00", "2026-11-01T10:30", "2026-11-01T11:00"),
        ("after:2026-11-01T10:30+02:00", "2026-11-01T08:30", None),
        ("after:-2h", "2026-11-28T20:30", None),
        ("after:-90min before:-1h", "2026-11-28T21:00", "2026-11-28T21:30"),
        ("after:-1w", "2026-11-21T22:30", None),
        ("after:today", "2026-11-28T00:00", None),
        ("after:week", "2026-11-23T00:00", None),
        ("after:month", "2026-11-01T00:00", None),
        ("after:quarter", "2026-10-01T00:00", None),
        ("after:year before:quarter", "2026-01-01T00:00", "2026-10-01T00:00"),
        ("after:2026-01-01 after:2026-06-01", "2026-06-01T00:00", None),
        ("-after:2026-06-01", None, "2026-06-01T00:00"),
        ("before:9999-12-31", None, "9999-12-31T00:00"),
        ("after:0001-01-01", "0001-01-01T00:00", None),
        ("words", None, None),
    ],
)
def test_dates_leave_a_span(text: str, begin: str | None, end: str | None) -> None:
    span = span_of(parse(text).query, now=NOW)
    assert (span.begin, span.end) == tuple(
        moment and dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC) for moment in (begin, end)
    )


def test_terms_are_added_once_and_taken_away() -> None:
    query = parse("env:production a").query
    both = query.with_(Term("production", "env"), Term("b"))
    assert str(both) == "env:production a b"
    assert str(both.without(Term("a"))) == "env:production b"
