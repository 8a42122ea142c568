"""Whether units came in the shares that were set: more of them on one version than there should be is a defect somewhere."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from controlplane.guards.evidence import ratio_evidence
from controlplane.rollouts.standing import Standing
from controlplane.runtime.bucketing import BUCKETS

OFF: Final = math.log(1_000)
"""As rarely by chance as this, and it is said aloud: nobody aborts because of it, but no comparison can be trusted either."""


@dataclass(frozen=True)
class Units:
    """About how many different units each version answered while the shares were as they are; `error` is of each count."""

    counts: Mapping[int, int]
    error: float


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


def ratio_of(here: Standing, units: Units | None) -> Ratio | None:
    """Hold units against the shares; None where nobody counts them, or none came."""
    version = here.rollout.to_version
    if units is None or not (total := sum(units.counts.values())):
        return None
    share = here.share / BUCKETS
    own = units.counts.get(version, 0)
    # What a sketch counts is off by chance of its own, on top of the units': as much as if fewer of them had come.
    worth = 1 / (1 + 2 * units.error**2 * total * share * (1 - share))
    evidence = ratio_evidence([own * worth, (total - own) * worth], [share, 1 - share])
    return Ratio(share, own / total, total, evidence)


def units_of(session: Session, here: Standing, *, at: dt.datetime) -> Units | None:  # noqa: ARG001 - see below
    """The different units of each version since the shares were last moved; None: nobody counts them."""
    return None
