"""Every way to change something is tried: one change, one event, no more. The ways are in `ways_to_change`."""

import re

import pytest
from sqlalchemy import select

from controlplane.audit import object_links, pages
from controlplane.audit.kinds import KINDS, Holds
from controlplane.audit.models import AuditEvent
from tests.architecture.conftest import Site
from tests.architecture.ways.admin import Admin
from tests.architecture.ways_to_change import IN_TWO_STEPS, NOT_REFUSED, RECORDED, SPOILT, UNRECORDED
from tests.page import PageClient

# "updated it", "changed its price": a verb, with nothing after it that says from what to what.
NO_MORE_THAN_A_VERB = re.compile(r"(updated|changed|saved|edited|modified|set)( \S+){0,3}", re.IGNORECASE)
OBJECTS_WITH_A_PAGE = object_links.KINDS | {"store", "record"}

# A refused sign-in is itself what people want to read of later.
REFUSALS_RECORDED = {"POST /sign-in"}


@pytest.fixture
def admin(site: Site) -> Admin:
    return Admin(site)


def test_every_way_to_change_something_is_tried_here(site: Site) -> None:
    posts = {route.name for route in site.pages if route.method != "GET"}
    assert posts == RECORDED.keys() | UNRECORDED.keys()
    assert not RECORDED.keys() & UNRECORDED.keys()
    assert SPOILT.keys() <= RECORDED.keys()


@pytest.mark.parametrize("route", RECORDED)
def test_a_change_is_recorded_once(admin: Admin, route: str) -> None:
    sent = RECORDED[route](admin)
    before = admin.events
    admin.do(sent)
    assert admin.events == before + (2 if route in IN_TWO_STEPS else 1)
    newest = admin.site.session.scalars(
        select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)
    ).one()
    assert (newest.actor_name, newest.via) == ("Admin One", "browser")
    assert newest.request_id
    says_what_was_done(newest)


def says_what_was_done(event: AuditEvent) -> None:
    """An event of a kind that is listed, in words that name the object and the effect, with what it promises to hold."""
    kind = KINDS[event.action]
    assert not NO_MORE_THAN_A_VERB.fullmatch(event.sentence), event.sentence
    names = {part for part in re.split("[/ ]", event.object_key) if part not in {"*", "default"}}
    assert event.object_kind in {"person", "switch"} or any(name in event.sentence for name in names), (
        event.sentence
    )
    assert event.object_kind in OBJECTS_WITH_A_PAGE
    if kind.holds is Holds.NOTHING:
        assert (event.before, event.after) == (None, None)
    elif kind.holds is Holds.TEXT:
        assert {"version", "sha256"} <= (event.after or {}).keys()
    else:
        assert pages.field_changes(event.before, event.after), event.action


@pytest.mark.parametrize("route", sorted(RECORDED.keys() - NOT_REFUSED - REFUSALS_RECORDED))
def test_a_change_that_is_refused_is_not_recorded(admin: Admin, route: str) -> None:
    address, data = RECORDED[route](admin)
    before = admin.events
    answer = admin.client.post(address, {**data, **(SPOILT.get(route) or {"reason": ""})})
    assert answer.status == 422, answer.body
    assert admin.events == before


@pytest.mark.parametrize("route", UNRECORDED)
def test_what_changes_nothing_for_anybody_else_is_not_recorded(admin: Admin, route: str) -> None:
    reason, case = UNRECORDED[route]
    assert reason
    address, data = case(admin)
    before = admin.events
    answer = admin.client.post(address, data)
    assert answer.status in {200, 303}, answer.text
    assert admin.events == before


def test_a_refused_sign_in_is_recorded_and_says_nothing_of_the_password(admin: Admin) -> None:
    before = admin.events
    answer = PageClient(admin.site.app).sign_in("admin@example.com", "guess-guess-guess")
    assert answer.status == 422
    assert admin.events == before + 1
    newest = admin.site.session.scalars(
        select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)
    ).one()
    assert newest.action == "person.sign_in_refused"
    told = (newest.sentence, newest.reason, newest.before, newest.after, newest.object_key)
    assert "guess" not in str(told)


def test_somebody_who_tries_what_their_role_does_not_cover_is_recorded(site: Site) -> None:
    client = site.client_as("viewer")
    before = Admin(site).events
    assert client.post("/production/releases/1/roll-back", {"reason": "I want to"}).status == 403
    assert client.get("/settings/people").status == 403, "looking is no attempt to change anything"
    assert Admin(site).events == before + 1
    newest = site.session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()
    assert (newest.action, newest.environment, newest.actor_role) == (
        "person.refused",
        "production",
        "viewer",
    )
    assert newest.sentence.startswith(
        "was refused as Viewer: POST /production/releases/1/roll-back needs the role "
    )
