import json
import re
from typing import Any

import pytest

from controlplane.runtime.errors import ConfigurationNotFoundError, ParameterError, TemplateNotFoundError
from controlplane.runtime.metrics import SERIES_LIMIT, Metrics
from controlplane.runtime.providers import (
    Message,
    ProviderBadRequestError,
    ProviderManager,
    ProviderRequest,
    ProviderResponse,
)
from controlplane.runtime.services import (
    LLMConfigurationService,
    LLMService,
    LLMTemplateService,
    NoReleaseError,
)
from tests.runtime import coaching
from tests.runtime.coaching import Place, Published, Recorder


@pytest.fixture
def place() -> Place:
    return Place()


async def test_what_the_release_says_is_what_reaches_the_provider(place: Place) -> None:
    await place.ask(template_parameters={"phase": "exploration"})
    (request,) = place.north.requests
    assert request.messages == (
        Message(
            "user",
            "You are a coach on goals, in exploration.\n"
            "So far:\n"
            "Coach: What matters most to you?\n"
            "User: Our people.\n"
            "Answer this: Are our values real?",
        ),
    )
    assert (request.model_id, request.system) == ("large-1", None)
    assert (request.temperature, request.max_tokens, request.top_p) == (0.7, 4_000, 0.9)
    assert (request.frequency_penalty, request.presence_penalty) == (None, None)


async def test_an_answer_explains_itself(place: Place) -> None:
    answer = await place.ask()
    assert answer.text == "north says hello"
    assert (answer.path, answer.reason, answer.release) == ("configuration", "tier", 12)
    assert answer.configuration == "configuration/COACHING_RESPONSE/premium/*"
    assert (answer.configuration_version, answer.model_code, answer.model_id) == (7, "LARGE", "large-1")
    assert (answer.template, answer.template_version) == ("coaching_response", 4)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1_000, 200)
    assert answer.cost == pytest.approx(0.003 + 0.003)
    assert [attempt.outcome for attempt in answer.attempts] == ["answered"]
    assert (answer.degraded, answer.dropped_parameters, answer.stands_in_for) == ((), (), None)
    assert "premium" in answer.why


async def test_a_tier_without_a_configuration_of_its_own_gets_the_default(place: Place) -> None:
    answer = await place.ask(user_tier="free")
    assert (answer.reason, answer.model_code) == ("default", "SMALL")
    assert place.north.requests[0].temperature == 0.4


async def test_a_tenant_with_a_configuration_of_its_own_gets_it() -> None:
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/default/acme"] = coaching.configuration(
        "d4", coaching.variant(1, "OTHER", presence_penalty=0.5)
    )
    place = Place(entries, tenant_id="acme")
    answer = await place.ask()
    assert (answer.reason, answer.model_code) == ("tenant", "OTHER")
    assert place.south.requests[0].presence_penalty == 0.5


async def test_an_empty_history_makes_no_hole_in_the_prompt(place: Place) -> None:
    await place.service.generate_coaching_response(
        "c-1", "goals", "Hello", [], interaction_code="COACHING_RESPONSE"
    )
    assert "(The conversation begins here.)" in place.north.requests[0].messages[0].content


async def test_what_a_user_writes_is_never_rendered(place: Place) -> None:
    await place.service.generate_coaching_response(
        "c-1", "goals", "{{ 7*7 }}{% raw %}", [], interaction_code="COACHING_RESPONSE"
    )
    assert "Answer this: {{ 7*7 }}{% raw %}" in place.north.requests[0].messages[0].content


async def test_a_turn_that_says_nothing_readable_is_a_mistake_of_the_caller(place: Place) -> None:
    with pytest.raises(TypeError, match="turn of the history"):
        await place.service.generate_coaching_response(
            "c-1", "goals", "Hello", [{"role": "user"}], interaction_code="COACHING_RESPONSE"
        )


async def test_a_pinned_prompt_stays_on_its_version() -> None:
    old = "Old words for {{ user_message }}"
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0]["prompt"] = coaching.pinned(old, 2)
    place = Place(entries, bodies=(old,))
    answer = await place.ask()
    assert answer.template_version == 2
    assert place.north.requests[0].messages[0].content == "Old words for Are our values real?"


async def test_a_cost_that_is_not_known_is_not_zero() -> None:
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0].update(model="UNPRICED", fallbacks=[])
    assert (await Place(entries).ask()).cost is None


async def test_an_echo_says_so_in_the_answer() -> None:
    service = LLMService(Published.of().client, ProviderManager.echoing())
    answer = await service.generate_coaching_response(
        "c", "goals", "Hi", [], None, "COACHING_RESPONSE", "premium"
    )
    assert (answer.provider, answer.stands_in_for, answer.cost) == ("echo", "north", None)
    assert json.loads(answer.text)["model_id"] == "large-1"


async def test_a_release_that_arrives_during_a_call_does_not_mix_into_it(place: Place) -> None:
    newer = coaching.documents()
    newer["prompt/coaching_response"]["version"] = 5

    class Publisher(Recorder):
        async def generate(self, request: ProviderRequest) -> ProviderResponse:
            place.published.publish(coaching.release(newer), 13)
            return await super().generate(request)

    service = LLMService(place.published.client, ProviderManager({"north": Publisher("north")}))
    seen = []
    for _ in range(2):
        answer = await service.generate_coaching_response("c", "goals", "Hi", [], None, "COACHING_RESPONSE")
        seen.append((answer.release, answer.template_version))
    assert seen == [(12, 4), (13, 5)]


async def test_an_answer_says_how_old_its_release_is(place: Place) -> None:
    answer = await place.ask()
    assert answer.release_age_seconds is not None
    assert answer.release_age_seconds >= 0


async def test_configurations_are_resolved_by_themselves() -> None:
    service = LLMConfigurationService(Published.of().client)
    found = await service.resolve_configuration("COACHING_RESPONSE", "premium", unit="u-1")
    assert (found.variant.version, found.reason) == (7, "tier")
    with pytest.raises(ConfigurationNotFoundError) as caught:
        await service.resolve_configuration("UNCONFIGURED", "premium")
    assert (caught.value.interaction, caught.value.tier) == ("UNCONFIGURED", "premium")
    with pytest.raises(NoReleaseError):
        await LLMConfigurationService(Published().client).resolve_configuration("COACHING_RESPONSE")


async def test_templates_are_rendered_by_themselves() -> None:
    templates = LLMTemplateService(LLMConfigurationService(Published.of().client))
    values = {"conversation_context": "-", "user_message": "Hi"}
    rendered = await templates.render_template("coaching_response", values)
    assert rendered.text == "You are a coach.\nSo far:\n-\nAnswer this: Hi"
    assert (rendered.code, rendered.version) == ("coaching_response", 4)
    with pytest.raises(TemplateNotFoundError):
        await templates.render_template("no_such", values)
    with pytest.raises(ParameterError) as caught:
        await templates.render_template("coaching_response", {"conversation_context": "-"})
    assert (caught.value.name, caught.value.version) == ("user_message", 4)


async def test_one_service_acts_for_many(place: Place) -> None:
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/default/acme"] = coaching.configuration(
        "d4", coaching.variant(1, "OTHER")
    )
    place = Place(entries)
    acme = place.service.acting_for(tenant_id="acme", user_id="u-9")
    asked: Any = ("c", "goals", "Hi", [], None, "COACHING_RESPONSE", "premium")
    assert (await acme.generate_coaching_response(*asked)).reason == "tenant"
    assert (await place.service.generate_coaching_response(*asked)).reason == "tier"
    assert await place.counted() == {"paths": {"configuration": 2}}


async def test_health_says_what_callers_get(place: Place) -> None:
    await place.ask()
    health = await place.service.get_service_health()
    assert (health.status, health.environment, health.release) == ("ok", "production", 12)
    assert (health.providers, await place.counted()) == ("live", {"paths": {"configuration": 1}})
    assert health.release_age_seconds is not None
    empty = LLMService(Published().client, ProviderManager.echoing())
    before = await empty.get_service_health()
    assert (before.status, before.release, before.providers) == ("without_release", None, "echo")


async def test_what_is_measured_says_interaction_tier_model_and_variant(place: Place) -> None:
    metrics = Metrics("production")
    place = Place(metrics=metrics)
    await place.ask()
    await place.ask(template_parameters={"phase": ["no", "string"]})
    place.north.failures = [coaching.failing(ProviderBadRequestError)]
    with pytest.raises(ProviderBadRequestError):
        await place.ask()
    text = metrics.prometheus()
    subject = 'interaction="COACHING_RESPONSE",tier="premium",model="LARGE",variant="7"'
    assert re.search(rf"lookup_seconds_count{{[^}}]*{subject}[^}}]*}} 3", text), text
    assert re.search(rf"render_seconds_count{{[^}}]*{subject}[^}}]*}} 2", text), text
    row = r'configuration="premium/\*"'
    step = 'step="render_failed",reason="parameter"'
    assert re.search(rf"fallback[^{{]*{{[^}}]*{subject},{row},{step}[^}}]*}} 1", text), text
    assert re.search(rf'error[^{{]*{{[^}}]*{subject},{row},kind="bad_request"[^}}]*}} 1', text), text
    assert re.search(r'path[^{]*{[^}]*path="legacy"[^}]*} 1', text), text
    assert re.search(rf"tokens[^{{]*{{[^}}]*{subject}[^}}]*}} 1000", text), text


async def test_made_up_names_leave_room_for_the_real_ones() -> None:
    metrics = Metrics("production")
    place = Place(coaching.documents() | coaching.environment_default(), metrics=metrics)
    for number in range(SERIES_LIMIT + 1):
        await place.ask(interaction_code=f"MADE_UP_{number}", user_tier=f"tier-{number}")
    await place.ask()
    await place.ask(
        use_config_lookup=False
    )  # nobody asks for a release: the last one that was seen knows the names
    text = metrics.prometheus()
    assert "MADE_UP" not in text
    assert "tier-" not in text
    assert 'lookup_seconds_count{environment="production",interaction="unknown",tier="unknown"' in text
    for path in ("configuration", "legacy"):
        real = rf'call_seconds_count{{[^}}]*interaction="COACHING_RESPONSE",tier="premium"[^}}]*path="{path}"'
        assert re.search(rf"{real}}} 1", text), text


async def test_before_a_release_the_built_in_names_are_counted_by_themselves() -> None:
    metrics = Metrics("production")
    place = Place(releases=Published().client, metrics=metrics)
    await place.ask()
    await place.ask(interaction_code="MADE_UP")
    text = metrics.prometheus()
    for name in ("COACHING_RESPONSE", "unknown"):
        assert f'paths_total{{environment="production",interaction="{name}",path="legacy"}} 1' in text


async def test_what_the_caller_gives_for_the_prompt_has_the_last_word(place: Place) -> None:
    await place.ask(template_parameters={"topic": "the exit", "user_message": "Should I sell?"})
    text = place.north.requests[0].messages[0].content
    assert text.startswith("You are a coach on the exit.")
    assert text.endswith("Answer this: Should I sell?")
