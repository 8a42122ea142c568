"""What the service holds for each environment, and what its endpoints share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request

from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.recording import Recorder
from controlplane.runtime.service.problems import UnknownEnvironmentError
from controlplane.runtime.services.configuration import LLMConfigurationService
from controlplane.runtime.services.llm import LLMService
from controlplane.runtime.services.template import LLMTemplateService
from controlplane.runtime.sources import ReleaseSource


class KeptFresh(ReleaseSource, Protocol):
    """A source that is started and closed, and says all of how it is doing: a `Client` or a `LookupSource`."""

    @property
    def state(self) -> Any:
        """A dataclass; see `SourceState` for what it has in any case."""

    def start(self) -> object:
        """Begin; returns within two seconds and never raises."""

    def close(self) -> None:
        """Stop."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment as this process serves it."""

    releases: KeptFresh
    service: LLMService
    configurations: LLMConfigurationService
    templates: LLMTemplateService
    metrics: Metrics
    heartbeat: Heartbeat | None = None
    recorder: Recorder | None = None

    @property
    def code(self) -> str:
        """The environment's code."""
        return self.releases.environment

    def start(self) -> None:
        """Begin to keep fresh, and then to tell of it."""
        self.releases.start()
        if self.heartbeat is not None:
            self.heartbeat.start()
        if self.recorder is not None:
            self.recorder.start()

    def close(self) -> None:
        """Stop all of it."""
        if self.recorder is not None:
            self.recorder.close()
        if self.heartbeat is not None:
            self.heartbeat.close()
        self.releases.close()


@dataclass(frozen=True, slots=True)
class Serving:
    """What every endpoint can reach; it hangs on the application's state."""

    environments: Sequence[Environment]
    providers: ProviderManager
    ready_without_release: frozenset[str] = frozenset()

    def environment(self, code: str) -> Environment:
        """The environment of this code; raises `UnknownEnvironmentError`."""
        for environment in self.environments:
            if environment.code == code:
                return environment
        raise UnknownEnvironmentError(code, [environment.code for environment in self.environments])


def serving_of(request: Request) -> Serving:
    """What the application of this request serves."""
    serving: Serving = request.app.state.serving
    return serving
