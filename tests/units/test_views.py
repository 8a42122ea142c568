"""The sentences about people, where people read them."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.releases.saved import live_entry
from tests.page import PageClient
from tests.proposals import stage
from tests.rollouts.walk import Walk
from tests.units.calling import counted

NOT_KNOWN = "How many users: not known (no counts of the last day)."
GATE = "/production/gates/COACHING_RESPONSE"
LAST_TOLD = re.compile(r" Counted; last told (\d+ \w+ )?\d\d:\d\d UTC\.")


@pytest.fixture
def publisher(client_as: Callable[[Role | str], PageClient]) -> PageClient:
    return client_as("publisher")


def effect(publisher: PageClient, address: str, **asked: str) -> str:
    (words,) = publisher.get(address, query_string=asked).texts("p", id="rollout-effect")
    assert LAST_TOLD.search(words)
    return LAST_TOLD.sub("", words)


def begun(walk: Walk, share: int = 10_000) -> str:
    number = walk.start(share).number
    walk.session.commit()
    return f"/production/rollouts/{number}"


def test_a_move_says_how_many_users_gain_and_lose_with_and_without_script(
    publisher: PageClient, walk: Walk
) -> None:
    address = begun(walk)
    page = publisher.get(address)
    assert page.texts("p", id="rollout-effect") == ["Version 2 stays at 10 %: nobody moves."]
    counted(walk.session, [*range(100), None])

    assert effect(publisher, f"/_{address}/effect", share="50") == (
        "Raising from 10 % to 50 %: 40,000 of 100,000 buckets move from version 1 to version 2. "
        "Everyone on version 2 stays on it. "
        "About 50 of 100 daily premium users on version 2; 40 gain it, 0 lose it. "
        "1 % of calls named no user: they get the baseline and are not counted."
    )
    page = publisher.get(address)
    (served,) = page.texts("p", id="rollout-effect")
    assert "nobody moves. About 10 of 100 daily premium users on version 2; 0 gain it, 0 lose it." in served
    checked = publisher.submit(page, address, {"share": "1", "step": "check"})
    assert "About 1 of 100 daily premium users on version 2; 0 gain it, 9 lose it." in checked.body


def test_a_start_says_how_many_it_begins_with(publisher: PageClient, walk: Walk) -> None:
    counted(walk.session, range(100))
    begin = "/_/production/rollouts/effect"
    asked = {"configuration": "COACHING_RESPONSE/premium", "to_version": "2", "share": "5"}
    assert effect(publisher, begin, **asked) == (
        "Starting at 5 %: 5,000 of 100,000 buckets move from version 1 to version 2. "
        "About 5 of 100 daily premium users on version 2; 5 gain it, 0 lose it."
    )
    page = publisher.get("/production/rollouts/new?configuration=COACHING_RESPONSE/premium")
    assert "About 10 of 100 daily premium users on version 2; 10 gain it, 0 lose it." in page.body
    uncounted = publisher.get(begin, query_string={**asked, "configuration": "COACHING_RESPONSE/default"})
    assert NOT_KNOWN in uncounted.text


def test_a_gate_counts_those_it_lets_in_and_those_it_keeps_out(publisher: PageClient, walk: Walk) -> None:
    assert NOT_KNOWN in publisher.get(f"/_{GATE}/effect?share=40").text
    counted(walk.session, range(70))
    counted(walk.session, range(50, 100), 0, key="gate/COACHING_RESPONSE")
    counted(walk.session, range(500), 1, key="configuration/COACHING_RESPONSE_TOO/premium/*")
    assert "About 100 of 100 daily users of COACHING_RESPONSE let in; 0 come in" in publisher.get(GATE).body
    assert effect(publisher, f"/_{GATE}/effect", share="40").endswith(
        "About 40 of 100 daily users of COACHING_RESPONSE let in; 0 come in, 60 go out."
    )


def test_whom_a_gate_lets_in_is_not_known_where_configurations_bucket_another_kind(
    publisher: PageClient, walk: Walk
) -> None:
    counted(walk.session, range(50, 100), 0, key="gate/COACHING_RESPONSE")
    assert "daily users of COACHING_RESPONSE let in" in publisher.get(f"/_{GATE}/effect?share=40").text
    counted(walk.session, range(70), kind="tenant")
    assert NOT_KNOWN in publisher.get(f"/_{GATE}/effect?share=40").text


def test_a_proposal_says_how_many_people_each_change_concerns(
    publisher: PageClient, first_data: Session, actor_as: Callable[[Role | str], Actor]
) -> None:
    proposal = stage.make(first_data, actor_as(Role.PUBLISHER))
    first_data.commit()
    address = f"/production/proposals/{proposal.number}"
    assert "How many people that is: not known." in publisher.get(address).body
    counted(first_data, range(100))
    page = publisher.get(address)
    assert "Calls of COACHING_RESPONSE in premium: everyone." in page.body
    assert "About 100 daily premium users." in page.body
    assert "not known" not in page.body


def test_a_changed_template_concerns_those_whose_version_follows_it(
    publisher: PageClient, first_data: Session, actor_as: Callable[[Role | str], Actor]
) -> None:
    key = "prompt/coaching_response"
    document = live_entry(first_data, stage.PRODUCTION, key)
    assert document
    changed = {**document, "version": document["version"] + 1}
    proposal = stage.make(first_data, actor_as(Role.PUBLISHER), entries={key: changed})
    first_data.commit()
    counted(first_data, range(70))
    counted(first_data, range(60, 100), key="configuration/COACHING_RESPONSE/default/*")
    counted(first_data, range(200), 99)  # a version that is no longer live
    page = publisher.get(f"/production/proposals/{proposal.number}")
    assert "About 100 daily users." in page.body


def test_a_start_counts_by_what_it_will_count_by(publisher: PageClient, walk: Walk) -> None:
    counted(walk.session, range(100))
    counted(walk.session, range(10), kind="tenant")
    address = "/_/production/rollouts/effect?configuration=COACHING_RESPONSE/premium&to_version=2&share=10"
    assert "About 10 of 100 daily premium users" in publisher.get(address).text
    assert "About 1 of 10 daily premium tenants" in publisher.get(f"{address}&unit=tenant").text
    assert "How many conversations: not known" in publisher.get(f"{address}&unit=conversation").text
    assert publisher.get(f"{address}&unit=nonsense").status == 200
