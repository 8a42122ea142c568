from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.db import transaction
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.registry.models import Environment
from controlplane.releases import history, services
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.releases.saved import live_entries, live_entry, saved_entries
from controlplane.runtime import canonical
from controlplane.runtime.snapshot import Snapshot
from tests.releases.changing import (
    DEFAULT,
    GATE,
    PREMIUM,
    PROMPT,
    PUBLISHER,
    REASON,
    move,
    publish_saved,
    save_configuration,
    save_prompt,
    two_variants,
)

MakeActor = Callable[[str], Actor]


def last_event(session: Session) -> AuditEvent:
    return session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()


def publish(session: Session, **overrides: Any) -> Release:
    saved, _ = saved_entries(session, "production")
    given: dict[str, Any] = {
        "source": saved,
        "keys": [PREMIUM],
        "reason": REASON,
        "actor": PUBLISHER,
        "source_name": "saved",
    }
    return services.publish(session, "production", **{**given, **overrides})


def test_the_first_data_is_release_1_everywhere_and_leaves_nothing_unpublished(first_data: Session) -> None:
    for environment in ("production", "staging"):
        latest = history.latest_release(first_data, environment)
        assert latest is not None
        assert latest.number == 1
        assert services.unpublished(first_data, environment) == []


def test_publishing_makes_exactly_the_chosen_keys_live(first_data: Session) -> None:
    version = save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    before = live_entries(first_data, "production")

    release = publish_saved(first_data, "production", PREMIUM)

    after = live_entries(first_data, "production")
    assert release.number == 2
    assert {key for key in after if after[key] != before.get(key)} == {PREMIUM}
    assert after[PREMIUM]["variants"][0]["version"] == version
    assert [change.key for change in services.unpublished(first_data, "production")] == [PROMPT]
    assert live_entries(first_data, "staging") == live_entries(first_data, "staging", at=1)


def test_a_release_keeps_only_what_it_changed(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")

    release = publish_saved(first_data, "production")

    rows = first_data.scalars(select(ReleaseEntry).where(ReleaseEntry.valid_from == release.number)).all()
    assert [(row.environment, row.key) for row in rows] == [("production", PREMIUM)]
    (change,) = history.changes_of(first_data, "production", release.number)
    assert {field.path for field in change.fields} == {"version", "model"}


def test_the_row_names_the_bytes_of_the_snapshot(first_data: Session) -> None:
    save_prompt(first_data)
    release = publish_saved(first_data, "production")

    for number in (1, 2):
        data = history.snapshot_of(first_data, "production", number)
        row = history.get_release(first_data, "production", number)
        assert (canonical.digest(data), len(data)) == (row.snapshot_sha256, row.snapshot_size)
        assert len(Snapshot.load(data, release=number, environment="production")) == row.entry_count
    assert release.snapshot_sha256 != history.get_release(first_data, "production", 1).snapshot_sha256


def test_one_event_tells_what_went_live_and_why(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")

    publish_saved(first_data, "production")

    told = last_event(first_data)
    assert (told.action, told.object_kind, told.object_key) == (
        "release.published",
        "release",
        "production/2",
    )
    assert told.sentence == (
        "published release 2 of production: COACHING_RESPONSE · premium: model CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU"
    )
    assert (told.environment, told.release, told.reason) == ("production", 2, REASON)
    assert told.before is not None
    assert told.after is not None
    assert told.before[PREMIUM]["variants"][0]["model"] == "CLAUDE_3_5_SONNET"
    assert told.after[PREMIUM]["variants"][0]["model"] == "CLAUDE_3_HAIKU"


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_publishers_publish_and_roll_back(first_data: Session, actor_as: MakeActor, role: str) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")

    with pytest.raises(Forbidden):
        publish(first_data, actor=actor_as(role))
    with pytest.raises(Forbidden):
        services.roll_back(first_data, "production", to=1, reason=REASON, actor=actor_as(role))

    assert history.latest_release(first_data, "production") == history.get_release(
        first_data, "production", 1
    )


def test_publishing_what_is_live_already_is_refused(first_data: Session) -> None:
    with pytest.raises(Refused) as refusal:
        publish(first_data)

    assert list(refusal.value.errors) == ["entries"]


def test_an_environment_cannot_be_emptied(first_data: Session) -> None:
    everything = list(live_entries(first_data, "production"))

    with pytest.raises(Refused) as refusal:
        publish(first_data, source={}, keys=everything)

    assert "cannot be emptied" in refusal.value.errors["entries"]


@pytest.mark.parametrize("reason", ["", "   ", "too short", "x" * 501, "\n\n a b \n\n"])
def test_a_protected_environment_wants_a_reason(first_data: Session, reason: str) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")

    with pytest.raises(Refused) as refusal:
        publish(first_data, reason=reason)

    assert list(refusal.value.errors) == ["reason"]


def test_elsewhere_the_reason_may_be_left_out(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")

    assert publish_saved(first_data, "staging", reason="").reason == ""


def test_every_problem_is_told_at_once_and_nothing_is_written(first_data: Session) -> None:
    live = live_entry(first_data, "production", PREMIUM)
    assert live is not None
    (variant,) = live["variants"]
    broken = {
        **live,
        "variants": [{**variant, "model": "NOT_THERE", "fallbacks": ["NEITHER"], "ranges": [[0, 5]]}],
    }

    with pytest.raises(Refused) as refusal:
        publish(
            first_data,
            source={PREMIUM: broken, "tier/platinum": {"name": "", "rank": -1}},
            keys=[PREMIUM, "tier/platinum"],
            reason="",
        )

    assert {
        "reason",
        f"{PREMIUM} variants[0].model",
        f"{PREMIUM} variants[0].fallbacks[0]",
        f"{PREMIUM} variants",
        "tier/platinum name",
        "tier/platinum rank",
    } <= refusal.value.errors.keys()
    assert all(
        "COACHING_RESPONSE · premium: " in words
        for key, words in refusal.value.errors.items()
        if key.startswith(PREMIUM)
    )
    first_data.rollback()
    assert publish_next_number(first_data) == 2


def publish_next_number(session: Session) -> int:
    return session.scalars(select(Environment.next_release).where(Environment.code == "production")).one()


def test_a_half_chosen_change_that_would_not_hold_together_is_refused(first_data: Session) -> None:
    with pytest.raises(Refused) as refusal:
        publish(first_data, source={}, keys=["model/CLAUDE_3_HAIKU"])

    assert any("there is no model CLAUDE_3_HAIKU" in words for words in refusal.value.errors.values())


def test_a_key_that_moved_since_the_base_is_a_conflict(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    save_configuration(first_data, temperature=0.2)

    with pytest.raises(Conflict, match=r"COACHING_RESPONSE · premium \(release 2\)"):
        publish(first_data, base=1)


def test_other_keys_may_move_meanwhile(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    publish_saved(first_data, "production", PROMPT)

    assert publish(first_data, base=1).number == 3


def test_an_unknown_environment_is_not_found(first_data: Session) -> None:
    with pytest.raises(NotFound):
        services.publish(
            first_data,
            "nowhere",
            source={},
            keys=[PREMIUM],
            reason=REASON,
            actor=PUBLISHER,
            source_name="saved",
        )


def test_rolling_back_restores_every_document_byte_for_byte(first_data: Session) -> None:
    before = history.snapshot_of(first_data, "production", 1)
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    save_prompt(first_data)
    publish_saved(first_data, "production")
    move(first_data, "production", {GATE: None})

    release = services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)

    assert release.number == 5
    assert release.source == "release 1"
    assert history.snapshot_of(first_data, "production", 5) == before
    assert release.snapshot_sha256 == history.get_release(first_data, "production", 1).snapshot_sha256
    told = last_event(first_data)
    assert told.action == "release.rolled_back"
    assert told.sentence.startswith("rolled production back to release 1, as release 5: ")


def test_rolling_back_chosen_keys_leaves_the_others(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_configuration(first_data, tier=None, temperature=0.2)
    publish_saved(first_data, "production")
    newer = live_entry(first_data, "production", DEFAULT)

    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER, keys=[PREMIUM])

    assert live_entry(first_data, "production", PREMIUM) == live_entry(
        first_data, "production", PREMIUM, at=1
    )
    assert live_entry(first_data, "production", DEFAULT) == newer


def test_rolling_back_to_what_is_live_or_to_what_never_was_is_refused(first_data: Session) -> None:
    with pytest.raises(Refused):
        services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    with pytest.raises(NotFound):
        services.roll_back(first_data, "production", to=7, reason=REASON, actor=PUBLISHER)


def test_a_rollouts_move_is_a_release_of_one_key_told_in_its_own_words(first_data: Session) -> None:
    release = move(first_data, "production", {PREMIUM: two_variants(first_data, "production")})

    told = last_event(first_data)
    assert (told.action, told.sentence, told.release) == (
        "rollout.started",
        "started something; 10 % of users move from CLAUDE_3_5_SONNET to CLAUDE_3_HAIKU",
        2,
    )
    assert release.source == "rollout"
    assert release.summary == "COACHING_RESPONSE · premium: version 1 100 % → 90 %, version 2 0 % → 10 %"


def test_workers_are_told_when_and_only_when_the_release_is_committed(
    engine: Engine, database_url: str
) -> None:
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {services.CHANNEL}")
        with Session(engine) as session:
            save_configuration(session, model="CLAUDE_3_HAIKU")
            publish(session)
            session.rollback()
            publish(session)
            session.commit()
        heard = list(listener.notifies(timeout=5, stop_after=1))
        rest = list(listener.notifies(timeout=0.2))

    assert [notice.payload for notice in heard] == ["production"]
    assert rest == []


def test_eight_publishers_at_once_leave_no_gap_and_nothing_half_applied(engine: Engine) -> None:
    with Session(engine) as session:
        gates = [key for key in live_entries(session, "production") if key.startswith("gate/")][:8]

    def publish_five(key: str) -> list[int]:
        numbers = []
        for share in (10, 20, 30, 40, 50):
            with transaction(engine) as session:
                live = live_entry(session, "production", key)
                assert live is not None
                document = {**live, "ranges": [[0, share * 1000]]}
                numbers.append(
                    services.publish_entries(
                        session,
                        "production",
                        {key: document},
                        reason=REASON,
                        actor=PUBLISHER,
                        action="gate.moved",
                        sentence="moved",
                        source_name="gate",
                    ).number
                )
        return numbers

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for found in pool.map(publish_five, gates) for number in found]

    assert sorted(numbers) == list(range(2, 42))
    with Session(engine) as session:
        rows = session.scalars(
            select(Release).where(Release.environment == "production").order_by(Release.number)
        ).all()
        assert [row.number for row in rows] == list(range(1, 42))
        for row in rows[1:]:
            assert len(history.changes_of(session, "production", row.number)) == 1
            assert (
                canonical.digest(history.snapshot_of(session, "production", row.number))
                == row.snapshot_sha256
            )
        live = live_entries(session, "production")
        assert [live[key]["ranges"] for key in gates] == [[[0, 50_000]]] * 8


def test_two_who_publish_the_same_key_from_one_base_make_one_release(engine: Engine) -> None:
    with Session(engine) as session:
        save_configuration(session, model="CLAUDE_3_HAIKU")

    def attempt(_: int) -> int | None:
        try:
            with transaction(engine) as session:
                return publish(session, base=1).number
        except (Conflict, Refused):
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(4)))

    assert sorted(results, key=str) == [2, None, None, None]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO releases",
        "UPDATE release_entries",
        "INSERT INTO release_entries",
        "INSERT INTO audit_events",
        "pg_notify",
    ],
)
def test_a_failure_anywhere_leaves_nothing_and_the_number_is_used_again(
    engine: Engine, statement: str
) -> None:
    with Session(engine) as session:
        save_configuration(session, model="CLAUDE_3_HAIKU")
        save_prompt(session)

    def fail(_c: Any, _cursor: Any, sent: str, *_: Any) -> None:
        if statement in sent:
            raise ConnectionError("the database went away")

    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(ConnectionError), transaction(engine) as session:
        publish(session)
    event.remove(engine, "before_cursor_execute", fail)

    with transaction(engine) as session:
        assert session.scalar(text("SELECT count(*) FROM releases WHERE environment = 'production'")) == 1
        assert session.scalar(text("SELECT count(*) FROM release_entries WHERE valid_to IS NOT NULL")) == 0
        assert publish(session).number == 2
