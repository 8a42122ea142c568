"""Which path a call takes: kill switches, flags, gates, the old call shape, and what the legacy path sends."""

import json
import re

import pytest

from controlplane.runtime.interaction_codes import InteractionCode
from controlplane.runtime.providers import Message
from controlplane.runtime.services import PromptService, UnknownTopicError
from tests.runtime import coaching, first_release
from tests.runtime.coaching import Place, Published

LEGACY = PromptService().legacy


@pytest.mark.parametrize("switch", ["call", "service"])
async def test_switched_off_look_up_takes_the_legacy_path(switch: str) -> None:
    place = Place(use_config_lookup=switch != "service")
    answer = await place.ask(use_config_lookup=switch != "call", business_context={"name": "Bäckerei Ost"})
    assert (answer.path, answer.release, answer.configuration, answer.cost) == ("legacy", None, None, None)
    assert answer.degraded == ()
    (request,) = place.bedrock.requests
    assert request.model_id == LEGACY.models_by_topic["goals"]
    assert request.system is not None
    assert request.system.startswith(LEGACY.prompts["goals"])
    assert "Bäckerei Ost" in request.system
    assert (request.temperature, request.max_tokens) == (LEGACY.temperature, LEGACY.max_tokens)


async def test_the_legacy_path_begins_with_the_user_and_alternates() -> None:
    place = Place(use_config_lookup=False)
    history = [
        {"role": "assistant", "content": "Welcome."},
        {"role": "user", "text": "Hello."},
        {"role": "user", "text": "Anybody?"},
        {"role": "coach", "content": "Yes."},
        {"role": "assistant", "content": " "},
    ]
    await place.service.generate_coaching_response(
        "c-1", "unheard of", "Good.", history, interaction_code="COACHING_RESPONSE"
    )
    assert place.bedrock.requests[0].messages == (
        Message("user", "Hello.\n\nAnybody?"),
        Message("assistant", "Yes."),
        Message("user", "Good."),
    )
    assert place.bedrock.requests[0].model_id == LEGACY.default_model


async def test_the_gate_decides_by_unit_and_always_the_same() -> None:
    entries = coaching.documents()
    entries["gate/COACHING_RESPONSE"] = {
        "salt": "9f",
        "unit": "user",
        "ranges": [[0, 50_000]],
    }
    releases = Published.of(entries).client
    paths = {}
    for number in range(40):
        answers = [await Place(releases=releases, user_id=f"u-{number}").ask() for _ in range(2)]
        assert answers[0].path == answers[1].path
        paths[number] = answers[0].path
        assert answers[0].degraded == (), "being outside of the gate is no failure"
    assert set(paths.values()) == {"configuration", "legacy"}


async def test_a_gate_that_is_not_wide_open_keeps_calls_without_a_user_out() -> None:
    entries = coaching.documents()
    entries["gate/COACHING_RESPONSE"] = {
        "salt": "9f",
        "unit": "user",
        "ranges": [[0, 99_999]],
    }
    answer = await Place(entries, user_id=None).ask()
    assert answer.path == "legacy"
    assert "no unit" in answer.why


async def test_a_call_without_an_interaction_works_and_says_where_it_was_made() -> None:
    place = Place()
    with pytest.warns(DeprecationWarning, match="interaction_code='COACHING_RESPONSE'") as warned:
        answer = await place.service.generate_coaching_response("c-1", "goals", "Hello", [])
    assert (answer.interaction, answer.path) == ("COACHING_RESPONSE", "configuration")
    assert warned[0].filename == __file__
    assert (await place.counted())["deprecated_calls"] == {"COACHING_RESPONSE": 1}


async def test_every_topic_of_the_old_callers_means_an_interaction_there_is() -> None:
    codes = {*LEGACY.interactions_by_topic.values(), *LEGACY.analyses_by_topic.values()}
    assert codes == set(InteractionCode)


async def test_an_analysis_of_a_topic_that_nobody_knows_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UnknownTopicError, match="astrology"):
        await Place().service.generate_single_shot_analysis("astrology", {})


async def test_a_thrown_switch_sends_calls_the_legacy_way_and_says_who_threw_it() -> None:
    place = Place()
    place.published.switch_off("COACHING_RESPONSE", version=1)
    answer = await place.ask()
    assert (answer.path, answer.degraded) == ("legacy", ())
    assert all(word in answer.why for word in ("ada@example.com", "2026-11-22T10:00:00Z", "wrong tone"))
    other = await place.ask(interaction_code="UNCONFIGURED")
    assert other.degraded == ("no_configuration",), "only what was switched off is"
    health = await place.service.get_service_health()
    assert (health.status, list(health.switched_off)) == ("switched_off", ["COACHING_RESPONSE"])

    place.published.switch_off(None, version=2)
    assert "switched off" in (await place.ask(interaction_code="UNCONFIGURED")).why
    assert list((await place.service.get_service_health()).switched_off) == ["*"]


async def test_the_models_of_the_legacy_path_are_those_of_the_registry() -> None:
    """The file's ids are data; whose they are, the first data say."""
    ids = {model["provider_model_id"]: model for model in first_release.MODELS.values()}
    fallen_back_to = [one for one in ids.values() if one["note"] and "hard-wired" in one["note"]]
    assert [LEGACY.default_model] == [one["provider_model_id"] for one in fallen_back_to]
    assert {ids[model]["provider"] for model in LEGACY.models_by_topic.values()} == {LEGACY.provider}


@pytest.mark.parametrize("interaction", [code for code in InteractionCode if code != "COACHING_RESPONSE"])
async def test_the_legacy_way_of_an_analysis_asks_for_the_same_answer(interaction: str) -> None:
    """A program reads most of the answers: their keys must be the same on either path."""
    place = Place()
    values = first_release.examples(interaction)
    await place.service.generate_single_shot_analysis(
        "", values, interaction_code=interaction, use_config_lookup=False
    )
    (request,) = place.bedrock.requests
    assert request.model_id == LEGACY.default_model
    assert request.system is not None
    assert form_of(request.system) == form_of(first_release.prompt_file(interaction))
    assert json.loads(request.messages[0].content) == values


def form_of(prompt: str) -> list[str]:
    """The keys of the JSON that a prompt asks for."""
    return sorted(set(re.findall(r'"(\w+)":', prompt.partition("{#")[0])))
