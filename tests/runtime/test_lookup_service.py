"""The service that applications call, on the look-up source: it steps down as it does on a whole release, and says so."""

import pytest

from controlplane.runtime.providers import ProviderManager
from controlplane.runtime.services import LLMService
from controlplane.runtime.services.answers import LLMResponse
from controlplane.runtime.switches import KillSwitches, Switch, document
from tests.runtime.lookups import COACHING, Bench
from tests.runtime.publishing import ENVIRONMENT


async def ask(bench: Bench, *, tenant: str | None = "acme") -> LLMResponse:
    service = LLMService(bench.source, ProviderManager.echoing(), tenant_id=tenant, user_id="u-1")
    return await service.generate_coaching_response(
        "c-1",
        "core_values",
        "Are our values real?",
        [],
        interaction_code=COACHING,
        user_tier="premium",
        template_parameters={"goal": "Grow"},
    )


async def test_a_call_is_answered_by_the_configuration_of_its_tenant() -> None:
    bench = Bench()

    answer = await ask(bench)

    assert (answer.path, answer.release, answer.degraded) == ("configuration", 1, ())
    assert answer.configuration == "configuration/COACHING_RESPONSE/premium/acme"


async def test_a_call_goes_on_while_the_store_is_away() -> None:
    bench = Bench()
    await ask(bench)
    bench.fail("read_pointer", "read_entry", "read_prompt", "read_switches")
    bench.pass_time(3600)

    answer = await ask(bench)

    assert (answer.path, answer.release, answer.degraded) == ("configuration", 1, ())


@pytest.mark.parametrize(
    ("away", "step"),
    [("read_pointer", "no_release"), ("read_entry", "no_release"), ("read_prompt", "no_template")],
)
async def test_without_what_it_needs_a_call_takes_the_legacy_path(away: str, step: str) -> None:
    bench = Bench()
    bench.fail(away)

    answer = await ask(bench)

    assert (answer.path, answer.degraded) == ("legacy", (step,))


async def test_the_first_call_already_obeys_the_kill_switches() -> None:
    bench = Bench()
    thrown = KillSwitches(interactions={COACHING: Switch("ada", "2026-11-22T10:00:00Z", "it invents")})
    bench.inner.write_switches(ENVIRONMENT, document(thrown, environment=ENVIRONMENT, version=1), version=1)

    answer = await ask(bench)

    assert (answer.path, answer.degraded) == ("legacy", ())
    assert "switched off by ada" in answer.why
