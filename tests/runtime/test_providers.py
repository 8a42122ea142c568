"""What providers have in common: the request, the echo, who is set up, and what a refusal means."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controlplane.runtime.providers import (
    ProviderDescription,
    ProviderManager,
    ProviderNotConfiguredError,
    ProviderRateLimitedError,
    StreamPart,
    in_one_part,
)
from controlplane.runtime.providers.echo import EchoProvider
from controlplane.runtime.providers.failures import failure, retry_after
from controlplane.runtime.providers.openai import OpenAIProvider
from tests.runtime.fakes.asking import REQUEST, TURNS, ask

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LIVE = {"CONTROLPLANE_PROVIDERS": "live"}


@pytest.mark.parametrize("streaming", [False, True])
async def test_the_echo_says_exactly_what_it_was_given(streaming: bool) -> None:
    response = await ask(EchoProvider(), REQUEST, streaming=streaming)
    assert json.loads(response.text) == {
        "provider": "echo",
        "stands_in_for": None,
        "model_id": "vendor.model-1:0",
        "system": "Be brief.",
        "messages": TURNS,
        "temperature": 0.3,
        "max_tokens": 50,
        "top_p": 0.9,
        "frequency_penalty": 0.2,
        "presence_penalty": 0.5,
        "timeout_seconds": 20,
    }


async def test_a_whole_answer_can_stand_for_a_stream() -> None:
    response = await EchoProvider().generate(REQUEST)
    parts = [part async for part in in_one_part(EchoProvider().generate(REQUEST))]
    assert parts[0] == StreamPart(response.text)
    assert parts[1].response is not None
    assert len(parts) == 2


async def test_an_echoing_manager_says_whom_it_stands_in_for() -> None:
    manager = ProviderManager.echoing()
    response = await manager.get_provider("bedrock").generate(REQUEST)
    assert (response.provider, response.stands_in_for) == ("echo", "bedrock")
    assert manager.mode == "echo"


def test_a_provider_that_is_not_set_up_is_named() -> None:
    with pytest.raises(ProviderNotConfiguredError, match="nobody"):
        ProviderManager({}).get_provider("nobody")


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "live"),
        ({"AWS_ENDPOINT_URL": "https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com"}, "live"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "echo"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", **LIVE}, "live"),
        ({"CONTROLPLANE_PROVIDERS": "echo"}, "echo"),
    ],
)
def test_only_embedded_stores_or_an_explicit_wish_replace_real_providers(
    environ: dict[str, str], mode: str
) -> None:
    assert ProviderManager.from_environment(environ).mode == mode


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="CONTROLPLANE_PROVIDERS"):
        ProviderManager.from_environment({"CONTROLPLANE_PROVIDERS": "ecoh"})


def test_live_providers_say_what_they_need_and_never_a_secret() -> None:
    manager = ProviderManager.from_environment({**LIVE, "OPENAI_API_KEY": "sk-very-secret"})
    assert manager.describe() == (
        ProviderDescription("anthropic", configured=False, missing="an API key (ANTHROPIC_API_KEY)"),
        ProviderDescription("bedrock", configured=True),
        ProviderDescription("echo", configured=True),
        ProviderDescription("openai", configured=True),
    )
    assert "secret" not in repr(manager.describe())


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_live_provider_without_its_key_is_not_configured(name: str, streaming: bool) -> None:
    provider = ProviderManager.from_environment(LIVE).get_provider(name)
    with pytest.raises(ProviderNotConfiguredError, match=f"{name.upper()}_API_KEY"):
        await ask(provider, REQUEST, streaming=streaming)


async def test_closing_what_was_never_opened_is_nothing() -> None:
    manager = ProviderManager.from_environment({**LIVE, "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})
    await manager.close()
    await manager.close()


def test_parameters_that_a_model_does_not_take_are_left_out_and_named() -> None:
    request, dropped = REQUEST.only_taking(("temperature",))
    assert request == replace(REQUEST, top_p=None, frequency_penalty=None, presence_penalty=None)
    assert dropped == ("top_p", "frequency_penalty", "presence_penalty")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:07 GMT"}, 7.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
    ],
)
def test_the_pause_that_a_provider_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "names", "message", "kind"),
    [
        (400, [], "prompt is too long: 210000 tokens > 200000 maximum", "context_too_long"),
        (400, ["invalid_request_error"], "temperature: at most 1", "bad_request"),
        (400, [], "Output blocked by content filtering policy", "content_filter"),
        (400, [], "Your credit balance is too low to access the API", "authentication"),
        (429, ["rate_limit_exceeded"], "slow down", "rate_limit"),
        (429, ["insufficient_quota"], "You have used up what you paid for", "authentication"),
        (429, [], "slow down", "rate_limit"),
        (413, [], "what a lot", "context_too_long"),
        (418, [], "a teapot", "bad_request"),
        (301, [], "gone elsewhere", "unavailable"),
        (529, [], "busy", "unavailable"),
        (504, [], "late", "timeout"),
        (200, ["overloaded_error"], "busy", "unavailable"),
        (200, ["invalid_request_error"], "prompt is too long", "context_too_long"),
        (None, ["invalid_request_error"], "what?", "bad_request"),
        (None, [], "", "unavailable"),
        (None, [17, None], "", "unavailable"),
    ],
)
def test_what_a_refusal_means(status: int | None, names: list[object], message: str, kind: str) -> None:
    found = failure(message, provider="p", model_id="m", status=status, names=names)
    assert (found.kind, found.provider, found.model_id) == (kind, "p", "m")


def test_a_rate_limit_carries_the_pause() -> None:
    found = failure("slow down", provider="p", model_id="m", status=429, headers={"retry-after": "7"})
    assert isinstance(found, ProviderRateLimitedError)
    assert found.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://acme.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
        ("http://10.0.0.5:8000/v1", "max_tokens"),
    ],
)
def test_the_limit_goes_by_the_name_that_the_host_knows(base_url: str | None, name: str) -> None:
    assert OpenAIProvider(api_key="k", base_url=base_url).max_tokens_field == name


def test_no_sdk_is_imported_before_it_is_called() -> None:
    program = (
        "import os, sys; from controlplane.runtime.providers import ProviderManager;"
        "ProviderManager.from_environment({'CONTROLPLANE_PROVIDERS': 'live', 'OPENAI_API_KEY': 'k'}).describe();"
        "print([name for name in ('openai', 'anthropic', 'boto3', 'httpx2') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
