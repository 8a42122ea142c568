"""Whether units came in the shares that were set: more of them on one version than there should be is a defect somewhere."""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from controlplane.guards.evidence import ratio_evidence
from controlplane.rollouts.documents import versions_of
from controlplane.rollouts.standing import Standing
from controlplane.runtime.bucketing import BUCKETS
from controlplane.units.counted import Distinct
from controlplane.units.services import DAY, distinct

_HOUR: Final = dt.timedelta(hours=1)
OFF: Final = math.log(1_000)
"""As rarely by chance as this, and it is said aloud: nobody aborts because of it, but no comparison can be trusted either."""


@dataclass(frozen=True)
class Ratio:
    """The share of units that a version should have and has; the evidence that these are two."""

    set_share: float
    found: float
    units: int
    evidence: float

    @property
    def is_off(self) -> bool:
        """Whether something sends units where they should not go, or does not count them."""
        return self.evidence >= OFF


def ratio_of(here: Standing, counted: Distinct | None) -> Ratio | None:
    """Hold units against the shares; None where nobody counts them, or none came."""
    version = here.rollout.to_version
    live = [version, *(each for each in versions_of(here.document) if each != version)]
    units = sum(counted.versions.get(each, 0) for each in live) if counted is not None else 0
    if counted is None or not units:
        return None
    share = here.share / BUCKETS
    own, *others = counted.worth(live)
    evidence = ratio_evidence([own, sum(others)], [share, 1 - share])
    return Ratio(share, counted.versions.get(version, 0) / units, units, evidence)


def units_of(session: Session, here: Standing, *, at: dt.datetime) -> Distinct | None:
    """The different units of each version in whole hours since the shares were last moved, a day at most; None: not known.

    Units of before the move are on both sides of it: whoever moved would count twice.
    """
    moved_at = here.last.at
    hour = moved_at.replace(minute=0, second=0, microsecond=0) + _HOUR
    place = here.place
    return distinct(
        session,
        here.rollout.environment,
        place.interaction,
        place.tier,
        max(hour, at - DAY),
        at,
        tenant=place.tenant,
        unit=here.document.get("unit"),
    )
