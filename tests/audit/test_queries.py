import pytest
from sqlalchemy.orm import Session

from controlplane.audit import finding, queries, walking
from controlplane.audit.conditions import Wanted
from controlplane.audit.finding import MOST_COUNTED, PAGE, Figures, Found, find
from controlplane.audit.inputs import asked_of
from controlplane.audit.language import parse
from controlplane.errors import NotFound
from tests.audit.events import ADA, GRACE, move_last_to, told


def found(session: Session, text: str = "", **cursors: int | None) -> Found:
    reading = parse(text)
    assert reading.problems == ()
    return find(session, Wanted(reading.query), **cursors)


def sentences(session: Session, text: str = "") -> list[str]:
    return [event.sentence for event in found(session, text).events]


@pytest.fixture
def some(session: Session) -> Session:
    told(session, "added model GPT_5", action="model.added")
    told(
        session,
        "published release 4",
        action="release.published",
        object_kind="release",
        object_key="production/4",
        environment="production",
        release=4,
        reason="The cheaper model, for summer",
        before={"configuration/COACHING_RESPONSE/premium/*": {"model": "GPT_5"}},
    )
    told(
        session,
        "archived tier free",
        actor=GRACE,
        action="tier.archived",
        object_kind="tier",
        object_key="free",
    )
    told(session, "raised the gate to 100 %", actor=GRACE, action="gate.raised", object_kind="gate",
         object_key="KPI_ANALYSIS", environment="staging", emergency=True)  # fmt: skip
    return session


ADDED, PUBLISHED, ARCHIVED, RAISED = (
    "added model GPT_5", "published release 4", "archived tier free", "raised the gate to 100 %",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [RAISED, ARCHIVED, PUBLISHED, ADDED]),
        ("actor:ada-1", [PUBLISHED, ADDED]),
        ('actor:"ada LOVELACE"', [PUBLISHED, ADDED]),
        ("actor:ada", []),
        ("actor:ada*", [PUBLISHED, ADDED]),
        ("actor:ada-1 actor:grace-1", [RAISED, ARCHIVED, PUBLISHED, ADDED]),
        ("-actor:ada-1", [RAISED, ARCHIVED]),
        ("action:tier.archived", [ARCHIVED]),
        ("action:tier action:published", [ARCHIVED, PUBLISHED]),
        ("action:rel*", [PUBLISHED]),
        ("kind:model", [ADDED]),
        ("object:production/4", [PUBLISHED]),
        ("object:release/production/4", [PUBLISHED]),
        ("object:configuration/COACHING_RESPONSE/premium", [PUBLISHED]),
        ("object:coaching_response", [PUBLISHED]),
        ("object:COACHING*", [PUBLISHED]),
        ("object:coaching", []),
        ("kind:model object:production/4", []),
        ("tier:premium", [PUBLISHED]),
        ("tier:free", [ARCHIVED]),
        ("env:staging", [RAISED]),
        ("-env:staging -env:production", [ARCHIVED, ADDED]),
        ("release:4", [PUBLISHED]),
        ("release:40", []),
        ("via:browser", [RAISED, ARCHIVED, PUBLISHED, ADDED]),
        ("is:emergency", [RAISED]),
        ("-is:emergency -is:revert", [ARCHIVED, PUBLISHED, ADDED]),
        ("is:revert", []),
        ("PUBLISHED", [PUBLISHED]),
        ("publ", []),
        ("publ*", [PUBLISHED]),
        ("ublished*", []),
        ("summer", [PUBLISHED]),
        ("hopper", [RAISED, ARCHIVED]),
        ("grace tier", [ARCHIVED]),
        ("-grace", [PUBLISHED, ADDED]),
        ("100 %", [RAISED]),
        ("GPT_5", [ADDED]),
        ("gpt", [ADDED]),
        ("G_T", []),
        ("5 added", [ADDED]),
        ("%", [RAISED]),
        ("-%", [ARCHIVED, PUBLISHED, ADDED]),
        ('"cheaper model, for"', [PUBLISHED]),
        ('"cheaper mod"', []),
        ('"cheaper mod"*', [PUBLISHED]),
        ("-publ*", [RAISED, ARCHIVED, ADDED]),
        ('"model cheaper"', []),
        ('-"cheaper model"', [RAISED, ARCHIVED, ADDED]),
        ("actor:grace-1 env:staging", [RAISED]),
        ("actor:nobody", []),
        ("after:-1h", [RAISED, ARCHIVED, PUBLISHED, ADDED]),
        ("before:-1h", []),
        ("after:0001-01-01 before:9999-12-31", [RAISED, ARCHIVED, PUBLISHED, ADDED]),
        ("actor:\\ -actor:' \\' '", []),
    ],
)
def test_every_term_narrows_to_what_it_says(some: Session, text: str, expected: list[str]) -> None:
    assert sentences(some, text) == expected


def test_dates_include_both_of_their_days(session: Session) -> None:
    for day in ("20T23:59:59.999999", "21T00:00:00", "22T23:59:59.999999", "23T00:00:00"):
        told(session, day)
        move_last_to(session, f"2026-11-{day}+00:00")
    assert sentences(session, "after:2026-11-21 before:2026-11-22") == ["22T23:59:59.999999", "21T00:00:00"]


def test_paging_meets_every_event_once_in_both_directions(session: Session) -> None:
    for number in range(PAGE * 2 + 7):
        told(session, str(number), actor=ADA if number % 3 else GRACE)
    pages = [found(session)]
    while pages[-1].older is not None:
        pages.append(found(session, older_than=pages[-1].older))
    forth = [event.sequence for page in pages for event in page.events]
    assert forth == list(range(PAGE * 2 + 7, 0, -1))
    assert [len(page.events) for page in pages] == [PAGE, PAGE, 7]
    back = [pages[-1]]
    while back[-1].newer is not None:
        back.append(found(session, newer_than=back[-1].newer))
    assert [event.sequence for page in reversed(back) for event in page.events] == forth


def test_paging_does_not_repeat_when_something_happens_meanwhile(session: Session) -> None:
    for number in range(PAGE + 3):
        told(session, str(number))
    first = found(session)
    told(session, "meanwhile")
    second = found(session, older_than=first.older)
    assert [event.sentence for event in second.events] == ["2", "1", "0"]
    assert found(session, newer_than=first.newer or first.events[0].sequence).events


def test_paging_keeps_to_the_filter(session: Session) -> None:
    for number in range(PAGE * 2 + 2):
        told(session, str(number), actor=ADA if number % 2 else GRACE)
    wanted = f"actor:{GRACE.id}"
    first = found(session, wanted)
    rest = found(session, wanted, older_than=first.older)
    assert {event.actor_id for event in [*first.events, *rest.events]} == {GRACE.id}
    assert (len(first.events), len(rest.events), rest.older, first.newer) == (PAGE, 1, None, None)
    assert (first.figures.total, first.figures.words, rest.figures.total) == (
        PAGE + 1,
        "51 changes",
        PAGE + 1,
    )


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (0, "0 changes"),
        (1, "1 change"),
        (1200, "1,200 changes"),
        (9_999, "9,999 changes"),
        (10_000, "10,000 or more changes"),
    ],
)
def test_the_number_of_matches_is_honest_about_where_counting_stopped(total: int, words: str) -> None:
    assert Figures(total).words == words


def test_the_changes_of_an_object_leave_out_other_environments_but_not_what_belongs_to_all(
    session: Session,
) -> None:
    told(session, "everywhere")
    told(session, "here", environment="production")
    told(session, "elsewhere", environment="staging")
    told(session, "of another", object_key="CLAUDE")
    of = queries.changes_of
    assert [e.sentence for e in of(session, "model", "GPT_5", "production")] == ["here", "everywhere"]
    assert [e.sentence for e in of(session, "model", "GPT_5")] == ["elsewhere", "here", "everywhere"]
    assert [e.sentence for e in of(session, "model", "GPT_5", limit=1)] == ["elsewhere"]


def test_an_event_is_found_by_its_id_in_any_case_and_has_its_neighbours(some: Session) -> None:
    first, second, *_ = reversed(found(some).events)
    assert queries.get_event(some, second.id.lower()) is second
    before, after = queries.neighbours(some, second)
    assert before is first
    assert after is not None
    assert after.sequence == 3
    assert queries.neighbours(some, first)[0] is None


@pytest.mark.parametrize("identifier", ["nothing", "", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "with\x00nul"])
def test_an_unknown_id_is_not_found(session: Session, identifier: str) -> None:
    with pytest.raises(NotFound):
        queries.get_event(session, identifier)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"q": " two words "}, "two words"),
        ({"actor": "ada-1", "after": "2026-11-01", "before": ""}, "actor:ada-1 after:2026-11-01"),
        ({"q": "x", "actor": "Ada L"}, 'x actor:"Ada L"'),
        ({"object_kind": "model", "object_key": "GPT_5"}, "object:model/GPT_5"),
        ({"object_kind": "switch", "environment": "staging"}, "env:staging kind:switch"),
        ({"object_key": "GPT_5", "action": "model.changed"}, "action:model.changed object:GPT_5"),
        ({"actor": "\x00", "q": "a\x00"}, "a"),
    ],
)
def test_an_address_of_before_the_language_says_the_same_in_it(given: dict[str, str], text: str) -> None:
    asked = asked_of(given)
    assert str(asked.query) == text
    assert asked.reading.problems == ()


@pytest.mark.parametrize(("cursor", "understood"), [("40", 40), ("-1", None), ("٣", None), ("9" * 30, None)])
def test_a_place_in_the_list_that_makes_no_sense_is_named_and_left_out(
    cursor: str, understood: int | None
) -> None:
    for name in ("older", "newer"):
        asked = asked_of({name: cursor})
        assert {asked.older_than, asked.newer_than} == {understood, None}
        assert len(asked.not_understood) == (understood is None)


def test_what_is_rare_is_found_behind_what_is_common(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "FIRST_STEP", 3)
    told(session, "the rare one", actor=GRACE)
    for number in range(12):
        told(session, f"common {number}")
    told(session, "the last rare one", actor=GRACE)
    assert sentences(session, "rare") == ["the last rare one", "the rare one"]
    assert sentences(session, "rare before:-1h") == []
    assert len(sentences(session, "common")) == 12
    (_, rare) = found(session, "rare").events
    assert [event.sentence for event in found(session, "rare", older_than=rare.sequence + 1).events] == [
        rare.sentence
    ]
    assert len(found(session, "-rare", newer_than=rare.sequence).events) == 12
    assert [event.sentence for event in found(session, "rare", newer_than=rare.sequence).events] == [
        "the last rare one"
    ]


def test_counts_of_values_are_those_of_what_was_found(some: Session) -> None:
    figures = found(some, "-kind:tier").figures
    assert figures.values["actor"] == [("Ada Lovelace", 2), ("Grace Hopper", 1)]
    assert figures.values["env"] == [("production", 1), ("staging", 1)]
    assert figures.values["kind"] == [("gate", 1), ("model", 1), ("release", 1)]
    assert list(figures.days.values()) == [(3, 1)]


def test_counting_stops_where_it_says(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_COUNTED", 3)
    for number in range(5):
        told(session, f"change {number}")
    first = found(session)
    assert (first.figures.total, first.figures.capped, len(first.figures.days)) == (3, True, 1)
    assert sum(count for count, _ in first.figures.days.values()) == 3
    assert found(session, older_than=3).older is None
    assert MOST_COUNTED == 10_000
