"""Providers by the name that the model registry uses."""

from collections.abc import Mapping

from controlplane.runtime.providers.base import Provider
from controlplane.runtime.providers.echo import EchoProvider
from controlplane.runtime.providers.errors import ProviderNotConfiguredError
from controlplane.runtime.stores.build import is_loopback

ECHO = "echo"
LIVE = "live"


class ProviderManager:
    """Finds the provider for a model.

    ProviderManager({"bedrock": BedrockProvider(region="eu-central-1")})
    ProviderManager.echoing()     # nobody is called, whatever the release says
    """

    def __init__(self, providers: Mapping[str, Provider], *, echo_all: bool = False) -> None:
        self._providers: dict[str, Provider] = {ECHO: EchoProvider(), **providers}
        self._echo_all = echo_all

    @classmethod
    def echoing(cls) -> "ProviderManager":
        """A manager whose every provider is an echo, which says whom it stands in for."""
        return cls({}, echo_all=True)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ProviderManager":
        """CONTROLPLANE_PROVIDERS is "live" or "echo"; without it, "echo" exactly when the stores are embedded ones."""
        embedded = is_loopback(environ.get("AWS_ENDPOINT_URL"))
        mode = environ.get("CONTROLPLANE_PROVIDERS") or (ECHO if embedded else LIVE)
        if mode not in {ECHO, LIVE}:
            raise ValueError(f'CONTROLPLANE_PROVIDERS must be "{LIVE}" or "{ECHO}", not {mode!r}')
        if mode == ECHO:
            return cls.echoing()
        from controlplane.runtime.providers.bedrock import BedrockProvider

        region = (
            environ.get("BEDROCK_REGION") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        )
        return cls({"bedrock": BedrockProvider(region=region)})

    @property
    def mode(self) -> str:
        """`echo` when nobody is really called, else `live`."""
        return ECHO if self._echo_all else LIVE

    def get_provider(self, name: str) -> Provider:
        """The provider of this name; raises `ProviderNotConfiguredError`."""
        if self._echo_all and name != ECHO:
            return EchoProvider(stands_in_for=name)
        provider = self._providers.get(name)
        if provider is None:
            raise ProviderNotConfiguredError("no such provider is set up in this process", provider=name)
        return provider
