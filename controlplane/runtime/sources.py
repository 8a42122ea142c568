"""What a service needs of whatever holds the live release: `Client` keeps all of it in memory, `LookupSource` reads parts."""

from typing import Protocol

from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches


class SourceState(Protocol):
    """How a source is doing, as far as a service tells of it; `ClientState` and `LookupState` know more."""

    @property
    def release(self) -> int | None:
        """The number of the release that is served; None before there is one."""

    @property
    def age_seconds(self) -> float | None:
        """Seconds since it was last known to be the live one; None without a release."""

    @property
    def last_error(self) -> str | None:
        """Why the last look at the store changed nothing that it should have; None when all was well."""


class ReleaseSource(Protocol):
    """The live release of one environment, for one call after another.

    A call asks for its view once and uses that from its start to its end, so that configuration and prompt are of one
    release. Nothing here raises for what a store does: None means that there is nothing to serve, and the call steps down.
    """

    @property
    def environment(self) -> str:
        """The code of the environment."""

    @property
    def state(self) -> SourceState:
        """How it is doing now."""

    @property
    def switches(self) -> KillSwitches:
        """What is switched off now; replaced whole when it changes. Look at it after the view: asking for that may renew it."""

    def view(self, interaction: str, tenant_id: str | None = None) -> Snapshot | None:
        """Return the release to use for one call of this interaction by this tenant; may read the store."""

    async def view_async(self, interaction: str, tenant_id: str | None = None) -> Snapshot | None:
        """Return the same without ever blocking the loop, and with every prompt ready that the call may need."""
