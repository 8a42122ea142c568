import datetime as dt
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.audit import queries
from controlplane.audit.inputs import asked_of
from controlplane.audit.queries import PAGE, Filter
from controlplane.errors import NotFound
from tests.audit.events import ADA, GRACE, told


def sentences(session: Session, **wanted: Any) -> list[str]:
    return [event.sentence for event in queries.changes(session, Filter(**wanted)).events]


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
         object_key="KPI_ANALYSIS", environment="staging")  # fmt: skip
    return session


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["raised the gate to 100 %", "archived tier free", "published release 4", "added model GPT_5"]),
        ({"actor": "ada-1"}, ["published release 4", "added model GPT_5"]),
        ({"action": "tier.archived"}, ["archived tier free"]),
        ({"object_kind": "model"}, ["added model GPT_5"]),
        ({"object_kind": "release", "object_key": "production/4"}, ["published release 4"]),
        ({"object_kind": "model", "object_key": "production/4"}, []),
        ({"environment": "staging"}, ["raised the gate to 100 %"]),
        ({"q": "PUBLISHED"}, ["published release 4"]),
        ({"q": "summer"}, ["published release 4"]),
        ({"q": "hopper"}, ["raised the gate to 100 %", "archived tier free"]),
        ({"q": "grace tier"}, ["archived tier free"]),
        ({"q": "100 %"}, ["raised the gate to 100 %"]),
        ({"q": "GPT_5"}, ["added model GPT_5"]),
        ({"q": "G_T"}, []),
        ({"q": "%"}, ["raised the gate to 100 %"]),
        ({"actor": "grace-1", "environment": "staging"}, ["raised the gate to 100 %"]),
        ({"actor": "nobody"}, []),
    ],
)
def test_every_filter_narrows_to_what_it_says(
    some: Session, wanted: dict[str, str], found: list[str]
) -> None:
    assert sentences(some, **wanted) == found


def test_dates_include_both_of_their_days(session: Session) -> None:
    for day in ("20T23:59:59.999999", "21T00:00:00", "22T23:59:59.999999", "23T00:00:00"):
        told(session, day)
        move_last_to(session, f"2026-11-{day}+00:00")
    days = {"after": dt.date(2026, 11, 21), "before": dt.date(2026, 11, 22)}
    assert sentences(session, **days) == ["22T23:59:59.999999", "21T00:00:00"]


def move_last_to(session: Session, moment: str) -> None:
    session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    session.execute(
        text(
            "UPDATE audit_events SET at = :moment WHERE sequence = (SELECT max(sequence) FROM audit_events)"
        ),
        {"moment": moment},
    )
    session.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))


def test_paging_meets_every_event_once_in_both_directions(session: Session) -> None:
    for number in range(PAGE * 2 + 7):
        told(session, str(number), actor=ADA if number % 3 else GRACE)
    pages = [queries.changes(session, Filter())]
    while pages[-1].older is not None:
        pages.append(queries.changes(session, Filter(), older_than=pages[-1].older))
    forth = [event.sequence for page in pages for event in page.events]
    assert forth == list(range(PAGE * 2 + 7, 0, -1))
    assert [len(page.events) for page in pages] == [PAGE, PAGE, 7]
    back = [pages[-1]]
    while back[-1].newer is not None:
        back.append(queries.changes(session, Filter(), newer_than=back[-1].newer))
    assert [event.sequence for page in reversed(back) for event in page.events] == forth


def test_paging_does_not_repeat_when_something_happens_meanwhile(session: Session) -> None:
    for number in range(PAGE + 3):
        told(session, str(number))
    first = queries.changes(session, Filter())
    told(session, "meanwhile")
    second = queries.changes(session, Filter(), older_than=first.older)
    assert [event.sentence for event in second.events] == ["2", "1", "0"]
    assert queries.changes(session, Filter(), newer_than=first.newer or first.events[0].sequence).events


def test_paging_keeps_to_the_filter(session: Session) -> None:
    for number in range(PAGE * 2 + 2):
        told(session, str(number), actor=ADA if number % 2 else GRACE)
    wanted = Filter(actor=GRACE.id)
    first = queries.changes(session, wanted)
    rest = queries.changes(session, wanted, older_than=first.older)
    assert {event.actor_id for event in [*first.events, *rest.events]} == {GRACE.id}
    assert (len(first.events), len(rest.events), rest.older, first.newer) == (PAGE, 1, None, None)
    assert (first.total, first.total_words, rest.total) == (PAGE + 1, "51 changes", PAGE + 1)


@pytest.mark.parametrize(
    ("total", "words"),
    [(0, "0 changes"), (1, "1 change"), (1200, "1,200 changes"), (10_001, "more than 10,000 changes")],
)
def test_the_number_of_matches_is_honest_about_where_counting_stopped(total: int, words: str) -> None:
    assert queries.Listed([], total, None, None).total_words == words


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


def test_people_are_offered_once_under_the_name_they_used_last(session: Session) -> None:
    told(session, actor=GRACE)
    told(session, actor=ADA)
    told(session, actor=type(ADA)(kind="person", id=ADA.id, name="Ada King", role=ADA.role, via="browser"))
    assert queries.known_actors(session) == [("ada-1", "Ada King"), ("grace-1", "Grace Hopper")]


def test_an_event_is_found_by_its_id_in_any_case_and_has_its_neighbours(some: Session) -> None:
    first, second, *_ = reversed(queries.changes(some, Filter()).events)
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


def test_an_address_is_read_into_a_filter() -> None:
    asked = asked_of(
        {"q": " two words ", "actor": "ada-1", "after": "2026-11-01", "older": "40", "before": ""}
    )
    assert asked.wanted == Filter(q="two words", actor="ada-1", after=dt.date(2026, 11, 1))
    assert (asked.older_than, asked.newer_than, asked.not_understood) == (40, None, ())
    assert asked.wanted.narrows
    assert not asked_of({"q": "  ", "environment": ""}).wanted.narrows


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"after": "yesterday"}, 1),
        ({"after": "2026-02-30", "before": "x"}, 2),
        ({"older": "-1"}, 1),
        ({"older": "٣"}, 1),
        ({"newer": "9" * 30}, 1),
        ({"q": "a\x00b", "after": "2026-11-22"}, 0),
    ],
)
def test_what_makes_no_sense_in_an_address_is_named_and_left_out(
    given: dict[str, str], problems: int
) -> None:
    asked = asked_of(given)
    assert len(asked.not_understood) == problems
    assert asked.older_than is None
    assert asked.newer_than is None
    assert "\x00" not in (asked.wanted.q or "")


def test_the_first_and_the_last_day_of_all_time_can_be_asked_for(some: Session) -> None:
    asked = asked_of({"after": "0001-01-01", "before": "9999-12-31"})
    assert len(queries.changes(some, asked.wanted).events) == 4
    assert len(queries.changes(some, asked_of({"before": "9999-12-30"}).wanted).events) == 4
