from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.proposals import reviewing, services
from controlplane.proposals.content import included_in
from controlplane.proposals.models import Proposal
from controlplane.proposals.steps import AlreadyPublished
from controlplane.releases import services as releases
from controlplane.releases.authority import EMERGENCY
from controlplane.releases.diff import digest_of
from controlplane.releases.history import snapshot_of
from controlplane.releases.saved import live_entries, live_entry
from tests.proposals.stage import (
    DEFAULT,
    PREMIUM,
    PRODUCTION,
    REASON,
    approve,
    change,
    events_of,
    make,
    make_submitted,
    person,
    publish,
    reject,
    release_number,
    submit,
    temperature_live,
    warmer,
)


def test_a_change_goes_live_after_somebody_else_agreed(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    release = publish(first_data, proposal, grace)

    assert (proposal.state, proposal.release, release.number, release.proposal) == ("published", 2, 2, 1)
    assert temperature_live(first_data) == 0.9
    assert release.reason == REASON
    told = events_of(first_data, proposal.number)
    assert [each.action for each in told] == [
        "proposal.created",
        "proposal.submitted",
        "proposal.approved",
        "release.published",
    ]
    effect = "COACHING_RESPONSE · premium: temperature 0.7 → 0.9"
    assert [each.sentence for each in told] == [
        f"made proposal 1 of production: {effect}",
        f"submitted proposal 1 of production (it needs 1 approval): {effect}",
        f"approved proposal 1 of production: {effect}",
        f"published release 2 of production: {effect}",
    ]


def test_several_entries_go_live_together(first_data: Session, ada: Actor, grace: Actor) -> None:
    entries = {PREMIUM: warmer(first_data), DEFAULT: warmer(first_data, key=DEFAULT)}
    before = live_entries(first_data, PRODUCTION)
    proposal = make_submitted(first_data, ada, entries=entries)
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)

    after = live_entries(first_data, PRODUCTION)
    assert {key for key in after if after[key] != before[key]} == {PREMIUM, DEFAULT}


def test_what_is_live_already_is_left_out(first_data: Session, ada: Actor) -> None:
    live = live_entry(first_data, PRODUCTION, DEFAULT)
    proposal = make(first_data, ada, entries={PREMIUM: warmer(first_data), DEFAULT: live})
    assert [each.key for each in included_in(first_data, proposal)] == [PREMIUM]
    with pytest.raises(Refused) as refusal:
        make(first_data, ada, entries={DEFAULT: live, "prompt/nowhere": None})
    assert list(refusal.value.errors) == ["entries"]


def test_a_proposal_needs_an_editor_a_reason_and_an_environment(first_data: Session, ada: Actor) -> None:
    with pytest.raises(Forbidden):
        make(first_data, replace(ada, role=Role.VIEWER))
    with pytest.raises(Refused) as refusal:
        make(first_data, ada, reason="because")
    assert list(refusal.value.errors) == ["reason"]
    with pytest.raises(NotFound):
        services.create(
            first_data, "nowhere", entries={PREMIUM: None}, base=1, reason=REASON, source="saved", actor=ada
        )
    with pytest.raises(NotFound):
        make(first_data, ada, entries={PREMIUM: None}, base=77)
    with pytest.raises(NotFound):
        services.get_proposal(first_data, PRODUCTION, 10**30)


def test_what_cannot_be_written_down_is_refused(first_data: Session, ada: Actor) -> None:
    with pytest.raises(Refused) as refusal:
        make(first_data, ada, entries={PREMIUM: {"temperature": float("nan")}})
    assert "COACHING_RESPONSE · premium" in refusal.value.errors[PREMIUM]


def test_nothing_is_proposed_that_the_page_did_not_show(first_data: Session, ada: Actor) -> None:
    entries = {PREMIUM: warmer(first_data)}
    with pytest.raises(Conflict, match="Saved again"):
        make(first_data, ada, entries=entries, seen={PREMIUM: digest_of(warmer(first_data, 0.1))})
    assert make(first_data, ada, entries=entries, seen={PREMIUM: digest_of(entries[PREMIUM])}).number == 1


def test_numbers_count_within_an_environment(first_data: Session, ada: Actor) -> None:
    assert [make(first_data, ada).number for _ in range(2)] == [1, 2]


def test_where_others_have_to_agree_nothing_goes_live_without_them(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    proposal = make_submitted(first_data, ada)
    with pytest.raises(Refused, match="needs 1 approval"):
        publish(first_data, proposal, grace)
    with pytest.raises(Refused, match="propose it for review"):
        releases.publish(
            first_data,
            PRODUCTION,
            source={PREMIUM: warmer(first_data)},
            keys=[PREMIUM],
            reason=REASON,
            actor=grace,
            source_name="saved",
        )
    assert release_number(first_data) == 1


def test_a_page_that_is_out_of_date_changes_nothing(first_data: Session, ada: Actor, grace: Actor) -> None:
    proposal = make_submitted(first_data, ada)
    old = proposal.revision
    change(first_data, proposal, ada)
    for act in (
        lambda: approve(first_data, proposal, grace, revision=old),
        lambda: publish(first_data, proposal, grace, revision=old),
        lambda: change(first_data, proposal, ada, 0.1, revision=old),
        lambda: services.withdraw(first_data, PRODUCTION, 1, revision=old, actor=ada),
    ):
        with pytest.raises(Conflict, match="since you opened this page"):
            act()


def test_where_nobody_has_to_agree_a_draft_may_go_live(first_data: Session, grace: Actor) -> None:
    proposal = make(first_data, grace)
    assert publish(first_data, proposal, grace).proposal == proposal.number
    other = make(first_data, grace, entries={PREMIUM: warmer(first_data, 0.1)})
    assert submit(first_data, other, grace).state == "approved"


def test_publishing_twice_names_the_release(first_data: Session, grace: Actor) -> None:
    proposal = make(first_data, grace)
    publish(first_data, proposal, grace, revision=1)
    with pytest.raises(AlreadyPublished, match="as release 2") as refusal:
        publish(first_data, proposal, grace, revision=1)
    assert refusal.value.release == 2


def test_who_wrote_it_or_may_publish_withdraws(first_data: Session, ada: Actor, grace: Actor) -> None:
    mine, other = make_submitted(first_data, ada), make_submitted(first_data, ada)
    somebody = person(first_data, Role.EDITOR, "Somebody")
    with pytest.raises(Forbidden):
        services.withdraw(first_data, PRODUCTION, mine.number, revision=mine.revision, actor=somebody)
    services.withdraw(
        first_data, PRODUCTION, mine.number, revision=mine.revision, actor=ada, reason="Not now"
    )
    services.withdraw(first_data, PRODUCTION, other.number, revision=other.revision, actor=grace)
    assert (mine.state, mine.note, mine.ended_by, other.ended_by) == ("withdrawn", "Not now", "Ada", "Grace")
    for act in (
        lambda: approve(first_data, mine, grace),
        lambda: publish(first_data, mine, grace),
        lambda: change(first_data, mine, ada),
        lambda: submit(first_data, mine, ada),
    ):
        with pytest.raises(Conflict, match="withdrawn"):
            act()


def test_comments_change_nothing_and_outlive_the_proposal(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    proposal = make_submitted(first_data, ada)
    revision = proposal.revision
    reviewing.comment(first_data, PRODUCTION, 1, body="Why so warm?\r\nReally?", actor=ada)
    assert proposal.revision == revision
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)
    reviewing.comment(first_data, PRODUCTION, 1, body="Live now", actor=grace)
    said = [each.body for each in services.comments_on(first_data, proposal)]
    assert said == ["Why so warm?\nReally?", "Live now"]
    for body in ("", " \n", "x" * 2_001):
        with pytest.raises(Refused):
            reviewing.comment(first_data, PRODUCTION, 1, body=body, actor=ada)
    with pytest.raises(Forbidden):
        reviewing.comment(first_data, PRODUCTION, 1, body="Hm", actor=replace(ada, role=Role.VIEWER))


def test_a_proposal_that_would_not_hold_together_is_refused_whole_and_stays(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    broken, sound = warmer(first_data), warmer(first_data, key=DEFAULT)
    broken["variants"][0]["model"] = "NOT_THERE"
    live = live_entries(first_data, PRODUCTION)
    proposal = make_submitted(first_data, ada, entries={PREMIUM: broken, DEFAULT: sound})
    approve(first_data, proposal, grace)
    with pytest.raises(Refused, match="NOT_THERE"):
        publish(first_data, proposal, grace)
    assert (proposal.state, release_number(first_data)) == ("approved", 1)
    assert live_entries(first_data, PRODUCTION) == live


def test_rolling_back_a_proposal_restores_the_bytes(first_data: Session, ada: Actor, grace: Actor) -> None:
    before = snapshot_of(first_data, PRODUCTION, 1)
    proposal = make_submitted(first_data, ada)
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)
    back = releases.roll_back(first_data, PRODUCTION, to=1, reason=REASON, actor=grace, authority=EMERGENCY)
    assert (back.number, back.emergency) == (3, True)
    assert snapshot_of(first_data, PRODUCTION, 3) == before


def test_every_step_is_one_event(first_data: Session, ada: Actor, grace: Actor) -> None:
    steps: list[Callable[[], object]] = []
    proposal = make(first_data, ada)
    steps = [
        lambda: change(first_data, proposal, ada),
        lambda: submit(first_data, proposal, ada),
        lambda: reviewing.comment(first_data, PRODUCTION, 1, body="Hm", actor=ada),
        lambda: approve(first_data, proposal, grace),
        lambda: reject(first_data, proposal, grace),
        lambda: submit(first_data, proposal, ada),
        lambda: services.withdraw(first_data, PRODUCTION, 1, revision=proposal.revision, actor=ada),
    ]
    for done, step in enumerate(steps, start=2):
        step()
        assert len(events_of(first_data, 1)) == done
    rows = events_of(first_data, 1)
    assert {(each.object_kind, each.object_key) for each in rows} == {("proposal", "production/1")}
    assert first_data.scalars(select(Proposal.state)).all() == ["withdrawn"]
