"""What is missing or fails, step by step down."""

import pytest

from controlplane.runtime import Snapshot
from controlplane.runtime.providers import (
    AllProvidersFailedError,
    ContentFilteredError,
    ContextTooLongError,
    ProviderAuthenticationError,
    ProviderBadRequestError,
    ProviderError,
    ProviderManager,
    ProviderRateLimitedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from controlplane.runtime.services import LLMService
from tests.runtime import coaching
from tests.runtime.coaching import Place, Published, Recorder, Releases, failing


@pytest.fixture
def place() -> Place:
    return Place()


async def test_without_a_release_the_legacy_path_serves_and_says_so() -> None:
    place = Place(releases=Published().client)
    answer = await place.ask()
    assert (answer.path, answer.degraded) == ("legacy", ("no_release",))
    assert answer.degraded_because
    assert await place.counted() == {"paths": {"legacy": 1}, "fallbacks": {"no_release/no_release": 1}}


async def test_without_a_configuration_the_environments_default_serves_and_then_legacy() -> None:
    with_default = await Place(coaching.documents() | coaching.environment_default()).ask(
        interaction_code="UNCONFIGURED"
    )
    assert (with_default.path, with_default.degraded) == ("configuration", ("environment_default",))
    assert with_default.template == "unconfigured"
    without = await Place().ask(interaction_code="UNCONFIGURED")
    assert (without.path, without.degraded) == ("legacy", ("no_configuration",))


async def test_a_prompt_that_cannot_be_rendered_degrades_to_legacy_and_names_the_parameter(
    place: Place,
) -> None:
    answer = await place.ask(template_parameters={"phase": ["not", "a", "string"]})
    assert (answer.path, answer.degraded) == ("legacy", ("render_failed",))
    assert "phase" in answer.degraded_because[0]
    assert place.north.requests == []


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
        model="OTHER", fallbacks=["LARGE"], top_p=None
    )
    service = LLMService(Published.of(entries).client, ProviderManager({"north": north}))
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
    place = Place(entries)
    answer = await place.ask()
    assert (answer.model_code, answer.attempts[0].outcome) == ("OTHER", "context_too_long")
    assert place.north.requests == []


def published_next(body: str, **changes: object) -> bytes:
    """The release after the first: the same with another version of the coaching prompt."""
    entries = coaching.documents()
    entries["prompt/coaching_response"] = coaching.prompt("COACHING_RESPONSE", body, version=5)
    entries["interaction/COACHING_RESPONSE"].update(changes)
    return coaching.release(entries, bodies=(body,))


FAILS_ON_OTHERS = "{% if topic == 'values' %}Fine: {{ user_message }}{% else %}{{ phase.name }}{% endif %}"


async def test_a_version_that_cannot_be_rendered_is_replaced_by_the_last_one_that_was(place: Place) -> None:
    assert (await place.ask()).template_version == 4
    place.published.publish(published_next(FAILS_ON_OTHERS), 13)
    answer = await place.ask()
    assert (answer.path, answer.template_version, answer.release) == ("configuration", 4, 13)
    assert answer.degraded == ("render_failed", "last_good_template")
    assert "version 5" in answer.degraded_because[0]
    assert answer.degraded_because[1] == "coaching_response version 4 instead of version 5"
    assert place.north.requests[-1].messages[0].content.startswith("You are a coach on goals.")
    assert (await place.counted())["fallbacks"] == {
        "render_failed/render": 1,
        "last_good_template/render_failed": 1,
    }


async def test_a_new_parameter_that_the_application_does_not_give_yet_stops_nobody(place: Place) -> None:
    """The commonest way to break a prompt: the release comes before the application that it needs."""
    await place.ask()
    declared = coaching.documents()["interaction/COACHING_RESPONSE"]["parameters"]
    mood = {"name": "mood", "type": "string", "required": True}
    place.published.publish(
        published_next("Mood {{ mood }}: {{ user_message }}", parameters=[*declared, mood]), 13
    )
    answer = await place.ask()
    assert (answer.template_version, answer.degraded) == (4, ("render_failed", "last_good_template"))
    given = await place.ask(template_parameters={"mood": "calm"})
    assert (given.template_version, given.degraded) == (5, ())


async def test_a_version_that_another_variant_is_pinned_to_serves_when_none_has_rendered_here() -> None:
    entries = coaching.documents()
    entries["prompt/coaching_response"] = coaching.prompt("COACHING_RESPONSE", FAILS_ON_OTHERS, version=5)
    for tenant, version in (("acme", 2), ("beta", 3)):
        body = f"Version {version}: {{{{ user_message }}}}"
        variant = {**coaching.variant(1, "SMALL"), "prompt": coaching.pinned(body, version)}
        entries[f"configuration/COACHING_RESPONSE/default/{tenant}"] = coaching.configuration(tenant, variant)
    bodies = (FAILS_ON_OTHERS, *(f"Version {version}: {{{{ user_message }}}}" for version in (2, 3)))
    answer = await Place(entries, bodies=bodies).ask()
    assert (answer.template_version, answer.model_code) == (3, "LARGE")
    assert answer.degraded == ("render_failed", "last_good_template")


async def test_without_any_version_that_renders_the_legacy_path_serves(place: Place) -> None:
    place.published.publish(published_next(FAILS_ON_OTHERS), 13)
    answer = await place.ask()
    assert (answer.path, answer.degraded) == ("legacy", ("render_failed",))
    assert place.north.requests == []


async def test_a_body_that_the_store_has_lost_is_replaced_by_the_last_good_one_and_then_by_legacy() -> None:
    """The look-up source reads texts one by one, and one may be missing; a client would refuse such a release."""
    entries = coaching.documents()
    entries["prompt/coaching_response"]["sha256"] = "0" * 64
    lost = Releases(Snapshot.load(coaching.release(entries), release=13, environment="production"))
    first = await Place(releases=lost).ask()
    assert (first.path, first.degraded) == ("legacy", ("no_template",))
    releases = Releases.of()
    place = Place(releases=releases)
    await place.ask()
    releases.snapshot = lost.snapshot
    again = await place.ask()
    assert (again.path, again.template_version) == ("configuration", 4)
    assert again.degraded == ("no_template", "last_good_template")


async def test_a_bad_row_in_a_view_is_no_reason_to_fail() -> None:
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0]["model"] = "NO_SUCH"
    unchecked = Releases(Snapshot.load(coaching.release(entries), release=13, environment="production"))
    answer = await Place(releases=unchecked).ask()
    assert (answer.path, answer.degraded) == ("legacy", ("no_configuration",))
    assert "NO_SUCH" in answer.degraded_because[0]


async def test_errors_are_counted_by_their_kind(place: Place) -> None:
    place.north.failures = [failing(ContentFilteredError)]
    with pytest.raises(ContentFilteredError):
        await place.ask()
    assert await place.counted() == {"paths": {"configuration": 1}, "errors": {"content_filter": 1}}


async def test_the_same_version_serves_on_by_the_declaration_it_rendered_by(place: Place) -> None:
    """Only the declaration has changed: another required value, which the prompt does not even use yet."""
    await place.ask()
    entries = coaching.documents()
    entries["interaction/COACHING_RESPONSE"]["parameters"].append(
        {"name": "mood", "type": "string", "required": True}
    )
    place.published.publish(coaching.release(entries), 13)
    answer = await place.ask()
    assert (answer.release, answer.template_version) == (13, 4)
    assert answer.degraded == ("render_failed", "last_good_template")
