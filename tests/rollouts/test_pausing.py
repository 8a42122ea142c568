"""A rollout that is held where it is."""

from collections.abc import Callable

import pytest

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.releases import services as releases
from controlplane.rollouts import services, standing
from tests.page import PageClient
from tests.rollouts.walk import REASON, Walk

ActorAs = Callable[[Role | str], Actor]
ClientAs = Callable[[Role | str], PageClient]


def test_a_paused_rollout_is_lowered_and_aborted_but_neither_raised_nor_finished(walk: Walk) -> None:
    rollout = walk.start(10_000)
    release = walk.release
    walk.pause(rollout)
    assert (walk.release, len(walk.owned()[1])) == (release, 10_000)
    with pytest.raises(
        Refused, match=r"paused by Publisher One: “a test of moving shares”[.] Resume it before you raise"
    ):
        walk.move(rollout, 20_000)
    with pytest.raises(Refused, match="before you finish it"):
        walk.finish(rollout)
    with pytest.raises(Refused, match="Resume it first"):
        walk.pause(rollout)
    walk.move(rollout, 5_000)
    assert standing.get_standing(walk.session, "production", rollout.number).label == "Paused at 5 %"
    walk.abort(rollout)
    assert rollout.paused_at is None


def test_after_resuming_the_same_people_are_on_it_and_more_may_come(walk: Walk) -> None:
    rollout = walk.start(10_000)
    ten = walk.owned()
    walk.pause(rollout)
    walk.resume(rollout)
    assert walk.owned() == ten
    walk.move(rollout, 20_000)
    assert ten[1] < walk.owned()[1]
    with pytest.raises(Refused, match="not paused"):
        walk.resume(rollout)


def test_each_is_told_with_its_effect_and_its_reason_and_makes_no_release(walk: Walk) -> None:
    rollout = walk.start(10_000)
    walk.pause(rollout)
    walk.resume(rollout)
    told = [(event.action, event.sentence, event.reason, event.release) for event in walk.events()[1:]]
    name = "version 2 of COACHING_RESPONSE · premium at 10 % of users in production"
    assert told == [
        (
            "rollout.paused",
            f"paused {name}: nobody moves, and it is not raised until it is resumed",
            REASON,
            None,
        ),
        ("rollout.resumed", f"resumed {name}: it may be raised again", REASON, None),
    ]


def test_who_may_and_what_is_over(walk: Walk, actor_as: ActorAs) -> None:
    rollout = walk.start(10_000)
    walk.actor = actor_as(Role.EDITOR)
    with pytest.raises(Forbidden):
        walk.pause(rollout)
    walk.actor = actor_as(Role.ON_CALL)
    with pytest.raises(Refused) as refusal:
        services.pause(walk.session, rollout, reason="short", actor=walk.actor)
    assert list(refusal.value.errors) == ["reason"]
    walk.pause(rollout)
    with pytest.raises(Forbidden):
        walk.resume(rollout)
    walk.actor = actor_as(Role.PUBLISHER)
    releases.roll_back(walk.session, "production", to=1, reason=REASON, actor=walk.actor)
    with pytest.raises(Conflict, match="over since"):
        walk.resume(rollout)
    walk.start(20_000)
    assert rollout.paused_at is None


def test_the_page_pauses_says_so_and_resumes(walk: Walk, client_as: ClientAs) -> None:
    rollout = walk.start(10_000)
    walk.session.commit()
    address = f"/production/rollouts/{rollout.number}"
    client = client_as(Role.PUBLISHER)
    assert client.get(f"{address}/resume").location == address
    page = client.follow(client.submit(client.get(address), f"{address}/pause", {"reason": REASON}))
    assert "Paused at 10 %" in page.body
    assert "Paused by Publisher" in page.body
    assert "Raise to 50 %" not in page.body
    late = client.submit(page, address, {"share": "50", "reason": REASON})
    assert late.status == 422
    assert "Resume it before you raise it" in (late.error_of("share") or "")
    again = client.submit(client.get(f"{address}/resume"), f"{address}/resume", {"reason": "short"})
    assert (again.status, bool(again.error_of("reason"))) == (422, True)
    page = client.follow(client.submit(again, f"{address}/resume", {"reason": REASON}))
    assert "Rolling out 10 %" in page.body
    assert "resumed version 2" in page.body
