import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import select

from controlplane.accounts.actor import Role
from controlplane.audit.models import AuditEvent
from controlplane.configurations.services import archive_configuration
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.guards import services
from controlplane.guards.acts import OnBreach
from controlplane.guards.asking import Verdict, ask
from controlplane.guards.chosen import settings_of
from controlplane.guards.measures import USUAL, Measure
from controlplane.guards.models import GuardBreach, GuardWatch
from controlplane.guards.pages import news
from controlplane.guards.services import GUARD
from controlplane.health.reading import Counts
from controlplane.plans.verdicts import known_against
from controlplane.releases.services import publish_entries
from controlplane.rollouts import services as rollouts
from controlplane.rollouts.documents import without
from tests.guards.guarded import BAD, GOOD, MANY, Guarded


def test_one_that_does_well_is_left_alone(guarded: Guarded) -> None:
    assert guarded.minutes(20, GOOD, GOOD).look() is None
    assert ask(guarded.session, guarded.rollout.number).verdict is Verdict.CLEAR
    assert not guarded.here.paused


def test_one_that_hurts_is_held_by_the_guard_once_and_for_good_reasons(guarded: Guarded) -> None:
    guarded.minutes(5, GOOD, BAD)
    breach = guarded.look()
    assert breach is not None
    assert (breach.acted, breach.measures) == ("held", ["errors"])
    assert guarded.here.paused
    assert guarded.rollout.paused_by == "Guard"
    (event,) = guarded.walk.events("rollout.paused")
    assert (event.actor_kind, event.actor_name, event.via) == ("guard", "Guard", "guard")
    assert event.reason is not None
    assert "Errors: 40.0 % on version 2 against 1.0 % on version 1, of 500 and 500 calls: " in event.reason
    assert ask(guarded.session, guarded.rollout.number).verdict is Verdict.BREACHED
    assert guarded.minutes(5, GOOD, BAD).look() is None
    assert len(services.breaches_of(guarded.session, guarded.rollout.number)) == 1


def test_after_somebody_resumed_it_only_what_comes_then_counts(guarded: Guarded) -> None:
    guarded.minutes(5, GOOD, BAD).look()
    rollouts.resume(guarded.session, guarded.rollout, reason="the provider is back", actor=guarded.walk.actor)
    assert guarded.look() is None
    assert guarded.minutes(10, GOOD, GOOD).look() is None
    assert ask(guarded.session, guarded.rollout.number).verdict is Verdict.CLEAR
    again = guarded.minutes(10, GOOD, BAD).look()
    assert again is not None
    assert again.acted == "held"


def test_where_somebody_chose_so_everyone_is_back_at_once(guarded: Guarded) -> None:
    guarded.choose(OnBreach.ABORT)
    breach = guarded.minutes(5, GOOD, BAD).look()
    assert breach is not None
    assert breach.acted == "aborted"
    assert breach.release == guarded.walk.release
    assert guarded.walk.owned() == [set(range(100_000))]
    (event,) = guarded.walk.events("rollout.aborted")
    assert (event.actor_kind, event.emergency) == (
        "guard",
        True,
    )  # production is protected: somebody looks at it
    assert guarded.minutes(2, GOOD, BAD).look() is None


def test_one_that_only_tells_says_each_thing_once_and_moves_nobody(guarded: Guarded) -> None:
    guarded.choose(OnBreach.WATCH)
    breach = guarded.minutes(5, GOOD, BAD).look()
    assert breach is not None
    assert breach.acted == "told"
    assert guarded.minutes(5, GOOD, BAD).look() is None
    assert not guarded.here.paused
    (event,) = guarded.walk.events("guard.set_off")
    assert event.sentence == (
        "found version 2 of COACHING_RESPONSE · premium worse than version 1 in production and changed nothing"
    )
    worse = BAD._replace(unusable=50)
    another = guarded.minutes(8, GOOD, worse).look()
    assert another is not None
    assert another.measures == ["unusable"]


def test_one_that_somebody_holds_already_is_told_of(guarded: Guarded) -> None:
    rollouts.pause(guarded.session, guarded.rollout, reason="having a look", actor=guarded.walk.actor)
    breach = guarded.minutes(5, GOOD, BAD).look()
    assert breach is not None
    assert breach.acted == "told"


def test_whoever_resumes_what_they_held_themselves_was_told_and_is_not_held_for_it_again(
    guarded: Guarded,
) -> None:
    rollouts.pause(guarded.session, guarded.rollout, reason="having a look", actor=guarded.walk.actor)
    guarded.minutes(5, GOOD, BAD).look()
    assert [each.label for each in news(guarded.session, "production", at=guarded.now)] == [
        "Worse than before"
    ]
    rollouts.resume(guarded.session, guarded.rollout, reason="it is mended", actor=guarded.walk.actor)
    assert guarded.look() is None
    assert not guarded.here.paused
    assert news(guarded.session, "production", at=guarded.now) == []
    again = guarded.minutes(5, GOOD, BAD).look()
    assert again is not None
    assert again.acted == "held"


def test_news_end_with_the_rollout_whatever_release_ended_it(guarded: Guarded) -> None:
    guarded.choose(OnBreach.WATCH)
    guarded.minutes(5, GOOD, BAD).look()
    assert len(news(guarded.session, "production", at=guarded.now)) == 1
    key = guarded.here.place.key
    document = without(guarded.here.document, guarded.rollout.to_version)
    publish_entries(
        guarded.session,
        "production",
        {key: document},
        reason="taken back by hand",
        actor=guarded.walk.actor,
        action="release.published",
        sentence="took it back",
        source_name="saved",
    )
    assert guarded.rollout.ended_at is None
    assert news(guarded.session, "production", at=guarded.now) == []


def test_after_a_clock_was_set_back_it_begins_anew(guarded: Guarded) -> None:
    guarded.minutes(5, GOOD, GOOD).look()
    watch = guarded.session.get_one(GuardWatch, guarded.rollout.number)
    watch.through += dt.timedelta(days=1)
    assert guarded.minutes(1, GOOD, GOOD).look() is None
    breach = guarded.minutes(5, GOOD, BAD).look()
    assert breach is not None
    assert watch.through < guarded.now


def test_one_whose_configuration_is_archived_is_guarded_for_as_long_as_it_is_live(guarded: Guarded) -> None:
    guarded.choose(OnBreach.ABORT)
    archive_configuration(
        guarded.session, guarded.here.configuration, reason="over and out", actor=guarded.walk.actor
    )
    breach = guarded.minutes(5, GOOD, BAD).look()
    assert breach is not None
    assert breach.acted == "aborted"


def test_a_few_calls_set_off_nothing(guarded: Guarded) -> None:
    few = Counts(answered=1, failed=0), Counts(answered=0, failed=1)
    assert guarded.minutes(20, *few).look() is None
    assert ask(guarded.session, guarded.rollout.number).verdict is Verdict.UNKNOWN


def test_a_minute_that_is_not_over_waits(guarded: Guarded) -> None:
    guarded.minutes(1, GOOD, GOOD).minutes(4, GOOD, BAD)
    guarded.now -= dt.timedelta(minutes=4)
    assert guarded.look() is None
    watch = guarded.session.get_one(GuardWatch, guarded.rollout.number)
    assert watch.through < guarded.now


def test_each_minute_counts_once_however_many_look(guarded: Guarded) -> None:
    guarded.minutes(10, GOOD, GOOD)
    for _ in range(3):
        guarded.look()
    watch = guarded.session.get_one(GuardWatch, guarded.rollout.number)
    assert [total[0] for total in watch.known["total"]] == [990, 990]


def test_calls_of_other_rows_with_the_same_number_are_not_its_own(guarded: Guarded) -> None:
    guarded.minutes(5, GOOD, BAD, row="premium/tenant")
    guarded.minutes(5, GOOD, BAD, row="default/*", tier="basic")
    guarded.minutes(5, GOOD, BAD, interaction="KPI_ANALYSIS")
    assert guarded.look() is None
    assert guarded.minutes(5, GOOD, BAD, row="").look() is not None  # an older library does not say which


def test_other_tolerances_go_through_what_was_measured_again(guarded: Guarded) -> None:
    slightly = GOOD._replace(answered=96, failed=4)
    guarded.choose(OnBreach.HOLD, {Measure.ERRORS: 10.0})
    assert guarded.minutes(60, GOOD, slightly).look() is None
    guarded.choose(OnBreach.HOLD, MANY)
    breach = guarded.look()
    assert breach is not None
    assert breach.acted == "held"


def test_what_is_chosen_is_recorded_with_what_it_means(guarded: Guarded) -> None:
    usual = settings_of(guarded.session, guarded.rollout.number)
    assert (usual.on_breach, tuple(usual.settings.tolerances), usual.revision) == (OnBreach.HOLD, USUAL, 0)
    guarded.choose(OnBreach.ABORT, MANY)
    (event,) = guarded.walk.events("guard.")
    assert event.sentence == (
        "chose the guards of version 2 of COACHING_RESPONSE · premium in production: watch errors; on a breach abort it"
    )
    assert event.before is not None
    assert event.after is not None
    assert (event.before["on_breach"], event.after["on_breach"]) == ("hold", "abort")
    now = settings_of(guarded.session, guarded.rollout.number)
    assert (now.on_breach, dict(now.settings.tolerances), now.revision) == (OnBreach.ABORT, MANY, 1)


def test_choosing_is_refused_where_it_cannot_be(guarded: Guarded) -> None:
    with pytest.raises(Refused):
        guarded.choose(OnBreach.HOLD)
    chosen = {"on_breach": OnBreach.ABORT, "least_calls": 30, "tolerances": MANY}
    with pytest.raises(Conflict):
        services.choose(guarded.session, guarded.here, **chosen, revision=7, actor=guarded.walk.actor)  # type: ignore[arg-type]
    below = replace(guarded.walk.actor, role=Role.ON_CALL)
    with pytest.raises(Forbidden):
        services.choose(guarded.session, guarded.here, **chosen, revision=0, actor=below)  # type: ignore[arg-type]
    guarded.walk.abort(guarded.rollout)
    with pytest.raises(Conflict):
        guarded.choose(OnBreach.ABORT)


def test_the_guard_may_not_do_more_than_to_take_back() -> None:
    assert GUARD.role is Role.ON_CALL


def test_what_is_over_is_not_looked_at(guarded: Guarded) -> None:
    guarded.minutes(5, GOOD, BAD)
    guarded.walk.abort(guarded.rollout)
    assert guarded.look() is None
    assert list(guarded.session.scalars(select(GuardBreach))) == []
    by_guard = select(AuditEvent).where(AuditEvent.actor_kind == "guard")
    assert list(guarded.session.scalars(by_guard)) == []


def test_a_late_turn_for_the_worse_is_told_as_one(guarded: Guarded) -> None:
    breach = guarded.minutes(60, GOOD, GOOD).minutes(3, GOOD, BAD).look()
    assert breach is not None
    assert breach.words.startswith(
        "Errors: 2.9 % on version 2 against 1.0 % on version 1, of 6,300 and 6,300 calls, of late 8.4 % against 1.0 %: "
    )


def test_a_plan_does_not_climb_over_what_hurts(guarded: Guarded) -> None:
    number = guarded.rollout.number
    assert known_against(guarded.session, number) is None
    guarded.choose(OnBreach.WATCH)
    guarded.minutes(5, GOOD, BAD).look()
    assert known_against(guarded.session, number) == (
        "Errors: 40.0 % against 1.0 % before, less than 1 in 1,000,000 by chance."
    )
