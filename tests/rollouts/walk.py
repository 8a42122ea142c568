"""Short ways to move shares about, for the tests of rollouts."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.configurations.editing import values_of
from controlplane.configurations.models import Configuration
from controlplane.configurations.services import get_configuration, save_version
from controlplane.releases.history import latest_release, snapshot_of
from controlplane.rollouts import services
from controlplane.rollouts.documents import stacks_of
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import Candidate
from controlplane.rollouts.standing import live_entry
from controlplane.rollouts.starting import start
from controlplane.runtime.snapshot import Snapshot

REASON = "a test of moving shares"
KEY = "configuration/COACHING_RESPONSE/premium/*"


def second_version(session: Session, actor: Actor, *, temperature: float = 0.3) -> Configuration:
    """COACHING_RESPONSE · premium with one version more than is live."""
    configuration = get_configuration(session, "COACHING_RESPONSE", tier="premium")
    newest = configuration.versions[0]
    values = values_of(newest).model_copy(update={"temperature": temperature, "reason": "Try it colder"})
    save_version(session, configuration, values, base_version=newest.number, actor=actor)
    session.commit()
    return get_configuration(session, "COACHING_RESPONSE", tier="premium")


def snapshot(session: Session, environment: str = "production") -> Snapshot:
    """What a runtime would serve of the newest release."""
    release = latest_release(session, environment)
    assert release is not None
    data = snapshot_of(session, environment, release.number)
    return Snapshot.load(data, release=release.number, environment=environment)


@dataclass
class Walk:
    """The first data with a second version saved, and short ways to move it about in production."""

    session: Session
    actor: Actor
    configuration: Configuration
    environment: str = "production"

    def start(self, share: int, *, to_version: int = 2, base: int | None = None) -> Rollout:
        return self.start_several({to_version: share}, base=base)[0]

    def start_several(
        self, shares: Mapping[int, int], *, base: int | None = None, unit: str | None = None
    ) -> list[Rollout]:
        return start(
            self.session,
            self.environment,
            self.configuration,
            candidates=[Candidate(version, share) for version, share in shares.items()],
            reason=REASON,
            actor=self.actor,
            unit=unit,
            base=base,
        )

    def move(self, rollout: Rollout, share: int, *, base: int | None = None) -> None:
        services.set_share(self.session, rollout, share=share, reason=REASON, actor=self.actor, base=base)

    def abort(self, rollout: Rollout, *, base: int | None = None) -> None:
        services.abort(self.session, rollout, reason=REASON, actor=self.actor, base=base)

    def pause(self, rollout: Rollout) -> None:
        services.pause(self.session, rollout, reason=REASON, actor=self.actor)

    def resume(self, rollout: Rollout) -> None:
        services.resume(self.session, rollout, reason=REASON, actor=self.actor)

    def finish(self, rollout: Rollout) -> None:
        services.finish(self.session, rollout, reason=REASON, actor=self.actor)

    @property
    def release(self) -> int:
        return live_entry(self.session, self.environment, KEY).release

    def owned(self) -> list[set[int]]:
        """The buckets of each live variant, one by one."""
        document = live_entry(self.session, self.environment, KEY).document
        return [
            {bucket for a, b in stack for bucket in range(min(a, b), max(a, b))}
            for stack in stacks_of(document)
        ]

    def events(self, prefix: str = "rollout.") -> list[AuditEvent]:
        query = select(AuditEvent).where(AuditEvent.action.startswith(prefix))
        return list(self.session.scalars(query.order_by(AuditEvent.sequence)))
