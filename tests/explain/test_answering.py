import datetime as dt
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import now
from controlplane.errors import Refused
from controlplane.explain.answering import Answer, answer, answers
from controlplane.explain.asked import Asked
from controlplane.prompts.render_pool import shared
from controlplane.releases.models import ExportStep
from controlplane.runtime.bucketing import BUCKETS
from controlplane.runtime.explain import Path, Rule, Verdict
from controlplane.runtime.resolver import Request
from controlplane.switches import services as switches
from tests.proposals import stage
from tests.releases.changing import publish_saved, save_configuration

CODE = "COACHING_RESPONSE"
WHOLE_DAY = dt.timedelta(days=1)


def ask(session: Session, *, at: dt.datetime | None = None, unit: str | None = "u-1") -> Answer:
    return answer(session, "production", Asked(request=Request(CODE, "premium", unit=unit), at=at), shared())


def test_now_it_is_what_the_newest_release_says(first_data: Session) -> None:
    found = ask(first_data)
    assert found.source.is_newest
    assert found.explained.path is Path.CONFIGURATION
    assert found.explained.resolution is not None
    assert found.explained.resolution.key == f"configuration/{CODE}/premium/*"
    assert found.document["request"]["unit"] == "u-1"


def test_a_past_moment_is_answered_by_the_release_that_was_live_then(first_data: Session) -> None:
    before = now()
    save_configuration(first_data, temperature=0.123)
    release = publish_saved(first_data, "production", stage.PREMIUM)

    then, today = ask(first_data, at=before), ask(first_data)

    assert (then.explained.release, today.explained.release) == (1, release.number)
    assert not then.source.is_newest
    versions = [
        each.explained.resolution.variant.version for each in (then, today) if each.explained.resolution
    ]
    assert versions == [1, 2]


def test_a_release_counts_from_when_its_pointer_was_moved(first_data: Session) -> None:
    moment = now()
    save_configuration(first_data, temperature=0.123)
    release = publish_saved(first_data, "production", stage.PREMIUM)
    for number, finished_at in ((1, moment - WHOLE_DAY), (release.number, moment + WHOLE_DAY)):
        first_data.add(
            ExportStep(
                environment="production",
                number=number,
                step="pointer",
                state="done",
                started_at=finished_at,
                finished_at=finished_at,
            )
        )
    first_data.flush()

    assert ask(first_data).explained.release == 1
    assert ask(first_data, at=moment + 2 * WHOLE_DAY).explained.release == release.number


def test_before_the_first_release_nothing_was_live(first_data: Session) -> None:
    with pytest.raises(Refused, match="Nothing was live in production"):
        ask(first_data, at=now() - 100 * WHOLE_DAY)


def test_a_switch_counts_for_as_long_as_it_was_thrown(
    first_data: Session, actor_as: Callable[[Role | str], Actor]
) -> None:
    actor = actor_as(Role.ON_CALL)
    before = now()
    switches.throw(first_data, "production", CODE, reason="answers are in the wrong language", actor=actor)
    during = now()
    thrown = ask(first_data)
    switches.lift(first_data, "production", CODE, reason="the provider has mended it", actor=actor)

    assert thrown.explained.path is Path.LEGACY
    assert [ask(first_data, at=at).explained.path for at in (before, during, None)] == [
        Path.CONFIGURATION,
        Path.LEGACY,
        Path.CONFIGURATION,
    ]
    assert "answers are in the wrong language" in ask(first_data, at=during).explained.sentence


def test_it_names_who_published_and_who_agreed(first_data: Session) -> None:
    stage.rule(first_data, approvals=1)
    ada, bela = (stage.person(first_data, Role.PUBLISHER, name) for name in ("Ada", "Béla"))
    proposal = stage.make_submitted(first_data, ada)
    stage.publish(first_data, stage.approve(first_data, proposal, bela), bela)

    source = ask(first_data).source

    assert (source.release.author_name, source.approved_by) == ("Béla", ("Béla",))


def test_two_units_of_a_rollout_come_from_one_release(first_data: Session) -> None:
    found = answers(
        first_data,
        "production",
        [Asked(request=Request(CODE, "premium", unit=unit)) for unit in ("u-1", "u-2")],
        shared(),
    )
    assert {each.explained.release for each in found} == {found[0].explained.release}
    assert sum(percent for _, percent, _ in found[0].bar) == 100
    assert sum(band.share for band in found[0].explained.bands) == BUCKETS


def test_with_values_it_is_the_text_that_the_model_would_get(first_data: Session) -> None:
    given = Asked(request=Request(CODE, "premium", unit="u-1"), values={"user_message": 7})
    refused = answer(first_data, "production", given, shared())
    assert refused.text is None
    assert refused.problem is not None
    decided = [step for step in refused.explained.steps if step.rule is Rule.TEMPLATE]
    assert decided[0].verdict is Verdict.DECIDED
