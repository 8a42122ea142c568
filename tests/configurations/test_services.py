import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.configurations import services
from controlplane.configurations.models import ConfigurationVersion
from controlplane.db import transaction
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.registry.models import Interaction, Model, Tier
from tests.configurations.values import premium, save, values

ActorAs = Callable[[Role | str], Actor]


def newest_event(session: Session) -> AuditEvent:
    return session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()


def refused(session: Session, actor: Actor, **changes: Any) -> dict[str, str]:
    with pytest.raises(Refused) as refusal:
        save(session, actor, **changes)
    return refusal.value.errors


def test_saving_makes_the_next_version_and_leaves_the_last_as_it_was(
    first_data: Session, actor_as: ActorAs
) -> None:
    version = save(first_data, actor_as("editor"))
    found = services.get_configuration(first_data, "COACHING_RESPONSE", tier="premium")
    assert [each.number for each in found.versions] == [2, 1]
    assert (version.model, version.author_name, version.reason) == ("CLAUDE_3_HAIKU", "Editor One", "cheaper")
    assert found.versions[1].model == "CLAUDE_3_5_SONNET"


def test_saving_is_told_in_words_with_what_was_before(first_data: Session, actor_as: ActorAs) -> None:
    save(first_data, actor_as("editor"))
    event = newest_event(first_data)
    assert event.action == "configuration.version_saved"
    assert (event.object_kind, event.object_key) == ("configuration", "COACHING_RESPONSE/premium")
    assert event.sentence == (
        "saved version 2 of COACHING_RESPONSE · premium: model CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU, "
        "temperature 0.7 → 0.4, max tokens 4,096 → 1,024, fallbacks CLAUDE_3_SONNET then GPT_4O → none"
    )
    assert event.reason == "cheaper"
    assert event.before is not None
    assert event.after is not None
    assert (event.before["version"], event.after["version"]) == (1, 2)


def test_a_viewer_may_not_save(first_data: Session, actor_as: ActorAs) -> None:
    with pytest.raises(Forbidden):
        save(first_data, actor_as("viewer"))


def test_a_base_that_is_no_longer_the_newest_is_a_conflict(first_data: Session, actor_as: ActorAs) -> None:
    save(first_data, actor_as("editor"))
    with pytest.raises(Conflict, match="version 2 by now, saved by Editor One"):
        services.save_version(
            first_data, premium(first_data), values(temperature="1"), base_version=1, actor=actor_as("admin")
        )


def test_a_form_sent_twice_saves_once(first_data: Session, actor_as: ActorAs) -> None:
    first = save(first_data, actor_as("editor"))
    again = services.save_version(
        first_data, premium(first_data), values(), base_version=1, actor=actor_as("editor")
    )
    assert again is first


def test_the_same_values_again_are_refused(first_data: Session, actor_as: ActorAs) -> None:
    save(first_data, actor_as("editor"))
    assert "Nothing changed: version 2" in refused(first_data, actor_as("editor"), reason="other words")[""]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"model": "CLAUDE_3_HAIKUU"}, "model", "There is no model"),
        ({"max_tokens": "4097"}, "max_tokens", "at most 4,096"),
        ({"frequency_penalty": "0.5"}, "frequency_penalty", "does not take"),
        ({"model": "GPT_5", "temperature": "0.5"}, "temperature", "does not take"),
        ({"prompt": "website_scan"}, "prompt", "belongs to WEBSITE_SCAN"),
        ({"prompt": "nowhere"}, "prompt", "no such template"),
        ({"prompt_version": "9"}, "prompt_version", "has no version 9"),
        ({"prompt": "website_scan", "prompt_version": "1"}, "prompt", "belongs to WEBSITE_SCAN"),
        ({"fallbacks": ["GPT_4O", "NOPE"]}, "fallbacks", "There is no model NOPE"),
    ],
)
def test_what_the_registry_does_not_know_is_told_at_its_field(
    first_data: Session, actor_as: ActorAs, changes: dict[str, Any], field: str, words: str
) -> None:
    errors = refused(first_data, actor_as("editor"), **changes)
    assert errors.keys() == {field}
    assert words in errors[field]


def test_models_that_are_not_active_are_refused_as_model_and_as_fallback(
    first_data: Session, actor_as: ActorAs
) -> None:
    for code in ("CLAUDE_3_HAIKU", "GPT_4O"):
        first_data.get_one(Model, code).active = False
    first_data.flush()
    errors = refused(first_data, actor_as("editor"), fallbacks=["GPT_4O"])
    assert errors.keys() == {"model", "fallbacks"}


def test_all_that_is_wrong_is_told_at_once(first_data: Session, actor_as: ActorAs) -> None:
    errors = refused(
        first_data,
        actor_as("editor"),
        model="GPT_5",
        max_tokens="999999",
        top_p="0.5",
        fallbacks=["NOPE"],
        prompt="website_scan",
    )
    assert errors.keys() >= {"max_tokens", "top_p", "temperature", "fallbacks", "prompt"}


def test_a_pinned_template_version_is_saved_and_told(first_data: Session, actor_as: ActorAs) -> None:
    save(first_data, actor_as("editor"), prompt_version="1")
    assert (
        "template coaching_response, live version → coaching_response, pinned to version 1"
        in newest_event(first_data).sentence
    )


def create(
    session: Session, actor: Actor, tier: str | None = "enterprise", tenant: str | None = None, **changes: Any
) -> Any:
    interaction = changes.pop("interaction", "COACHING_RESPONSE")
    return services.create_configuration(
        session, interaction=interaction, tier=tier, tenant=tenant, values=values(**changes), actor=actor
    )


def test_a_new_configuration_has_version_1_and_a_salt_of_its_own(
    first_data: Session, actor_as: ActorAs
) -> None:
    made = create(first_data, actor_as("editor"))
    assert [
        each.number
        for each in services.get_configuration(first_data, "COACHING_RESPONSE", tier="enterprise").versions
    ] == [1]
    assert len(made.salt) == 16
    assert made.salt != premium(first_data).salt
    assert newest_event(first_data).sentence.startswith(
        "created COACHING_RESPONSE · enterprise with version 1: model CLAUDE_3_HAIKU"
    )


@pytest.mark.parametrize(
    ("place", "field"),
    [
        ({"interaction": "NOWHERE"}, "interaction"),
        ({"tier": "gold"}, "tier"),
        ({"tenant": "a b"}, "tenant"),
        ({"tenant": "*"}, "tenant"),
        ({"tenant": "edit"}, "tenant"),
        ({"tenant": "a/b"}, "tenant"),
        ({"tenant": "acme\u200b"}, "tenant"),
        ({"tenant": ".."}, "tenant"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    first_data: Session, actor_as: ActorAs, place: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        create(first_data, actor_as("editor"), **place)
    assert field in refusal.value.errors


def test_nothing_new_is_made_for_what_is_archived(first_data: Session, actor_as: ActorAs) -> None:
    now = premium(first_data).created_at
    first_data.get_one(Interaction, "COACHING_RESPONSE").archived_at = now
    first_data.get_one(Tier, "enterprise").archived_at = now
    first_data.flush()
    with pytest.raises(Refused) as refusal:
        create(first_data, actor_as("editor"))
    assert refusal.value.errors.keys() >= {"interaction", "tier"}


def test_a_place_that_is_taken_is_refused(first_data: Session, actor_as: ActorAs) -> None:
    with pytest.raises(Refused, match="has a configuration already"):
        create(first_data, actor_as("editor"), tier="premium")


def test_archiving_keeps_versions_and_salt_and_making_it_again_goes_on(
    first_data: Session, actor_as: ActorAs
) -> None:
    editor, configuration = actor_as("editor"), premium(first_data)
    salt = configuration.salt
    services.archive_configuration(first_data, configuration, reason="not needed", actor=editor)
    assert "premium" not in [each.place.tier for each in services.list_configurations(first_data)]
    assert "stays so until its removal is published" in newest_event(first_data).sentence
    with pytest.raises(Refused, match="archived"):
        save(first_data, editor)
    again = create(first_data, editor, tier="premium")
    assert again.salt == salt
    assert services.latest_version(first_data, again).number == 2


def test_bringing_back_makes_it_saved_again(first_data: Session, actor_as: ActorAs) -> None:
    editor, configuration = actor_as("editor"), premium(first_data)
    services.archive_configuration(first_data, configuration, reason="not needed", actor=editor)
    services.restore_configuration(first_data, configuration, reason="needed after all", actor=editor)
    assert "premium" in [each.place.tier for each in services.list_configurations(first_data)]
    with pytest.raises(Refused, match="not archived"):
        services.restore_configuration(first_data, configuration, reason="once more", actor=editor)


def test_archiving_asks_why(first_data: Session, actor_as: ActorAs) -> None:
    with pytest.raises(Refused) as refusal:
        services.archive_configuration(first_data, premium(first_data), reason=" ", actor=actor_as("editor"))
    assert refusal.value.errors.keys() == {"reason"}


def test_the_list_is_in_order_with_the_default_first(first_data: Session) -> None:
    found = [
        each.place
        for each in services.list_configurations(first_data)
        if each.place.interaction == "COACHING_RESPONSE"
    ]
    assert [place.tier for place in found] == [None, "basic", "premium"]


def test_a_configuration_that_is_not_there_is_not_found(first_data: Session) -> None:
    for tier, tenant in (("gold", None), ("premium", "acme"), ("pre\x00mium", None)):
        with pytest.raises(NotFound):
            services.get_configuration(first_data, "COACHING_RESPONSE", tier=tier, tenant=tenant)


def test_of_many_saving_at_once_from_one_version_exactly_one_wins(engine: Engine, actor_as: ActorAs) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(8)

    def run(index: int) -> None:
        ready.wait()
        try:
            with transaction(engine) as session:
                services.save_version(
                    session,
                    premium(session),
                    values(temperature=f"0.{index}", reason=f"try {index}"),
                    base_version=1,
                    actor=actor_as("editor"),
                )
            outcomes.append("saved")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=run, args=(index,)) for index in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["saved"]
    with transaction(engine) as session:
        numbers = session.scalars(
            select(ConfigurationVersion.number).where(
                ConfigurationVersion.configuration_id == premium(session).id
            )
        )
        assert sorted(numbers) == [1, 2]


def test_of_two_making_the_same_configuration_at_once_one_is_refused(
    engine: Engine, actor_as: ActorAs
) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def run() -> None:
        ready.wait()
        try:
            with transaction(engine) as session:
                create(session, actor_as("editor"))
            outcomes.append("made")
        except Refused:
            outcomes.append("refused")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused", "refused", "refused"]
