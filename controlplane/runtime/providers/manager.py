"""Providers by the name that the model registry uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.runtime.providers.base import Closeable, Configurable, Provider
from controlplane.runtime.providers.echo import EchoProvider
from controlplane.runtime.providers.errors import ProviderNotConfiguredError
from controlplane.runtime.providers.rehearsing import FAILS_FILE, Rehearsal
from controlplane.runtime.stores.build import is_loopback

ECHO = "echo"
LIVE = "live"


@dataclass(frozen=True, slots=True)
class ProviderDescription:
    """Whether a provider can be called here; `missing` says in words what it still needs."""

    name: str
    configured: bool
    missing: str | None = None


class ProviderManager:
    """Finds the provider for a model.

    ProviderManager({"bedrock": BedrockProvider(region="eu-central-1")})
    ProviderManager.echoing()     # nobody is called, whatever the release says
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        echo_all: bool = False,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self._providers: dict[str, Provider] = {ECHO: EchoProvider(rehearsal=rehearsal), **providers}
        self._echo_all = echo_all
        self._rehearsal = rehearsal

    @classmethod
    def echoing(cls, *, rehearsal: Rehearsal | None = None) -> "ProviderManager":
        """A manager whose every provider is an echo, which says whom it stands in for, and fails where a rehearsal says so."""
        return cls({}, echo_all=True, rehearsal=rehearsal)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ProviderManager":
        """CONTROLPLANE_PROVIDERS is "live" or "echo"; without it, "echo" exactly when the stores are embedded ones.

        "live" makes Bedrock (BEDROCK_REGION, or AWS_REGION), OpenAI (OPENAI_API_KEY, OPENAI_BASE_URL) and Anthropic
        (ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL). Nothing is imported or opened before the first call, and what is not
        configured fails only then, so that a chain passes on to its next model. An echo fails for the models that are
        named in the file CONTROLPLANE_ECHO_FAILS, where there is one: for rehearsals.
        """
        embedded = is_loopback(environ.get("AWS_ENDPOINT_URL"))
        mode = environ.get("CONTROLPLANE_PROVIDERS") or (ECHO if embedded else LIVE)
        if mode not in {ECHO, LIVE}:
            raise ValueError(f'CONTROLPLANE_PROVIDERS must be "{LIVE}" or "{ECHO}", not {mode!r}')
        if mode == LIVE:
            return cls(_live(environ))
        fails = environ.get(FAILS_FILE)
        return cls.echoing(rehearsal=Rehearsal(Path(fails)) if fails else None)

    @property
    def mode(self) -> str:
        """`echo` when nobody is really called, else `live`."""
        return ECHO if self._echo_all else LIVE

    def get_provider(self, name: str) -> Provider:
        """The provider of this name; raises `ProviderNotConfiguredError`."""
        if self._echo_all and name != ECHO:
            return EchoProvider(stands_in_for=name, rehearsal=self._rehearsal)
        provider = self._providers.get(name)
        if provider is None:
            raise ProviderNotConfiguredError("no such provider is set up in this process", provider=name)
        return provider

    def describe(self) -> tuple[ProviderDescription, ...]:
        """The providers set up here, by name, and whether each has what a call needs. Nobody is called for this."""
        described = []
        for name, provider in sorted(self._providers.items()):
            missing = provider.missing() if isinstance(provider, Configurable) else None
            described.append(ProviderDescription(name, missing is None, missing))
        return tuple(described)

    async def close(self) -> None:
        """Close the connections of the running event loop and the threads of all. A call after this opens new ones."""
        for provider in self._providers.values():
            if isinstance(provider, Closeable):
                await provider.close()


def _live(environ: Mapping[str, str]) -> dict[str, Provider]:
    from controlplane.runtime.providers.anthropic import AnthropicProvider
    from controlplane.runtime.providers.bedrock import BedrockProvider
    from controlplane.runtime.providers.openai import OpenAIProvider

    region = environ.get("BEDROCK_REGION") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return {
        "bedrock": BedrockProvider(region=region),
        "openai": OpenAIProvider(
            api_key=environ.get("OPENAI_API_KEY"), base_url=environ.get("OPENAI_BASE_URL") or None
        ),
        "anthropic": AnthropicProvider(
            api_key=environ.get("ANTHROPIC_API_KEY"), base_url=environ.get("ANTHROPIC_BASE_URL") or None
        ),
    }
