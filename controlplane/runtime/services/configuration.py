"""Which configuration a call uses."""

from collections.abc import Callable
from datetime import UTC, datetime

from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.resolver import Request, Resolution, resolve
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.sources import ReleaseSource


class NoReleaseError(ControlPlaneRuntimeError):
    """No release has arrived yet, neither from the store nor from the disk."""

    kind = "no_release"

    def __init__(self) -> None:
        super().__init__("No release has been loaded yet.")


def utc_now() -> datetime:
    """The moment that effective dates are compared with."""
    return datetime.now(UTC)


class LLMConfigurationService:
    """Resolves configurations against the release that is live."""

    def __init__(self, releases: ReleaseSource, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._releases = releases
        self._clock = clock

    async def live(self, interaction_code: str, tenant_id: str | None = None) -> Snapshot:
        """The release to use for one request, from its start to its end; raises `NoReleaseError`."""
        snapshot = await self._releases.view_async(interaction_code, tenant_id)
        if snapshot is None:
            raise NoReleaseError
        return snapshot

    async def resolve_configuration(
        self,
        interaction_code: str,
        tier: str | None = None,
        *,
        tenant_id: str | None = None,
        unit: str | None = None,
        conversation_id: str | None = None,
        snapshot: Snapshot | None = None,
    ) -> Resolution:
        """The configuration of the chosen variant, with its reason.

        Raises `ConfigurationNotFoundError`, or `NoReleaseError` before there is a release. `snapshot` is the release of a
        request that began earlier.
        """
        request = Request(interaction_code, tier, tenant_id, unit, conversation_id)
        live = snapshot or await self.live(interaction_code, tenant_id)
        return resolve(live, request, now=self._clock())
