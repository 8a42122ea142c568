import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations.services import archive_configuration
from controlplane.db import now
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.releases import services as releases
from controlplane.releases.history import latest_release
from controlplane.releases.saved import live_entries, saved_entries
from controlplane.rollouts import gates, services, standing
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.standing import State
from controlplane.runtime.bucketing import BUCKETS
from controlplane.runtime.resolver import Request, resolve
from tests.rollouts.walk import KEY, REASON, Walk, second_version, snapshot

ActorAs = Callable[[Role | str], Actor]
ALL = set(range(BUCKETS))


def state_of(walk: Walk, rollout: Rollout) -> State:
    return standing.get_standing(walk.session, walk.environment, rollout.number).state


def test_starting_puts_the_share_on_the_newer_version_and_keeps_the_baseline_first(walk: Walk) -> None:
    walk.start(10_000)
    document = standing.live_entry(walk.session, "production", KEY).document
    assert document is not None
    assert [(each["version"], each["ranges"]) for each in document["variants"]] == [
        (1, [[0, 90_000]]),
        (2, [[BUCKETS, 90_000]]),
    ]
    assert document["salt"] == walk.configuration.salt


def test_raising_takes_nobody_out_and_moves_only_the_difference(walk: Walk) -> None:
    rollout = walk.start(10_000)
    before = walk.owned()
    walk.move(rollout, 50_000)
    after = walk.owned()
    assert before[1] < after[1]
    assert after[0] < before[0]
    assert after[1] - before[1] == before[0] - after[0]
    assert len(after[1]) == 50_000


def test_lowering_gives_up_those_that_came_last(walk: Walk) -> None:
    rollout = walk.start(10_000)
    ten = walk.owned()
    for share in (70_000, 12_345, 10_000):
        walk.move(rollout, share)
    assert walk.owned() == ten


def test_aborting_brings_everyone_back_and_starting_again_takes_the_same_people(walk: Walk) -> None:
    rollout = walk.start(10_000)
    ten = walk.owned()
    walk.move(rollout, 50_000)
    walk.abort(rollout)
    assert walk.owned() == [ALL]
    assert state_of(walk, rollout) is State.ABORTED
    walk.start(10_000)
    assert walk.owned() == ten


def test_everyone_on_it_is_not_yet_the_end(walk: Walk) -> None:
    rollout = walk.start(50_000)
    walk.move(rollout, BUCKETS)
    assert walk.owned() == [set(), ALL]
    assert state_of(walk, rollout) is State.RUNNING
    walk.finish(rollout)
    assert walk.owned() == [ALL]
    assert state_of(walk, rollout) is State.FINISHED
    assert releases.unpublished(walk.session, "production") == []


def test_a_rollout_may_begin_with_nobody(walk: Walk) -> None:
    rollout = walk.start(0)
    assert walk.owned() == [ALL, set()]
    walk.move(rollout, 1)
    assert [len(each) for each in walk.owned()] == [BUCKETS - 1, 1]


def test_a_rollout_after_a_finished_one_keeps_the_promises_too(walk: Walk) -> None:
    walk.finish(walk.start(30_000))
    walk.configuration = second_version(walk.session, replace(walk.actor, role=Role.ADMIN), temperature=0.9)
    rollout = walk.start(20_000, to_version=3)
    twenty = walk.owned()
    for share in (90_000, 0, 20_000):
        walk.move(rollout, share)
    assert walk.owned() == twenty


def test_the_runtime_follows_every_move(walk: Walk) -> None:
    units = [f"u-{number}" for number in range(2_000)]

    def on_two() -> set[str]:
        live = snapshot(walk.session)
        at = now()
        found = {
            unit: resolve(live, Request("COACHING_RESPONSE", "premium", unit=unit), now=at).variant.version
            for unit in units
        }
        return {unit for unit, version in found.items() if version == 2}

    rollout = walk.start(10_000)
    ten = on_two()
    assert 0.07 < len(ten) / len(units) < 0.13
    walk.move(rollout, 50_000)
    assert ten < on_two()
    walk.abort(rollout)
    assert on_two() == set()


def test_each_move_is_one_event_in_words_and_one_release(walk: Walk) -> None:
    first = latest_release(walk.session, "production")
    assert first is not None
    rollout = walk.start(10_000)
    walk.move(rollout, 50_000)
    walk.move(rollout, 25_000)
    walk.abort(rollout)
    walk.finish(walk.start(100))
    told = [(event.action, event.sentence) for event in walk.events()]
    name = "COACHING_RESPONSE · premium"
    assert [action for action, _ in told] == [
        "rollout.started",
        "rollout.raised",
        "rollout.lowered",
        "rollout.aborted",
        "rollout.started",
        "rollout.finished",
    ]
    words = [sentence for _, sentence in told]
    assert words[0].startswith(f"started version 2 of {name} at 10 % of users in production (temperature ")
    assert words[1].startswith(
        f"raised version 2 of {name} from 10 % to 50 % of users in production (temperature "
    )
    assert words[2].startswith(
        f"lowered version 2 of {name} from 50 % to 25 % of users in production (temperature "
    )
    assert words[3].startswith(
        f"aborted version 2 of {name} at 25 % of users in production: everyone is back on version 1 (temperature 0.3 → "
    )
    assert words[5].startswith(
        f"finished version 2 of {name} in production: it is the only one now, the last 99.9 % of users moved, "
        "version 1 is out (temperature "
    )
    assert [event.release for event in walk.events()] == list(range(first.number + 1, first.number + 7))
    assert {event.reason for event in walk.events()} == {REASON}
    assert {(event.object_kind, event.object_key) for event in walk.events()} == {
        ("configuration", "COACHING_RESPONSE/premium")
    }
    every = walk.events(prefix="")[-6:]
    assert every == walk.events()


def test_only_publishers_move_shares(walk: Walk, actor_as: ActorAs) -> None:
    rollout = walk.start(10_000)
    for role in (Role.VIEWER, Role.EDITOR):
        walk.actor = actor_as(role)
        for act in (
            lambda: walk.start(10_000),
            lambda: walk.move(rollout, 20_000),
            lambda: walk.abort(rollout),
            lambda: walk.finish(rollout),
        ):
            with pytest.raises(Forbidden):
                act()
        with pytest.raises(Forbidden):
            gates.set_gate(
                walk.session, "production", "COACHING_RESPONSE", share=1, reason=REASON, actor=walk.actor
            )


@pytest.mark.parametrize("version", [1, 3])
def test_a_version_that_is_live_or_not_there_cannot_be_rolled_out(walk: Walk, version: int) -> None:
    with pytest.raises(Refused) as refusal:
        walk.start(10_000, to_version=version)
    assert list(refusal.value.errors) == ["to_version"]


def test_a_second_rollout_of_the_same_configuration_is_a_conflict(walk: Walk) -> None:
    walk.start(10_000)
    with pytest.raises(Conflict, match="runs already"):
        walk.start(20_000)


def test_what_is_not_live_cannot_be_rolled_out(walk: Walk) -> None:
    releases.publish_entries(
        walk.session,
        "production",
        {KEY: None},
        reason=REASON,
        actor=walk.actor,
        action="release.published",
        sentence="took it out",
        source_name="test",
    )
    with pytest.raises(Refused, match="Publish it first"):
        walk.start(10_000)


def test_what_is_archived_cannot_be_rolled_out(walk: Walk) -> None:
    archive_configuration(
        walk.session, walk.configuration, reason=REASON, actor=replace(walk.actor, role=Role.ADMIN)
    )
    with pytest.raises(Refused, match="archived"):
        walk.start(10_000)


@pytest.mark.parametrize("share", [-1, BUCKETS + 1])
def test_the_service_keeps_the_bounds_too(walk: Walk, share: int) -> None:
    with pytest.raises(Refused) as refusal:
        walk.start(share)
    assert list(refusal.value.errors) == ["share"]


def test_a_share_that_is_set_already_is_refused(walk: Walk) -> None:
    rollout = walk.start(10_000)
    with pytest.raises(Refused, match="10 % already"):
        walk.move(rollout, 10_000)


def test_a_protected_environment_wants_a_reason(walk: Walk) -> None:
    rollout = walk.start(10_000)
    with pytest.raises(Refused) as refusal:
        services.set_share(walk.session, rollout, share=20_000, reason="because", actor=walk.actor)
    assert list(refusal.value.errors) == ["reason"]
    assert len(walk.owned()[1]) == 10_000


def test_a_page_made_before_a_move_cannot_undo_it(walk: Walk) -> None:
    rollout = walk.start(10_000)
    seen = walk.release
    walk.move(rollout, 50_000, base=seen)
    stale: list[Callable[[], None]] = [
        lambda: walk.move(rollout, 20_000, base=seen),
        lambda: walk.abort(rollout, base=seen),
    ]
    for late in stale:
        with pytest.raises(Conflict, match=f"at 50 % since release {walk.release}, by Publisher One"):
            late()
    assert len(walk.owned()[1]) == 50_000


def test_a_page_made_before_the_live_version_changed_cannot_start(walk: Walk) -> None:
    seen = walk.release
    walk.finish(walk.start(10_000))
    with pytest.raises(Conflict, match="changed meanwhile"):
        walk.start(10_000, to_version=1, base=seen)


def test_other_releases_do_not_stand_in_the_way(walk: Walk) -> None:
    rollout = walk.start(10_000)
    seen = walk.release
    gates.set_gate(
        walk.session, "production", "COACHING_RESPONSE", share=50_000, reason=REASON, actor=walk.actor
    )
    walk.move(rollout, 20_000, base=seen)
    assert len(walk.owned()[1]) == 20_000


def test_a_rollback_ends_a_rollout_and_the_next_writer_records_it(walk: Walk) -> None:
    rollout = walk.start(10_000)
    releases.roll_back(walk.session, "production", to=1, reason=REASON, actor=walk.actor)
    here = standing.get_standing(walk.session, "production", rollout.number)
    assert here.state is State.ABORTED
    assert here.share == 10_000
    assert standing.running(walk.session, "production") == []
    assert [each.number for each in standing.past(walk.session, "production")] == [rollout.number]
    assert rollout.state == "running"
    late_moves: list[Callable[[], None]] = [
        lambda: walk.move(rollout, 20_000),
        lambda: walk.abort(rollout),
        lambda: walk.finish(rollout),
    ]
    for late in late_moves:
        with pytest.raises(Conflict, match="is over since release 3"):
            late()
    again = walk.start(20_000)
    assert (rollout.state, rollout.ended_by) == ("aborted", "Publisher One")
    assert [each.number for each in standing.running(walk.session, "production")] == [again.number]


def test_a_rollback_into_a_rollout_makes_it_run_again(walk: Walk) -> None:
    rollout = walk.start(10_000)
    middle = walk.release
    ten = walk.owned()
    walk.abort(rollout)
    walk.finish(walk.start(30_000))
    releases.roll_back(walk.session, "production", to=middle, reason=REASON, actor=walk.actor)
    running = standing.running(walk.session, "production")
    assert len(running) == 1
    assert walk.owned() == ten
    resumed = running[0].rollout
    walk.move(resumed, 20_000)
    assert resumed.state == "running"
    assert resumed.ended_at is None
    assert ten[1] < walk.owned()[1]
    rows = walk.session.scalars(select(Rollout).where(Rollout.state == "running")).all()
    assert rows == [resumed]


def test_while_it_runs_publishing_leaves_it_alone(walk: Walk) -> None:
    rollout = walk.start(10_000)
    walk.configuration = second_version(walk.session, replace(walk.actor, role=Role.ADMIN), temperature=0.9)
    saved, _ = saved_entries(walk.session, "production")
    assert saved[KEY] == live_entries(walk.session, "production")[KEY]
    assert state_of(walk, rollout) is State.RUNNING


def test_environments_do_not_touch_each_other(walk: Walk) -> None:
    before = standing.live_entry(walk.session, "staging", KEY)
    rollout = walk.start(10_000)
    assert standing.live_entry(walk.session, "staging", KEY) == before
    with pytest.raises(NotFound):
        standing.get_standing(walk.session, "staging", rollout.number)
    walk.environment = "staging"
    walk.start(20_000)
    assert [len(each) for each in walk.owned()] == [80_000, 20_000]


def test_of_two_who_move_at_once_one_is_told(engine: Engine, actor_as: ActorAs) -> None:
    """Two people on the same page, pressing Apply at the same moment: real transactions on a real Postgres."""
    with Session(engine, expire_on_commit=False) as session:
        configuration = second_version(session, actor_as(Role.ADMIN))
        walk = Walk(session, actor_as(Role.PUBLISHER), configuration)
        number, seen = walk.start(10_000).number, walk.release
        session.commit()
    barrier = threading.Barrier(4)
    outcomes: list[int | None] = []

    def move(share: int) -> None:
        with Session(engine, expire_on_commit=False) as session:
            rollout = services.get_rollout(session, "production", number)
            session.commit()
            barrier.wait()
            try:
                services.set_share(
                    session, rollout, share=share, reason=REASON, actor=actor_as(Role.PUBLISHER), base=seen
                )
                session.commit()
                outcomes.append(share)
            except Conflict:
                outcomes.append(None)

    threads = [threading.Thread(target=move, args=(share,)) for share in (20_000, 30_000, 40_000, 50_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [share for share in outcomes if share is not None]
    assert len(won) == 1
    assert outcomes.count(None) == 3
    with Session(engine) as session:
        assert standing.get_standing(session, "production", number).share == won[0]


def test_of_two_who_start_at_once_one_is_told(engine: Engine, actor_as: ActorAs) -> None:
    with Session(engine, expire_on_commit=False) as session:
        configuration = second_version(session, actor_as(Role.ADMIN))
    barrier, outcomes = threading.Barrier(2), []

    def begin(share: int) -> None:
        with Session(engine, expire_on_commit=False) as session:
            barrier.wait()
            try:
                Walk(session, actor_as(Role.PUBLISHER), configuration).start(share)
                session.commit()
                outcomes.append("started")
            except Conflict:
                outcomes.append("told")

    threads = [threading.Thread(target=begin, args=(share,)) for share in (10_000, 20_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["started", "told"]
