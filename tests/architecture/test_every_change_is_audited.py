"""Every way to change something is tried: one change, one event, no more. The ways are in `ways_to_change`."""

import pytest
from sqlalchemy import select

from controlplane.audit.models import AuditEvent
from tests.architecture.conftest import Site
from tests.architecture.ways_to_change import IN_TWO_STEPS, NOT_REFUSED, RECORDED, SPOILT, UNRECORDED, Admin
from tests.page import PageClient

# A refused sign-in is itself what people want to read of later.
REFUSALS_RECORDED = {"POST /sign-in"}


@pytest.fixture
def admin(site: Site) -> Admin:
    return Admin(site)


def test_every_way_to_change_something_is_tried_here(site: Site) -> None:
    posts = {route.name for route in site.routes if route.method != "GET"}
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
    assert newest.sentence


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
