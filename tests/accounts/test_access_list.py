"""Who could do what on any date, replayed from the record."""

import datetime as dt
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts import services
from controlplane.accounts.access_list import (
    ADDED,
    DISABLED,
    ENABLED,
    MADE,
    ROLE_CHANGED,
    UNMADE,
    Access,
    Told,
    access_on,
    replay,
)
from controlplane.accounts.actor import Role
from controlplane.db import now
from tests.page import PageClient
from tests.site import ROOT_ACTOR, add_person

ClientAs = Callable[[Role | str], PageClient]
PEOPLE = ("ada@example.com", "grace@example.com", "linus@example.com")
BEGIN = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def of(people: dict[str, Access]) -> dict[str, tuple[str, bool, bool]]:
    return {email: (each.role.value, each.active, each.may_review) for email, each in people.items()}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, str, str, str]]:
    """Days apart, whom, what, and a role where it is one: nothing is done to anybody before they were added."""
    steps: list[tuple[int, str, str, str]] = []
    known: set[str] = set()
    for _ in range(draw(st.integers(1, 25))):
        email = draw(st.sampled_from(PEOPLE))
        actions = [ROLE_CHANGED, DISABLED, ENABLED, MADE, UNMADE] if email in known else [ADDED]
        known.add(email)
        steps.append(
            (
                draw(st.integers(0, 20)),
                email,
                draw(st.sampled_from(actions)),
                draw(st.sampled_from(list(Role))).value,
            )
        )
    return steps


@given(histories(), st.integers(-5, 400))
@settings(max_examples=60)
def test_any_history_gives_the_right_list_on_every_date(
    steps: Sequence[tuple[int, str, str, str]], days: int
) -> None:
    told: list[Told] = []
    truth: dict[str, tuple[str, bool, bool]] = {}
    day = BEGIN
    until = BEGIN + dt.timedelta(days=days)
    for number, (gap, email, action, role) in enumerate(steps):
        day += dt.timedelta(days=gap)
        after = {"name": email, "role": role} if action in {ADDED, ROLE_CHANGED} else {}
        told.append(Told(id=str(number), at=day, action=action, email=email, by=f"by {number}", after=after))
        if day >= until:
            continue
        had = truth.get(email)
        if action == ADDED:
            truth[email] = (role, True, False)
        elif had is not None:
            truth[email] = {
                ROLE_CHANGED: (role, had[1], had[2]),
                DISABLED: (had[0], False, had[2]),
                ENABLED: (had[0], True, had[2]),
                MADE: (had[0], had[1], True),
                UNMADE: (had[0], had[1], False),
            }[action]
    found = replay(each for each in told if each.at < until)
    assert of(found) == truth
    for email, access in found.items():
        giving = [
            each for each in told
            if each.email == email and each.at < until and each.action in {ADDED, ROLE_CHANGED}
        ]  # fmt: skip
        assert (access.granted_in, access.granted_by, access.granted_at) == (
            giving[-1].id, giving[-1].by, giving[-1].at,
        )  # fmt: skip


def test_it_is_told_by_what_the_services_record(session: Session) -> None:
    day = now().date()
    person = add_person(session, "editor", email="zoe@example.com", name="Zoe")
    services.change_role(session, person, role=Role.PUBLISHER, actor=ROOT_ACTOR)
    services.set_reviewer(session, person, may_review=True, actor=ROOT_ACTOR)
    services.disable(session, person, actor=ROOT_ACTOR)
    found = {each.email: each for each in access_on(session, day)}["zoe@example.com"]
    assert (found.name, found.role, found.active, found.may_review) == ("Zoe", Role.PUBLISHER, False, True)
    assert (found.granted_by, found.changed_by) == ("tests", "tests")
    assert "zoe@example.com" not in {each.email for each in access_on(session, day - dt.timedelta(days=1))}
    # Whatever becomes of the row, the list says what was.
    session.execute(text("UPDATE people SET role = 'viewer', active = true WHERE email = 'zoe@example.com'"))
    again = {each.email: each for each in access_on(session, day)}["zoe@example.com"]
    assert again == found


def test_administrators_see_it_on_a_date_and_take_it_along(client_as: ClientAs, session: Session) -> None:
    add_person(session, "editor", email="evil@example.com", name="=cmd|' /C calc'!A0")
    client = client_as("admin")
    page = client.get(client.get("/settings/people").link("Access list on a date"))
    assert "evil@example.com" in page.body
    table = client.get(page.link("CSV"))
    assert table.headers["Content-Type"].startswith("text/csv")
    assert "\"'=cmd|" in table.text
    assert '"=cmd' not in table.text
    assert "Nobody could sign in yet" in client.get("/settings/people/access?on=2020-01-01").body


@pytest.mark.parametrize(
    ("on", "words"), [("soon", "is not a date"), ("9998-01-01", "a day to come")]
)  # fmt: skip
def test_a_date_that_makes_no_sense_is_named(client_as: ClientAs, on: str, words: str) -> None:
    assert words in client_as("admin").get(f"/settings/people/access?on={on}").body
