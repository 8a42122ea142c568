"""A rollout, the minutes of its calls, and the guard's look at them."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from controlplane.guards import services
from controlplane.guards.acts import OnBreach
from controlplane.guards.chosen import LEAST_CALLS, settings_of
from controlplane.guards.measures import Measure
from controlplane.guards.models import GuardBreach
from controlplane.guards.watching import watch_one
from controlplane.health.models import HealthMinute
from controlplane.health.reading import Counts
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.standing import Standing, get_standing
from tests.rollouts.walk import Walk

MINUTE = dt.timedelta(minutes=1)
GOOD = Counts(answered=99, failed=1, output_tokens=9_900, cost=1.0, times=(99, *[0] * 15))
BAD = Counts(answered=60, failed=40, output_tokens=6_000, cost=0.6, times=(60, *[0] * 15))
MANY = {Measure.ERRORS: 1.0}


def minute_row(at: dt.datetime, version: int, counts: Counts, **other: Any) -> HealthMinute:
    subject = {"interaction": "COACHING_RESPONSE", "tier": "premium", "row": "premium/*", **other}
    return HealthMinute(
        environment="production",
        minute=at,
        version=version,
        **subject,
        **{**counts._asdict(), "times": list(counts.times)},
    )


@dataclass
class Guarded:
    walk: Walk
    rollout: Rollout
    now: dt.datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.rollout.started_at.replace(second=0, microsecond=0) + MINUTE

    @property
    def session(self) -> Session:
        return self.walk.session

    @property
    def here(self) -> Standing:
        return get_standing(self.session, "production", self.rollout.number)

    def minutes(self, count: int, baseline: Counts, variant: Counts, **other: Any) -> "Guarded":
        """So many minutes pass in which calls go like this."""
        for _ in range(count):
            for version, counts in ((1, baseline), (2, variant)):
                self.session.add(minute_row(self.now, version, counts, **other))
            self.now += MINUTE
        self.session.flush()
        return self

    def look(self) -> GuardBreach | None:
        """Look a little later than now, as the worker would."""
        at = self.now + dt.timedelta(seconds=30)
        return watch_one(self.session, "production", self.rollout.number, at=at)

    def choose(self, on_breach: OnBreach, tolerances: dict[Measure, float] | None = None) -> None:
        before = settings_of(self.session, self.rollout.number)
        services.choose(
            self.session,
            self.here,
            on_breach=on_breach,
            least_calls=LEAST_CALLS,
            tolerances=before.settings.tolerances if tolerances is None else tolerances,
            revision=before.revision,
            actor=self.walk.actor,
        )
