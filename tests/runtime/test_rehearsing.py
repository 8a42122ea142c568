from pathlib import Path

import pytest

from controlplane.runtime.providers.base import Message, ProviderRequest
from controlplane.runtime.providers.errors import ProviderUnavailableError
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.providers.rehearsing import FAILS_FILE

ECHO = {"CONTROLPLANE_PROVIDERS": "echo"}


async def fails(providers: ProviderManager, model_id: str) -> bool:
    request = ProviderRequest(model_id=model_id, messages=(Message("user", "Hello"),))
    try:
        await providers.get_provider("north").generate(request)
    except ProviderUnavailableError:
        return True
    return False


async def test_an_echo_fails_for_the_models_of_a_file_for_as_long_as_it_names_them(tmp_path: Path) -> None:
    file = tmp_path / "echo-fails"
    providers = ProviderManager.from_environment({**ECHO, FAILS_FILE: str(file)})
    assert not await fails(providers, "small")
    file.write_text("small\nlarge 0\nnonsense much\n")
    assert [await fails(providers, name) for name in ("small", "large", "nonsense")] == [True, False, False]
    file.write_text("large 1.0\n")
    assert [await fails(providers, name) for name in ("small", "large")] == [False, True]
    file.unlink()
    assert not await fails(providers, "large")


async def test_a_share_of_calls_may_fail_and_a_stream_fails_too(tmp_path: Path) -> None:
    file = tmp_path / "echo-fails"
    file.write_text("small 0.5")
    providers = ProviderManager.from_environment({**ECHO, FAILS_FILE: str(file)})
    outcomes = {await fails(providers, "small") for _ in range(200)}
    assert outcomes == {True, False}
    file.write_text("small")
    request = ProviderRequest(model_id="small", messages=(Message("user", "Hello"),))
    with pytest.raises(ProviderUnavailableError) as problem:
        await anext(aiter(providers.get_provider("echo").stream(request)))
    assert not problem.value.retryable


async def test_without_the_variable_nothing_fails() -> None:
    assert not await fails(ProviderManager.from_environment(ECHO), "small")
