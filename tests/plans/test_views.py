"""The pages of plans, as browsers without script use them."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from controlplane.accounts.actor import Role
from controlplane.plans.models import Plan
from controlplane.rollouts.standing import live_entry
from controlplane.runtime.bucketing import size
from tests.page import PageClient
from tests.rollouts.walk import REASON, Walk

ClientAs = Callable[[Role | str], PageClient]
NEW = "/production/rollouts/new?configuration=COACHING_RESPONSE/premium"
GATE = "/production/gates/COACHING_RESPONSE"
PLAN_OF_GATE = f"{GATE}/plan"


@pytest.fixture
def publisher(walk: Walk, client_as: ClientAs) -> PageClient:
    walk.session.commit()
    return client_as(Role.PUBLISHER)


def started(publisher: PageClient, **sent: str) -> str:
    answer = publisher.submit(
        publisher.get(NEW), "/production/rollouts", {"share": "10", "reason": REASON, **sent}
    )
    assert answer.status == 303
    return answer.location or ""


def newest(walk: Walk) -> str:
    """The address of the newest plan."""
    walk.session.expire_all()
    return f"/production/plans/{walk.session.scalar(select(func.max(Plan.number)))}"


def test_a_rollout_is_started_with_a_plan_taken_further_stopped_and_cancelled(
    publisher: PageClient, walk: Walk
) -> None:
    address = started(publisher, plan="standard", share="1")
    page = publisher.get(address)
    assert "Next is 10 %, by itself." in page.body
    assert "a plan for users in production: 1 % 24 h → 10 % 24 h → 50 % 24 h → 100 %" in page.body
    plan = newest(walk)
    sent = {**page.form(f"{plan}/cancel"), "reason": REASON}
    assert publisher.post(f"{plan}/next", {**sent, "reason": ""}).status == 422
    page = publisher.follow(publisher.post(f"{plan}/next", sent))
    assert "Rolling out 10 %" in page.body
    again = publisher.post(f"{plan}/next", sent)
    assert again.status == 409
    assert "since you opened this page" in again.body
    assert publisher.get(plan).status == 200
    page = publisher.follow(publisher.post(f"{plan}/stop", sent))
    assert "Stopped by Publisher" in page.body
    page = publisher.follow(publisher.post(f"{plan}/go-on", sent))
    assert "Next is 50 %, by itself." in page.body
    page = publisher.follow(publisher.post(f"{plan}/cancel", sent))
    assert page.link("Another plan") == f"{address}/plan"
    assert len(walk.owned()[1]) == 10_000


def test_the_form_offers_plans_takes_rows_and_keeps_what_was_typed(publisher: PageClient, walk: Walk) -> None:
    address = f"{started(publisher)}/plan"
    page = publisher.get(address)
    assert page.form(address)["steps.0.share"] == "10"
    page = publisher.submit(page, address, {"shape": "careful", "reason": "kept"})
    assert (page.status, page.form(address)["steps.2.share"], page.form(address)["reason"].strip()) == (
        200,
        "50",
        "kept",
    )
    page = publisher.submit(page, address, {"more": "1"})
    assert page.form(address)["steps.4.share"] == ""
    wrong = {"steps.0.share": "20", "steps.1.share": "10", "steps.2.hold": "soon", "reason": REASON}
    page = publisher.submit(page, address, wrong)
    assert page.status == 422
    assert page.error_of("steps.2.hold") == "Enter how long, such as 24 h, 90 min or 7 days."
    page = publisher.submit(page, address, {"steps.2.hold": "2 h"})
    assert page.error_of("steps.1.share") == "A plan climbs: this is below the 20 % before it."
    page = publisher.follow(publisher.submit(page, address, {"steps.1.share": "", "steps.3.share": ""}))
    assert "a plan for users in production: 20 % 24 h → 50 % (waits for a person)" in page.body
    assert len(walk.owned()[1]) == 20_000
    page = publisher.get(address)
    assert list(page.form(address)) == [
        "revision",
        "steps.0.share",
        "steps.0.hold",
        "steps.0.note",
        "steps.0.waits",
        "reason",
    ]
    page = publisher.follow(publisher.submit(page, address, {"steps.0.share": "60", "reason": REASON}))
    assert "60 % (waits for a person), where it was 50 % (waits for a person)" in page.body
    late = publisher.post(address, {"revision": "1", "steps.0.share": "70", "reason": REASON})
    assert late.status == 409


def test_the_page_says_at_once_what_stops_a_plan(publisher: PageClient, walk: Walk) -> None:
    address = started(publisher, plan="standard")
    publisher.submit(publisher.get(address), address, {"share": "30", "reason": REASON})
    page = publisher.get(address)
    assert "It was moved outside the plan: it is at 30 % since release" in page.body
    plan = newest(walk)
    waiting = publisher.get("/production/")
    assert waiting.link("Version 2 of COACHING_RESPONSE · premium") == plan
    page = publisher.follow(publisher.post(f"{plan}/go-on", {"reason": REASON}))
    assert "Next is 50 %, by itself." in page.body
    publisher.post(f"{address}/abort", {"reason": REASON})
    page = publisher.get(address)
    assert "Aborted at 30 %: nobody is on version 2 by this rollout." in page.body
    assert "Ended with its rollout" in page.body
    assert publisher.post(f"{plan}/go-on", {"reason": REASON}).status == 409


def test_a_gate_begins_its_migration(publisher: PageClient, walk: Walk) -> None:
    assert publisher.get(GATE).link("Give it a plan") == PLAN_OF_GATE
    page = publisher.submit(publisher.get(PLAN_OF_GATE), PLAN_OF_GATE, {"reason": REASON})
    page = publisher.follow(page)
    assert "Every call takes the legacy path." in page.body
    assert "Staging: its gate is open" in page.body
    document = live_entry(walk.session, "production", "gate/COACHING_RESPONSE").document
    assert document is not None
    assert size(document["ranges"]) == 0


def test_a_plan_is_for_one_version_and_others_only_look(
    publisher: PageClient, client_as: ClientAs, walk: Walk
) -> None:
    sent = {"plan": "quick", "also.0.to_version": "2", "also.0.share": "1", "share": "10", "reason": REASON}
    refused = publisher.submit(publisher.get(NEW), "/production/rollouts", sent)
    assert (refused.status, refused.error_of("plan")) == (
        422,
        "A plan is for one version: give each its own on its page.",
    )
    address = started(publisher, plan="quick")
    viewer = client_as(Role.VIEWER)
    assert "Next is 50 %, by itself." in viewer.get(address).body
    plan = newest(walk)
    assert viewer.get(plan).status == 200
    for path in (f"{plan}/next", f"{plan}/cancel", f"{address}/plan"):
        assert viewer.post(path, {"reason": REASON}).status == 403
    for path in ("/staging/plans/1", "/production/plans/99999999999", "/production/rollouts/9999/plan"):
        assert publisher.get(path).status == 404


def test_an_error_stands_at_the_row_it_is_about_when_one_before_was_taken_out(publisher: PageClient) -> None:
    address = f"{started(publisher)}/plan"
    page = publisher.get(address)
    sent = {"steps.0.share": "", "steps.1.share": "60", "steps.2.share": "20", "reason": REASON}
    page = publisher.submit(page, address, sent)
    rows = {name: value for name, value in page.form(address).items() if name.endswith(".share")}
    assert rows == {"steps.0.share": "60", "steps.1.share": "20"}
    assert page.error_of("steps.1.share") == "A plan climbs: this is below the 60 % before it."


def test_a_plan_that_begins_below_where_things_stand_says_so_first(publisher: PageClient) -> None:
    warning = "Its first step lowers it from 100 % to 0 % at once: every call takes the legacy path."
    assert warning in publisher.get(PLAN_OF_GATE).body
    page = publisher.submit(publisher.get(PLAN_OF_GATE), PLAN_OF_GATE, {"steps.0.share": "100", "more": "1"})
    assert "lowers it" not in page.body
    address = f"{started(publisher)}/plan"
    page = publisher.submit(publisher.get(address), address, {"steps.0.share": "5", "more": "1"})
    assert "Its first step lowers it from 10 % to 5 % at once." in page.body
