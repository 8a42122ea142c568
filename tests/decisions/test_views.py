"""The pages of recorded calls, and what stands of them on other pages."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import now
from controlplane.decisions.models import ReplayAlarm
from controlplane.prompts.render_pool import shared
from controlplane.releases import trials
from controlplane.releases.composed import Composed, compose_text
from controlplane.releases.rendered import rendered
from controlplane.rollouts.standing import live_entry
from tests.decisions.product import PRODUCTION, Product, calls, decision, put
from tests.page import PageClient, words
from tests.proposals import stage
from tests.rollouts.walk import KEY, Walk, second_version

ClientAs = Callable[[Role | str], PageClient]
RECORDED = "/production/recorded"
INTERACTION = "interaction/COACHING_RESPONSE"
PREMIUM = "configuration/COACHING_RESPONSE/premium/*"


def test_where_nothing_is_recorded_the_page_says_how_to(client_as: ClientAs) -> None:
    page = client_as("viewer").get(RECORDED)
    assert "Nothing was recorded in the last 24 hours" in page.body
    assert "CONTROLPLANE_RECORD_RATE" in page.body
    assert client_as("viewer").get("/production/processes").link("Recorded calls") == RECORDED


async def test_what_was_recorded_is_told_by_interaction_and_call(
    client_as: ClientAs, first_data: Session
) -> None:
    product = Product(first_data)
    await product.call(calls(30))
    product.read()
    put(
        first_data,
        decision(
            interaction="KPI_ANALYSIS",
            tenant="<b>acme</b>",
            path="legacy",
            kept_out="gate",
            milliseconds=1_200,
            parameters={"kpis": [1]},
        ),
        decision(interaction="KPI_ANALYSIS", version=1, model="LARGE"),
        dropped=7,
        rate=5e-324,
    )
    page = client_as("viewer").get(RECORDED)
    rows = [words(row) for row in page.all("tr")]
    assert any(row.startswith("COACHING_RESPONSE 30 ") for row in rows)
    (kpi,) = [row for row in rows if row.startswith("KPI_ANALYSIS 2 50 % ")]
    assert "the legacy path 1" in kpi
    assert "not told 1" in kpi
    newest = next(row for row in rows if "outside of the gate" in row)
    assert "<b>acme</b>" in newest
    assert newest.endswith("1,200 ms kpis")
    assert "from 1 in 1,000,000,000 to all" in page.body, "whoever can write to the store says how many"
    assert "32 wait for it" in page.body
    assert "u-" not in "".join(rows), "no id of a user"


def test_a_batch_that_cannot_be_read_and_an_alarm_are_shown(client_as: ClientAs, first_data: Session) -> None:
    at = now()
    put(first_data, decision())
    first_data.add(
        ReplayAlarm(
            environment=PRODUCTION,
            kind="COACHING_RESPONSE: version",
            first_at=at,
            last_at=at,
            calls=3,
            example={"release": 1, "what": "version", "recorded": 99, "by_release": 1},
        )
    )
    first_data.flush()
    viewer = client_as("viewer")
    (row,) = [words(row) for row in viewer.get(RECORDED).all("tr") if "RESPONSE: version" in words(row)]
    assert row.startswith("COACHING_RESPONSE: version 3 99 1 1")
    first_data.execute(
        update(ReplayAlarm).values(example={"recorded": True, "by_release": False, "release": 1})
    )
    (row,) = [words(row) for row in viewer.get(RECORDED).all("tr") if "RESPONSE: version" in words(row)]
    assert row.startswith("COACHING_RESPONSE: version 3 in out 1")
    overview = viewer.get("/production/")
    assert "COACHING_RESPONSE: version" in words(overview.by_id("replay-alarm"))
    assert overview.link("What was found") == f"{RECORDED}#alarms"
    assert "replay-alarm" not in viewer.get("/staging/").body


def test_a_proposal_says_how_many_recorded_calls_it_changes_and_whose(
    client_as: ClientAs, first_data: Session
) -> None:
    put(
        first_data,
        *(decision(tier="premium", tenant="acme", unit=f"{number:016x}") for number in range(3)),
        decision(tier="premium", tenant="globex"),
        *(decision(tier="basic", tenant="initech") for _ in range(6)),
    )
    ada = stage.person(first_data, Role.EDITOR, "Ada")
    number = stage.make(first_data, ada).number
    first_data.commit()
    viewer = client_as("viewer")

    told = words(viewer.get(f"/production/proposals/{number}").by_id("recorded-calls"))
    assert told.startswith("4 of 10 recorded calls change (40 %), of 2 tenants.")
    assert "1 in 100" in told

    page = viewer.get(f"/production/proposals/{number}/recorded")
    rows = [words(row) for row in page.all("tr")]
    for row in ("acme 3 3 100 %", "globex 1 1 100 %", "premium 4 4 100 %", "COACHING_RESPONSE 4 10 40 %"):
        assert row in rows
    assert not any("initech" in row for row in rows)
    assert "settings: 4" in page.body


@pytest.mark.parametrize(
    ("state", "told"), [("none", "Nothing was recorded"), ("over", "This proposal has ended")]
)
def test_a_proposal_with_nothing_to_say_says_so(
    client_as: ClientAs, first_data: Session, state: str, told: str
) -> None:
    ada = stage.person(first_data, Role.PUBLISHER, "Ada")
    stage.rule(first_data, approvals=0)
    proposal = stage.make_submitted(first_data, ada)
    if state == "over":
        stage.publish(first_data, proposal, ada)
    first_data.commit()
    page = client_as("viewer").get(f"/production/proposals/{proposal.number}/recorded")
    assert told in page.body
    assert client_as("viewer").get("/production/proposals/999/recorded").status == 404


def test_a_move_of_a_share_says_what_it_would_have_done(
    client_as: ClientAs, first_data: Session, actor_as: Callable[[Role | str], Actor]
) -> None:
    actor = actor_as(Role.PUBLISHER)
    rollout = Walk(first_data, actor, second_version(first_data, actor)).start(10_000)
    live = live_entry(first_data, PRODUCTION, KEY).document
    assert live is not None
    salt = f"{live['algorithm']}:{live['salt']}:user"
    put(
        first_data,
        *(
            decision(tier="premium", unit=f"{place:016x}", buckets={salt: 5_000 * place})
            for place in range(20)
        ),
    )
    first_data.commit()
    publisher = client_as(Role.PUBLISHER)
    address = f"/production/rollouts/{rollout.number}"
    assert words(publisher.get(address).by_id("rollout-recorded")) == "", "it stands at 10 %"
    moved = words(publisher.get(f"/_{address}/recorded?share=50").by_id("rollout-recorded"))
    assert "8 of 20 recorded calls change (40 %)" in moved
    page = publisher.get(address)
    checked = publisher.submit(page, address, {"share": "50", "step": "check"})
    assert "8 of 20 recorded calls change" in checked.body, "without script too"
    for share in ("", "abc", "101"):
        assert words(publisher.get(f"/_{address}/recorded?share={share}").by_id("rollout-recorded")) == ""
    assert publisher.get("/_/production/rollouts/999/recorded?share=1").status == 404


def test_a_move_of_several_candidates_is_tried_as_a_whole(
    client_as: ClientAs, first_data: Session, actor_as: Callable[[Role | str], Actor]
) -> None:
    actor = actor_as(Role.PUBLISHER)
    for temperature in (0.3, 0.9):
        configuration = second_version(first_data, actor, temperature=temperature)
    number = Walk(first_data, actor, configuration).start_several({2: 10_000, 3: 10_000})[0].number
    live = live_entry(first_data, PRODUCTION, KEY).document
    assert live is not None
    salt = f"{live['algorithm']}:{live['salt']}:user"
    put(first_data, *(decision(tier="premium", buckets={salt: 5_000 * place}) for place in range(20)))
    publisher = client_as(Role.PUBLISHER)
    address = f"/_/production/rollouts/{number}/recorded?share=30&others.0.version=3&others.0.share="

    def told(share: str) -> str:
        return words(publisher.get(address + share).by_id("rollout-recorded"))

    assert "4 of 20 recorded calls change" in told("10")
    assert "8 of 20 recorded calls change" in told("30")
    assert told("80") == "", "more than there is"


def test_a_move_of_a_gate_says_what_it_would_have_done(client_as: ClientAs, first_data: Session) -> None:
    live = live_entry(first_data, PRODUCTION, "gate/COACHING_RESPONSE").document
    assert live is not None
    salt = f"{live['algorithm']}:{live['salt']}:user"
    put(first_data, *(decision(unit=f"{place:016x}", buckets={salt: 10_000 * place}) for place in range(10)))
    publisher = client_as(Role.PUBLISHER)
    gate = "/production/gates/COACHING_RESPONSE"
    assert words(publisher.get(gate).by_id("rollout-recorded")) == "", "it is open"
    moved = words(publisher.get(f"/_{gate}/recorded?share=30").by_id("rollout-recorded"))
    assert "7 of 10 recorded calls change (70 %)" in moved
    assert publisher.get("/_/production/gates/UNKNOWN%00/recorded?share=30").status == 200


def test_values_of_recorded_calls_are_rendered_beside_the_samples_while_that_is_declared(
    first_data: Session,
) -> None:
    for value in ("Are our values real?", "Are our values real?", "Why?"):
        put(first_data, decision(parameters={"user_message": value, "topic": "Withdrawn"}))
    put(first_data, decision(interaction="KPI_ANALYSIS", parameters={"user_message": "elsewhere"}))

    def composed() -> Composed:
        text = "Answer kindly: {{ user_message }}"
        return compose_text(
            first_data, PRODUCTION, "prompt/coaching_response", text, interaction="COACHING_RESPONSE"
        )

    renders = trials.Renders(first_data, shared())
    (text,) = trials.changing_texts(composed())
    assert renders.recorded(text, []) == [], "of what is declared to be kept no more nothing is shown"
    declared = tuple(
        msgspec.structs.replace(each, recorded="yes") if each.name == "user_message" else each
        for each in text.declared
    )
    begins = replace(text, declared=declared)
    assert renders.recorded(begins, []) == [], "nor of what is not declared so yet: it is of some time before"

    live = live_entry(first_data, PRODUCTION, INTERACTION).document
    assert live is not None
    recorded = [
        {**each, "recorded": "yes"} if each["name"] == "user_message" else each for each in live["parameters"]
    ]
    ada = stage.person(first_data, Role.ADMIN, "Ada")
    stage.rule(first_data, approvals=0)
    proposal = stage.make_submitted(first_data, ada, entries={INTERACTION: {**live, "parameters": recorded}})
    stage.publish(first_data, proposal, ada)
    (text,) = trials.changing_texts(composed())
    assert [each.values for each in renders.recorded(text, [])] == [
        {"user_message": "Why?"},
        {"user_message": "Are our values real?"},
    ], "each value once"
    (told,) = rendered(composed(), trials.Renders(first_data, shared())).texts
    names = [name for group in told.groups for name in group.inputs]
    assert sum(name.startswith("recorded call of 20") for name in names) == 2
    assert not told.failing
