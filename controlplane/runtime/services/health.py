"""How a service is doing, in one answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.sources import ReleaseSource
from controlplane.runtime.switches import Switch


class Health(StrEnum):
    """What callers get at the moment."""

    OK = "ok"
    """What the live release says."""
    AGEING = "ageing"
    """What the last good release says; the store cannot be read, or holds something that was refused."""
    SWITCHED_OFF = "switched_off"
    """The legacy path for some or all interactions, because somebody wanted it so."""
    WITHOUT_RELEASE = "without_release"
    """The legacy path, until a first release arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceHealth:
    """The answer of `LLMService.get_service_health`."""

    status: Health
    environment: str
    release: int | None
    release_age_seconds: float | None
    """Since the release was last known to be the live one."""
    last_error: str | None
    """Why the last look at the store changed nothing."""
    switched_off: Mapping[str, str]
    """Who threw a switch, when and why, by interaction; "*" is all of them."""
    providers: str
    """`echo` when nobody is really called, else `live`."""
    counters: Mapping[str, Mapping[str, int]]
    """How often each path, each step down, each error and calls of the old shape came since the process began."""


def health_of(
    releases: ReleaseSource, providers: ProviderManager, counters: Mapping[str, Mapping[str, int]]
) -> ServiceHealth:
    """How things are now."""
    state = releases.state
    switched_off = _switched_off(releases)
    return ServiceHealth(
        status=_status(state.release, state.last_error, switched_off),
        environment=releases.environment,
        release=state.release,
        release_age_seconds=state.age_seconds,
        last_error=state.last_error,
        switched_off=switched_off,
        providers=providers.mode,
        counters=counters,
    )


def _switched_off(releases: ReleaseSource) -> dict[str, str]:
    switches = releases.switches
    thrown = dict(switches.interactions)
    if switches.everything is not None:
        thrown["*"] = switches.everything
    return {name: who_threw(switch) for name, switch in sorted(thrown.items())}


def who_threw(switch: Switch) -> str:
    """By whom a switch was thrown, when and why, as far as they said."""
    when = f" at {switch.at}" if switch.at else ""
    why = f": {switch.reason}" if switch.reason else ""
    return f"{switch.by}{when}{why}"


def _status(release: int | None, last_error: str | None, switched_off: Mapping[str, str]) -> Health:
    if release is None:
        return Health.WITHOUT_RELEASE
    if switched_off:
        return Health.SWITCHED_OFF
    return Health.AGEING if last_error else Health.OK
