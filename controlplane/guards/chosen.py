"""What is watched on a rollout, and what is done when a guard is set off: as somebody chose, or as is usual."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from controlplane.guards.acts import OnBreach
from controlplane.guards.judging import Settings
from controlplane.guards.measures import USUAL, Measure
from controlplane.guards.models import GuardSettings

LEAST_CALLS: Final = 30
"""Of the version and of the baseline, before anything is said or done: fewer would be an anecdote."""


@dataclass(frozen=True)
class Chosen:
    """What is watched on a rollout, and what is done on a breach; `revision` 0 is what is usual."""

    on_breach: OnBreach
    settings: Settings
    revision: int


def settings_of(session: Session, rollout: int) -> Chosen:
    """What guards of a rollout watch and do; where nobody has chosen, what is usual.

    The usual act is to hold: it moves nobody, and a plan does not climb over what hurts. To abort moves people in the middle
    of the night, so somebody has to have wanted it.
    """
    row = session.get(GuardSettings, rollout, populate_existing=True)
    if row is None:
        tolerances = {measure: measure.usual_tolerance for measure in USUAL}
        return Chosen(OnBreach.HOLD, Settings(tolerances, LEAST_CALLS), 0)
    tolerances = {
        measure: row.tolerances[measure.value] for measure in Measure if measure.value in row.tolerances
    }
    return Chosen(OnBreach(row.on_breach), Settings(tolerances, row.least_calls), row.revision)
