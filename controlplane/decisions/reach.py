"""The recorded calls of an environment, tried on a change: what is needed is fetched here, the counting is `radius`'s."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from controlplane.decisions.kept import MOST_CALLS, Kept, kept, newest_of
from controlplane.decisions.radius import Radius, radius
from controlplane.releases.composed import Composed
from controlplane.runtime import canonical
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches
from controlplane.switches.documents import as_obeyed
from controlplane.switches.services import thrown_in

Remembered = Callable[[str, Callable[[], Any]], Any]
"""Gives what is known under a key, or makes it and knows it from then on."""


@dataclass(frozen=True)
class Reach:
    """What a change does to the recorded calls; without a `radius` it could not be tried, for what is wrong with it."""

    radius: Radius | None
    total: int
    looked_at: int
    sample_words: str

    @property
    def has_calls(self) -> bool:
        """Whether anything was recorded at all."""
        return self.total > 0


NOTHING = Reach(None, 0, 0, "")


def reach_of(
    session: Session,
    environment: str,
    composed: Composed,
    at: dt.datetime,
    *,
    remembered: Remembered | None = None,
    interaction: str | None = None,
    most: int = MOST_CALLS,
) -> Reach:
    """Try the recorded calls of the last day on what a change would make live.

    With `interaction` only its calls: for a change of one configuration that is asked for again while a slider moves. What was
    found is remembered for as long as nothing it depends on changes; dates that begin or end meanwhile are met within minutes.
    """
    newest = newest_of(session, environment, at)
    if not newest:
        return NOTHING
    thrown = thrown_in(session, environment)

    def make() -> Reach:
        found = kept(session, environment, at, interaction=interaction, most=most)
        return Reach(
            _radius(composed, environment, found, at, as_obeyed(thrown)) if composed.changes else None,
            found.total,
            len(found.decisions),
            found.sample_words,
        )

    if remembered is None:
        return make()
    key = canonical.digest(
        canonical.dumps(
            {
                "what": [environment, composed.live.sha256, composed.content.sha256, newest],
                "thrown": sorted(each.target for each in thrown),
                "within": f"{at:%Y-%m-%d %H}:{at.minute // 5}",
            }
        )
    )
    reach: Reach = remembered(f"recorded-reach:{key}", make)
    return reach


def _radius(
    composed: Composed, environment: str, found: Kept, at: dt.datetime, switches: KillSwitches
) -> Radius | None:
    try:
        before, after = (
            Snapshot.load(content.data, release=number, environment=environment)
            for number, content in enumerate((composed.live.content, composed.content), start=1)
        )
        return radius(found.decisions, before, after, now=at, switches=switches)
    except SnapshotRefused:  # what is wrong with it is told where it is proposed; it cannot go live as it is
        return None
