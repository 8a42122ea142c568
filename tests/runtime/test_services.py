import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime.errors import ConfigurationNotFoundError, ParameterError, TemplateNotFoundError
from controlplane.runtime.providers import (
    AllProvidersFailedError,
    ContentFilteredError,
    ContextTooLongError,
    Message,
    ProviderAuthenticationError,
    ProviderBadRequestError,
    ProviderError,
    ProviderManager,
    ProviderRateLimitedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from controlplane.runtime.services import (
    LLMConfigurationService,
    LLMResponse,
    LLMService,
    LLMTemplateService,
    NoReleaseError,
    PromptService,
)
from tests.runtime import coaching
from tests.runtime.coaching import Recorder, Releases

HISTORY: list[Mapping[str, object]] = [
    {"role": "assistant", "content": "What matters most to you?"},
    {"role": "user", "content": "Our people."},
]
LEGACY = PromptService().legacy


class Place:
    """A service between a release and recording providers."""

    def __init__(self, releases: Releases, **settings: Any) -> None:
        self.north, self.south, self.bedrock = Recorder("north"), Recorder("south"), Recorder("bedrock")
        providers = ProviderManager({"north": self.north, "south": self.south, "bedrock": self.bedrock})
        self.service = LLMService(releases, providers, **{"user_id": "u-1", **settings})

    async def ask(self, **others: Any) -> LLMResponse:
        asked = {"interaction_code": "COACHING_RESPONSE", "user_tier": "premium", **others}
        return await self.service.generate_coaching_response(
            "c-1", "goals", "Are our values real?", HISTORY, **asked
        )


@pytest.fixture
def place() -> Place:
    return Place(Releases.of())


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
    place = Place(Releases.of(entries), tenant_id="acme")
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


async def test_a_topic_without_an_interaction_is_mapped_to_one(place: Place) -> None:
    answer = await place.ask(interaction_code=None)
    assert (answer.interaction, answer.path) == ("COACHING_RESPONSE", "configuration")


@pytest.mark.parametrize("switch", ["call", "service"])
async def test_switched_off_look_up_takes_the_legacy_path(switch: str) -> None:
    place = Place(Releases.of(), use_config_lookup=switch != "service")
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
    place = Place(Releases.of(), use_config_lookup=False)
    history = [
        {"role": "assistant", "content": "Welcome."},
        {"role": "user", "text": "Hello."},
        {"role": "user", "text": "Anybody?"},
        {"role": "coach", "content": "Yes."},
        {"role": "assistant", "content": " "},
    ]
    await place.service.generate_coaching_response("c-1", "unheard of", "Good.", history)
    assert place.bedrock.requests[0].messages == (
        Message("user", "Hello.\n\nAnybody?"),
        Message("assistant", "Yes."),
        Message("user", "Good."),
    )
    assert place.bedrock.requests[0].model_id == LEGACY.default_model


async def test_a_turn_that_says_nothing_readable_is_a_mistake_of_the_caller(place: Place) -> None:
    with pytest.raises(TypeError, match="turn of the history"):
        await place.service.generate_coaching_response("c-1", "goals", "Hello", [{"role": "user"}])


async def test_the_gate_decides_by_unit_and_always_the_same() -> None:
    entries = coaching.documents()
    entries["gate/COACHING_RESPONSE"] = {
        "salt": "9f",
        "algorithm": "v1",
        "unit": "user",
        "ranges": [[0, 50_000]],
    }
    releases = Releases.of(entries)
    paths = {}
    for number in range(40):
        answers = [await Place(releases, user_id=f"u-{number}").ask() for _ in range(2)]
        assert answers[0].path == answers[1].path
        paths[number] = answers[0].path
        assert answers[0].degraded == (), "being outside of the gate is no failure"
    assert set(paths.values()) == {"configuration", "legacy"}


async def test_a_gate_that_is_not_wide_open_keeps_calls_without_a_user_out() -> None:
    entries = coaching.documents()
    entries["gate/COACHING_RESPONSE"] = {
        "salt": "9f",
        "algorithm": "v1",
        "unit": "user",
        "ranges": [[0, 99_999]],
    }
    answer = await Place(Releases.of(entries), user_id=None).ask()
    assert answer.path == "legacy"
    assert "no unit" in answer.why


async def test_without_a_release_the_legacy_path_serves_and_says_so() -> None:
    place = Place(Releases(None))
    answer = await place.ask()
    assert (answer.path, answer.degraded) == ("legacy", ("no_release",))
    assert answer.degraded_because
    assert place.service.counters == {"path:legacy": 1, "step:no_release": 1}


async def test_without_a_configuration_the_environments_default_serves_and_then_legacy() -> None:
    with_default = await Place(Releases.of(coaching.documents() | coaching.environment_default())).ask(
        interaction_code="UNCONFIGURED"
    )
    assert (with_default.path, with_default.degraded) == ("configuration", ("environment_default",))
    assert with_default.template == "unconfigured"
    without = await Place(Releases.of()).ask(interaction_code="UNCONFIGURED")
    assert (without.path, without.degraded) == ("legacy", ("no_configuration",))


async def test_a_prompt_that_cannot_be_rendered_degrades_to_legacy_and_names_the_parameter(
    place: Place,
) -> None:
    answer = await place.ask(template_parameters={"phase": ["not", "a", "string"]})
    assert (answer.path, answer.degraded) == ("legacy", ("render_failed",))
    assert "phase" in answer.degraded_because[0]
    assert place.north.requests == []


def failing(kind: type[ProviderError]) -> ProviderError:
    return kind("as told", provider="north", model_id="large-1")


@pytest.mark.parametrize("kind", [ProviderRateLimitedError, ProviderTimeoutError, ProviderUnavailableError])
async def test_what_may_pass_is_tried_again_with_the_same_model(
    place: Place, kind: type[ProviderError]
) -> None:
    place.north.failures = [failing(kind)]
    answer = await place.ask()
    assert answer.model_code == "LARGE"
    assert [attempt.outcome for attempt in answer.attempts] == [kind.kind, "answered"]
    assert answer.degraded == ()


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        (ProviderRateLimitedError, 2),
        (ProviderTimeoutError, 2),
        (ProviderUnavailableError, 2),
        (ProviderAuthenticationError, 1),
        (ContextTooLongError, 1),
    ],
)
async def test_a_model_that_fails_is_followed_by_its_fallback(
    place: Place, kind: type[ProviderError], times: int
) -> None:
    place.north.failures = [failing(kind) for _ in range(times)]
    answer = await place.ask()
    assert (answer.model_code, answer.text) == ("OTHER", "south says hello")
    assert [attempt.outcome for attempt in answer.attempts] == [kind.kind] * times + ["answered"]
    assert answer.degraded == ("fallback_model",)
    assert answer.dropped_parameters == ("top_p",)
    assert place.south.requests[0].top_p is None
    assert answer.configuration_version == 7


@pytest.mark.parametrize("kind", [ContentFilteredError, ProviderBadRequestError])
async def test_what_no_other_model_would_do_better_ends_the_call(
    place: Place, kind: type[ProviderError]
) -> None:
    place.north.failures = [failing(kind)]
    with pytest.raises(kind):
        await place.ask()
    assert place.south.requests == []


async def test_a_provider_that_is_not_set_up_is_passed_over() -> None:
    north = Recorder("north")
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0].update(
        model="OTHER", fallbacks=["LARGE"]
    )
    service = LLMService(Releases.of(entries), ProviderManager({"north": north}))
    answer = await service.generate_coaching_response(
        "c", "goals", "Hi", [], None, "COACHING_RESPONSE", "premium"
    )
    assert [attempt.outcome for attempt in answer.attempts] == ["not_configured", "answered"]


async def test_a_provider_with_a_bug_is_followed_by_the_next_model(place: Place) -> None:
    place.north.failures = [ZeroDivisionError("oops"), ZeroDivisionError("oops")]
    assert (await place.ask()).model_code == "OTHER"


async def test_all_models_failing_is_an_error_with_all_attempts(place: Place) -> None:
    place.north.failures = [failing(ProviderAuthenticationError) for _ in range(5)]
    place.south.failures = [failing(ProviderAuthenticationError)]
    with pytest.raises(AllProvidersFailedError) as caught:
        await place.ask()
    asked = [(attempt.model_code, attempt.outcome) for attempt in caught.value.attempts]  # type: ignore[attr-defined]
    assert asked == [("LARGE", "authentication"), ("OTHER", "authentication"), ("SMALL", "authentication")]


async def test_a_fallback_that_gives_less_is_asked_for_no_more_than_it_gives(place: Place) -> None:
    place.north.failures = [failing(ProviderAuthenticationError)]
    place.south.failures = [failing(ProviderAuthenticationError)]
    answer = await place.ask()
    assert answer.model_code == "SMALL"
    assert place.north.requests[-1].max_tokens == 1_000


async def test_a_model_that_cannot_hold_the_call_is_not_asked() -> None:
    entries = coaching.documents()
    entries["model/LARGE"]["context_window"] = 100
    place = Place(Releases.of(entries))
    answer = await place.ask()
    assert (answer.model_code, answer.attempts[0].outcome) == ("OTHER", "context_too_long")
    assert place.north.requests == []


async def test_a_cost_that_is_not_known_is_not_zero() -> None:
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0].update(model="UNPRICED", fallbacks=[])
    assert (await Place(Releases.of(entries)).ask()).cost is None


async def test_an_echo_says_so_in_the_answer() -> None:
    service = LLMService(Releases.of(), ProviderManager.echoing())
    answer = await service.generate_coaching_response(
        "c", "goals", "Hi", [], None, "COACHING_RESPONSE", "premium"
    )
    assert (answer.provider, answer.stands_in_for, answer.cost) == ("echo", "north", None)
    assert json.loads(answer.text)["model_id"] == "large-1"


async def test_a_release_that_arrives_during_a_call_does_not_mix_into_it() -> None:
    newer = coaching.documents()
    newer["prompt/coaching_response"]["version"] = 5

    releases = [Releases.of().snapshot, Releases.of(newer).snapshot]

    class Source:
        looks = 0

        @property
        def snapshot(self) -> Any:
            self.looks += 1
            return releases[(self.looks - 1) % 2]

    service = LLMService(Source(), ProviderManager.echoing())
    versions = []
    for _ in range(2):
        answer = await service.generate_coaching_response("c", "goals", "Hi", [], None, "COACHING_RESPONSE")
        versions.append(answer.template_version)
    assert versions == [4, 5]


async def test_configurations_are_resolved_by_themselves() -> None:
    service = LLMConfigurationService(Releases.of())
    found = await service.resolve_configuration("COACHING_RESPONSE", "premium", unit="u-1")
    assert (found.variant.version, found.reason) == (7, "tier")
    with pytest.raises(ConfigurationNotFoundError) as caught:
        await service.resolve_configuration("UNCONFIGURED", "premium")
    assert (caught.value.interaction, caught.value.tier) == ("UNCONFIGURED", "premium")
    with pytest.raises(NoReleaseError):
        await LLMConfigurationService(Releases(None)).resolve_configuration("COACHING_RESPONSE")


async def test_templates_are_rendered_by_themselves() -> None:
    templates = LLMTemplateService(LLMConfigurationService(Releases.of()))
    values = {"conversation_context": "-", "user_message": "Hi"}
    rendered = await templates.render_template("coaching_response", values)
    assert rendered.text == "You are a coach.\nSo far:\n-\nAnswer this: Hi"
    assert (rendered.code, rendered.version) == ("coaching_response", 4)
    with pytest.raises(TemplateNotFoundError):
        await templates.render_template("no_such", values)
    with pytest.raises(ParameterError) as caught:
        await templates.render_template("coaching_response", {"conversation_context": "-"})
    assert (caught.value.name, caught.value.version) == ("user_message", 4)


async def test_a_pinned_prompt_stays_on_its_version() -> None:
    old = "Old words for {{ user_message }}"
    entries = coaching.documents()
    pinned = coaching.prompt("COACHING_RESPONSE", old, version=2)
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0]["prompt"] = {
        "code": "coaching_response",
        "version": 2,
        "sha256": pinned["sha256"],
    }
    from controlplane.runtime import Snapshot

    data = coaching.release(entries, bodies=(old,))
    place = Place(Releases(Snapshot.load(data, release=12, environment="production")))
    answer = await place.ask()
    assert answer.template_version == 2
    assert place.north.requests[0].messages[0].content == "Old words for Are our values real?"


def test_no_model_id_stands_in_the_code() -> None:
    """What is hard-wired today is what cannot be changed without a deployment tomorrow."""
    ids = {LEGACY.default_model, *LEGACY.models_by_topic.values()}
    vendors = tuple({model_id.partition(".")[0] + "." for model_id in ids})
    root = Path(__file__).parents[2] / "controlplane"
    found = [
        str(path)
        for path in root.rglob("*.py")
        if any(vendor in path.read_text() for vendor in (*ids, *vendors))
    ]
    assert found == []
