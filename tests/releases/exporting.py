"""What a worker tells of a release, for tests of what is shown of it."""

import datetime as dt

from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.releases.models import ExportStep
from controlplane.releases.steps import State, Step

LONG_AGO = dt.timedelta(minutes=10)


def exported(session: Session, number: int, *, ago: dt.timedelta = LONG_AGO) -> None:
    """Tell of a release as a worker does that has brought it to the services so long ago."""
    for step in Step:
        tell(session, number, step, State.DONE, f"words of {step}", ago=ago)


def tell(
    session: Session,
    number: int,
    step: Step,
    state: State,
    words: str,
    *,
    attempts: int = 1,
    ago: dt.timedelta = LONG_AGO,
) -> None:
    session.add(
        ExportStep(
            environment="production",
            number=number,
            step=step,
            state=state,
            started_at=now() - ago,
            finished_at=now() - ago,
            attempts=attempts,
            detail={"words": words},
        )
    )
    session.commit()
