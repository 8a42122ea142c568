"""Walking through the record from the newest event on, or from a place, until enough of what matches was found.

The index of terms answers exactly, and cannot stop after the newest fifty. So it is asked for the newest events first, and then
for as many before those as it takes if matches go on being as common: what is common is found in a step or two, and what is
not there is rare enough to be fetched whole.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from controlplane.audit.conditions import Wanted, asked_of_index
from controlplane.audit.models import AuditEvent

FIRST_STEP = 20_000
NEWEST = (AuditEvent.at.desc(), AuditEvent.sequence.desc())
OLDEST = (AuditEvent.at, AuditEvent.sequence)

Selected = Select[*tuple[Any, ...]]


class Place(NamedTuple):
    """Where an event stands in the list: by its moment, and within that by its number."""

    at: dt.datetime
    sequence: int


@dataclass(frozen=True)
class Window:
    """A stretch of moments; `whole` where all that matches in it is found before the newest are taken of it."""

    begin: dt.datetime | None = None
    end: dt.datetime | None = None
    whole: bool = True
    forward: bool = False

    def of(self, chosen: Selected, *, limit: int) -> Selected:
        """What is chosen, as far as it lies in this stretch: the first `limit` of it in the order of the list."""
        if not self.whole:
            return chosen.order_by(*(OLDEST if self.forward else NEWEST)).limit(limit)
        if self.begin:
            chosen = chosen.where(AuditEvent.at >= self.begin)
        if self.end:
            chosen = chosen.where(AuditEvent.at < self.end)
        # With a limit in sight Postgres would rather walk through the newest events and compute the terms of each, which is
        # quick only if its guess of how many match is good.
        every = chosen.cte("every").prefix_with("MATERIALIZED")
        order = (every.c.at, every.c.sequence)
        return (
            select(every).order_by(*(order if self.forward else [each.desc() for each in order])).limit(limit)
        )


def walk(
    session: Session,
    wanted: Wanted,
    take: Callable[[Window, int], int],
    *,
    limit: int,
    before: Place | None = None,
    after: Place | None = None,
) -> None:
    """Have windows taken, from where the list begins, until there is enough; `take` says how many it found."""
    forward = after is not None
    if asked_of_index(wanted.query) is None:
        take(Window(whole=False, forward=forward), limit)
        return
    begin = after or before
    number = begin.sequence if begin else _number_before(session, wanted.span.end)
    edge: dt.datetime | None = None
    found, walked, step = 0, 0, FIRST_STEP
    while found < limit:
        walked += step
        beyond = moment_of(session, number + walked if forward else number - walked) if step else None
        found += take(Window(edge, beyond, forward=True) if forward else Window(beyond, edge), limit - found)
        if beyond is None:
            break
        edge = beyond
        # Half as many again, since what is common is not so everywhere; of what was not met yet, all that is left.
        step = max(walked, int((limit - found) * walked / found * 1.5)) if found else 0


def _number_before(session: Session, end: dt.datetime | None) -> int:
    query = select(AuditEvent.sequence).order_by(*NEWEST).limit(1)
    return session.scalar(query.where(AuditEvent.at < end) if end else query) or 0


def moment_of(session: Session, number: int) -> dt.datetime | None:
    """Return when the event of a number happened; None where the record does not reach to."""
    return session.scalar(select(AuditEvent.at).where(AuditEvent.sequence == number))
