"""Puts the sketches of all processes together, as part of the worker's look at the heartbeats.

Whatever is done twice changes nothing: of two registers the larger stays. So a process that starts again, a beat that is read
twice and a second worker cost nothing, and a process that was not read for some minutes is made good by its next beat.

The caller holds the environment's row of `fleet_observations`, so that two workers do not write over each other.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from controlplane.runtime.sketch import packed, unpacked
from controlplane.units.models import HourOfUnits
from controlplane.units.told import Subject, Told, read

KEPT: Final = dt.timedelta(days=8)
SERIES_IN_AN_HOUR: Final = 2_000
"""Configurations and versions of one hour that are kept at most; of more than these the ones that come first."""
_AHEAD: Final = dt.timedelta(minutes=2)
_BEHIND: Final = dt.timedelta(hours=2)


def gather(session: Session, environment: str, beats: Iterable[bytes], at: dt.datetime) -> None:
    """Add what these heartbeats tell of this hour and the one before to what is known."""
    found: dict[Subject, Told] = {}
    for data in beats:
        for subject, told in read(data):
            # A process whose clock is wrong would put its units into hours that are not theirs.
            if at - _BEHIND < subject.hour <= at + _AHEAD:
                found[subject] = found[subject].with_(told) if subject in found else told
    if not found:
        return
    known = _known(session, environment, min(found).hour)
    room = _room(known)
    for subject in sorted(found):
        row = known.get(subject)
        if row is not None:
            _bring_up(row, found[subject], at)
        elif room.get(subject.hour, SERIES_IN_AN_HOUR) > 0:
            room[subject.hour] = room.get(subject.hour, SERIES_IN_AN_HOUR) - 1
            session.add(_row(environment, subject, found[subject], at))
    session.flush()
    session.execute(
        delete(HourOfUnits).where(HourOfUnits.environment == environment, HourOfUnits.hour < at - KEPT)
    )


def _known(session: Session, environment: str, since: dt.datetime) -> dict[Subject, HourOfUnits]:
    query = select(HourOfUnits).where(HourOfUnits.environment == environment, HourOfUnits.hour >= since)
    # Another worker may have written since this session last looked.
    rows = session.scalars(query.execution_options(populate_existing=True))
    return {Subject(row.hour, row.key, row.unit, row.version): row for row in rows}


def _room(known: Iterable[Subject]) -> dict[dt.datetime, int]:
    room: dict[dt.datetime, int] = {}
    for subject in known:
        room[subject.hour] = room.get(subject.hour, SERIES_IN_AN_HOUR) - 1
    return room


def _row(environment: str, subject: Subject, told: Told, at: dt.datetime) -> HourOfUnits:
    return HourOfUnits(
        environment=environment,
        **vars(subject),
        registers=packed(told.registers),
        calls=told.calls,
        without_unit=told.without,
        told_at=at,
    )


def _bring_up(row: HourOfUnits, told: Told, at: dt.datetime) -> None:
    before = Told(unpacked(row.registers), row.calls, row.without_unit)
    after = before.with_(told)
    if after != before:
        row.registers, row.calls, row.without_unit = packed(after.registers), after.calls, after.without
        row.told_at = at


def counted_since(session: Session, environment: str) -> dt.datetime | None:
    """Return the first hour that is kept of an environment; None where nothing was ever told."""
    return session.scalar(select(func.min(HourOfUnits.hour)).where(HourOfUnits.environment == environment))
