"""More than one candidate beside the baseline: each a rollout of its own, in one entry."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.accounts.actor import Role
from controlplane.db import Json
from controlplane.errors import Conflict, Refused
from controlplane.proposals.sources import from_environment
from controlplane.releases import services as releases
from controlplane.releases.saved import saved_entries
from controlplane.rollouts import documents, services, standing
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import moved
from controlplane.rollouts.standing import State, live_entry
from controlplane.runtime.bucketing import BUCKETS
from controlplane.runtime.resolver import Request, resolve
from tests.page import PageClient
from tests.rollouts.walk import KEY, REASON, Walk, second_version, snapshot

ClientAs = Callable[[Role | str], PageClient]
NEW = "/production/rollouts/new?configuration=COACHING_RESPONSE/premium"


@pytest.fixture
def walk(walk: Walk) -> Walk:
    """One version is live, two more are saved."""
    walk.configuration = second_version(walk.session, replace(walk.actor, role=Role.ADMIN), temperature=0.9)
    walk.session.commit()
    return walk


def owners(document: Json) -> dict[int, set[int]]:
    return {
        variant["version"]: {bucket for a, b in variant["ranges"] for bucket in range(min(a, b), max(a, b))}
        for variant in document["variants"]
    }


def live_owners(walk: Walk) -> dict[int, set[int]]:
    document = live_entry(walk.session, "production", KEY).document
    assert document is not None
    return owners(document)


def states(rollouts: list[Rollout]) -> list[str]:
    return [rollout.state for rollout in rollouts]


def stacks(document: Json) -> dict[int, list[list[int]]]:
    return {variant["version"]: variant["ranges"] for variant in document["variants"]}


_STEP = st.tuples(st.sampled_from(["add", "set", "abort"]), st.integers(2, 5), st.integers(0, 100))


@settings(max_examples=100, deadline=None)
@given(st.lists(_STEP, min_size=3, max_size=12))
def test_over_any_history_only_the_difference_moves_and_whoever_grows_loses_nobody(
    history: list[tuple[str, int, int]],
) -> None:
    document: Json = {"variants": [{"version": 1, "ranges": [[0, BUCKETS]]}]}
    for what, version, percent in history:
        known = version in documents.versions_of(document)
        left = documents.left_for(document, [version])
        share = min(percent * BUCKETS // 100, left)
        before = stacks(document)
        if what == "add" and not known:
            document = documents.with_candidate(document, {"version": version}, share)
        elif what == "set" and known:
            document = documents.with_shares(document, {version: share})
        elif what == "abort" and known:
            document = documents.without(document, version)
        after = stacks(document)
        edges = sorted((min(pair), max(pair)) for held in after.values() for pair in held)
        assert [start for start, _ in edges[1:]] == [end for _, end in edges[:-1]]
        assert (edges[0][0], edges[-1][1]) == (0, BUCKETS)
        for each in before.keys() | after.keys():
            (move,) = moved([before.get(each, [])], [after.get(each, [])])
            assert 0 in move.counts
            assert each in (1, version) or move.counts == (0, 0)


def test_two_start_at_once_in_one_release_and_the_rest_is_the_baseline_s(walk: Walk) -> None:
    release = walk.release
    two, three = walk.start_several({2: 10_000, 3: 5_000})
    assert walk.release == release + 1
    assert [len(each) for each in walk.owned()] == [85_000, 10_000, 5_000]
    (event,) = walk.events()
    assert event.sentence.startswith("started version 2 of COACHING_RESPONSE · premium at 10 % (temperature ")
    assert ") and version 3 at 5 % of users in production (temperature " in event.sentence
    here = standing.get_standing(walk.session, "production", two.number)
    assert here.sentence == "Version 2 for 10 % of users, version 3 for 5 %, version 1 for the rest."
    assert [each.number for each in standing.running(walk.session, "production")] == [
        three.number,
        two.number,
    ]


def test_one_comes_beside_another_without_touching_it(walk: Walk) -> None:
    walk.start(60_000)
    before = live_owners(walk)
    with pytest.raises(Refused, match="Enter 40 % or less"):
        walk.start(40_001, to_version=3)
    walk.start(30_000, to_version=3)
    assert live_owners(walk)[2] == before[2]
    assert "beside version 2 at 60 %" in walk.events()[-1].sentence
    with pytest.raises(Conflict, match="runs already"):
        walk.start(1, to_version=3)


def test_each_is_moved_alone_or_together_with_the_others(walk: Walk) -> None:
    two, three = walk.start_several({2: 10_000, 3: 10_000})
    before = live_owners(walk)
    walk.move(two, 50_000)
    after = live_owners(walk)
    assert before[2] < after[2]
    assert after[3] == before[3]
    with pytest.raises(Refused, match="Enter 90 % or less"):
        walk.move(two, 90_001)
    services.set_share(walk.session, two, share=80_000, others={3: 20_000}, reason=REASON, actor=walk.actor)
    assert {version: len(held) for version, held in live_owners(walk).items()} == {1: 0, 2: 80_000, 3: 20_000}
    services.set_share(walk.session, two, share=70_000, others={3: 25_000}, reason=REASON, actor=walk.actor)
    assert [(event.action, event.sentence) for event in walk.events()[-2:]] == [
        (
            "rollout.raised",
            "raised version 2 of COACHING_RESPONSE · premium from 50 % to 80 % and version 3 from 10 % to 20 % of users in production",
        ),
        (
            "rollout.moved",
            "moved version 2 of COACHING_RESPONSE · premium from 80 % to 70 % and version 3 from 20 % to 25 % of users in production",
        ),
    ]
    walk.pause(three)
    with pytest.raises(Refused) as refusal:
        services.set_share(walk.session, two, share=1, others={3: 30_000}, reason=REASON, actor=walk.actor)
    assert list(refusal.value.errors) == ["others.0.share"]
    walk.move(two, 71_000)


def test_aborting_one_leaves_the_other_where_it_is(walk: Walk) -> None:
    two, three = walk.start_several({2: 10_000, 3: 10_000})
    before = live_owners(walk)
    walk.abort(two)
    assert live_owners(walk) == {1: before[1] | before[2], 3: before[3]}
    assert walk.events()[-1].sentence.endswith("; version 3 at 10 % goes on")
    assert states([two, three]) == ["aborted", "running"]
    again = walk.start(10_000)
    assert live_owners(walk)[2] == before[2]
    services.abort_all(walk.session, again, reason=REASON, actor=walk.actor)
    assert walk.owned() == [set(range(BUCKETS))]
    assert states([again, three]) == ["aborted", "aborted"]
    assert "aborted versions 2 (10 %) and 3 (10 %) of" in walk.events()[-1].sentence


def test_the_winner_takes_all_and_the_other_was_not_chosen(walk: Walk) -> None:
    two, three = walk.start_several({2: 10_000, 3: 10_000})
    walk.finish(three)
    assert states([two, three]) == ["passed_over", "finished"]
    assert "versions 1 and 2 are out" in walk.events()[-1].sentence
    passed = standing.get_standing(walk.session, "production", two.number)
    assert (passed.state, passed.sentence) == (
        State.PASSED_OVER,
        "Not chosen: version 3 took over for everyone.",
    )
    assert standing.running(walk.session, "production") == []


def test_a_rollback_brings_both_back_and_takes_both_away(walk: Walk) -> None:
    rollouts = walk.start_several({2: 10_000, 3: 10_000})
    middle = walk.release
    walk.finish(rollouts[0])
    releases.roll_back(walk.session, "production", to=middle, reason=REASON, actor=walk.actor)
    assert {each.number for each in standing.running(walk.session, "production")} == {
        each.number for each in rollouts
    }
    walk.move(rollouts[0], 20_000)
    assert states(rollouts) == ["running", "running"]


def test_the_unit_is_chosen_at_the_start_and_kept_until_the_end(walk: Walk) -> None:
    walk.start_several({2: 50_000}, unit="tenant")
    assert walk.events()[-1].sentence.endswith("; it counts tenants from now on, where it counted users")
    live = snapshot(walk.session)

    def version(unit: str, tenant: str) -> int:
        request = Request("COACHING_RESPONSE", "premium", tenant, unit)
        return resolve(live, request, now=walk.configuration.created_at).variant.version

    for tenant in ("acme", "globex", "initech"):
        assert len({version(f"u-{number}", tenant) for number in range(20)}) == 1
    with pytest.raises(Refused, match="would draw everybody again"):
        walk.start_several({3: 10_000}, unit="user")
    with pytest.raises(Refused) as refusal:
        services.abort_all(
            walk.session, standing.running(walk.session, "production")[0].rollout, reason="", actor=walk.actor
        )
    assert list(refusal.value.errors) == ["reason"]
    walk.abort(standing.running(walk.session, "production")[0].rollout)
    saved, _ = saved_entries(walk.session, "production")
    assert saved[KEY]["unit"] == "tenant"
    assert [each.key for each in from_environment(walk.session, "production", "staging").entries] == []
    with pytest.raises(Refused, match="Choose one of"):
        walk.start_several({2: 1}, unit="planet")


def test_promoting_a_rollout_that_counts_otherwise_is_not_ticked(walk: Walk) -> None:
    walk.start_several({2: 50_000}, unit="tenant")
    walk.environment = "staging"
    walk.start_several({2: 10_000})
    (offered,) = from_environment(walk.session, "production", "staging").entries
    assert offered.notes == (
        "Counts users in staging and tenants in production: ticking it draws everybody again.",
    )


def test_the_pages_start_two_move_both_and_end_them(walk: Walk, client_as: ClientAs) -> None:
    client = client_as(Role.PUBLISHER)
    page = client.submit(client.get(NEW), "/production/rollouts", {"more": "1", "share": "10"})
    assert page.status == 200
    sent = {"also.0.to_version": "2", "also.0.share": "5", "reason": REASON, "unit": "user"}
    twice = client.submit(page, "/production/rollouts", {**sent, "also.0.to_version": "3"})
    assert (twice.status, twice.error_of("also.0.to_version")) == (422, "Version 3 is chosen twice.")
    answer = client.submit(twice, "/production/rollouts", sent)
    page = client.follow(answer)
    assert "Version 3 for 10 % of users, version 2 for 5 %, version 1 for the rest." in page.body
    address = answer.location or ""
    assert "has runs" not in page.body
    effect = client.get(f"/_{address}/effect?share=20&others.0.share=1").text
    assert (
        "Version 3 from 10 % to 20 %: 10,000 buckets come. Version 2 from 5 % to 1 %: 4,000 buckets go."
        in effect
    )
    assert "enter less" in client.get(f"/_{address}/effect?share=100").text
    late = client.submit(page, address, {"share": "99", "others.0.share": "2", "reason": REASON})
    assert late.status == 422
    page = client.follow(
        client.submit(late, address, {"share": "20", "others.0.share": "1", "reason": REASON})
    )
    assert "Rolling out 20 %" in page.body
    shown = client.get("/production/configurations/COACHING_RESPONSE/premium")
    assert shown.link("Abort all rollouts")
    ended = client.follow(client.submit(page, f"{address}/abort-all", {"reason": REASON}))
    assert "Aborted at 20 %" in ended.body
    assert walk.owned() == [set(range(BUCKETS))]


def test_a_page_that_is_out_of_date_undoes_nothing_of_the_other_candidates(
    walk: Walk, client_as: ClientAs
) -> None:
    client = client_as(Role.PUBLISHER)
    second, third = walk.start_several({2: 10_000, 3: 20_000})
    walk.session.commit()
    address = f"/production/rollouts/{second.number}"
    page = client.get(address)
    walk.move(third, 60_000)
    walk.session.commit()
    late = client.submit(page, address, {"share": "15", "reason": REASON})
    assert late.status == 409
    assert "You had asked for 15 %, version 3 at 20 %, because" in late.body
    assert late.form(address)["others.0.share"] == "60"
    assert client.submit(late, address).status == 303
    assert [len(held) for held in walk.owned()] == [25_000, 15_000, 60_000]


def test_what_was_typed_for_one_candidate_is_never_shown_for_another(walk: Walk, client_as: ClientAs) -> None:
    walk.configuration = second_version(walk.session, replace(walk.actor, role=Role.ADMIN), temperature=0.1)
    second, third, _ = walk.start_several({2: 10_000, 3: 20_000, 4: 30_000})
    walk.session.commit()
    client = client_as(Role.PUBLISHER)
    address = f"/production/rollouts/{second.number}"
    page = client.get(address)
    walk.abort(third)
    walk.session.commit()
    late = client.submit(page, address, {"share": "many", "reason": REASON})
    assert late.status == 422
    assert (late.form(address)["others.0.version"], late.form(address)["others.0.share"]) == ("4", "30")


def test_each_candidate_was_last_moved_when_it_was_moved_itself(walk: Walk, client_as: ClientAs) -> None:
    second, third = walk.start_several({2: 10_000, 3: 20_000})
    began = walk.release
    walk.move(third, 60_000)
    found = {here.number: here for here in standing.running(walk.session, "production")}
    assert found[second.number].moved.release == began
    assert found[third.number].moved.release == walk.release
    assert {here.last.release for here in found.values()} == {walk.release}
    walk.session.commit()
    page = client_as(Role.VIEWER).get(f"/production/rollouts/{second.number}")
    assert re.search(rf"Last moved\D*release {began}\b", " ".join(page.texts("dl")))
