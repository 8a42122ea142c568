"""How many different units were answered, by configuration and version: read from what processes told.

A count is an estimate with a standard error of 3.3 % (`Distinct.error`), and less of a few hundred. Whoever compares two of
them, as a check of a sample's ratio does, has to add that error to chance, or take `Distinct.worth` for the counts.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from itertools import groupby
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from controlplane.runtime.entries import ANY, DEFAULT_TIER, configuration_key, gate_key
from controlplane.runtime.sketch import estimate, union, unpacked
from controlplane.units.counted import Distinct
from controlplane.units.gathering import counted_since
from controlplane.units.models import HourOfUnits

DAY: Final = dt.timedelta(days=1)
_HOUR: Final = dt.timedelta(hours=1)
Wanted = Mapping[str, Collection[int] | None]
"""Keys of entries, each with the versions that are asked for, or None for all."""


def distinct(
    session: Session,
    environment: str,
    interaction: str,
    tier: str | None,
    since: dt.datetime,
    until: dt.datetime,
    *,
    tenant: str | None = None,
    unit: str | None = None,
) -> Distinct | None:
    """Count those whom one configuration answered, in the hours that begin from `since` and before `until`; None: not known.

    A configuration of no tier is that of the tiers which have none of their own. Without `unit` it is the kind told last.
    """
    key = configuration_key(interaction, tier or DEFAULT_TIER, tenant or ANY)
    return distinct_of(session, environment, {key: None}, since, until, unit=unit)


def distinct_at_gate(
    session: Session, environment: str, interaction: str, unit: str, since: dt.datetime, until: dt.datetime
) -> Distinct | None:
    """Count those who called an interaction at all, let in or kept out by its gate.

    Not known where its configurations bucket units of another kind: whom the gate let in was not counted by the gate's then.
    """
    prefix = f"configuration/{interaction}/"
    told = select(HourOfUnits.key, HourOfUnits.unit).where(
        HourOfUnits.environment == environment,
        HourOfUnits.hour >= since,
        HourOfUnits.hour < until,
        or_(HourOfUnits.key == gate_key(interaction), HourOfUnits.key.startswith(prefix, autoescape=True)),
    )
    found = session.execute(told.distinct().order_by(HourOfUnits.key)).all()
    if any(kind != unit and key.startswith(prefix) for key, kind in found):
        return None
    return distinct_of(session, environment, {key: None for key, _ in found}, since, until, unit=unit)


def distinct_of(
    session: Session,
    environment: str,
    wanted: Wanted,
    since: dt.datetime,
    until: dt.datetime,
    *,
    unit: str | None = None,
) -> Distinct | None:
    """Count those whom any of these answered."""
    if not wanted:
        return None
    asked = [
        HourOfUnits.key == key
        if versions is None
        else and_(HourOfUnits.key == key, HourOfUnits.version.in_(sorted(versions)))
        for key, versions in wanted.items()
    ]
    query = select(HourOfUnits).where(
        HourOfUnits.environment == environment,
        HourOfUnits.hour >= since,
        HourOfUnits.hour < until,
        or_(*asked),
    )
    if unit is not None:
        query = query.where(HourOfUnits.unit == unit)
    rows = session.scalars(
        query.order_by(HourOfUnits.version, HourOfUnits.hour, HourOfUnits.key, HourOfUnits.unit)
    ).all()
    if not rows:
        return None
    kind = unit or max(rows, key=lambda row: (row.hour, row.calls)).unit
    return _put_together(
        [row for row in rows if row.unit == kind], kind, since, counted_since(session, environment)
    )


def last_day(at: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return from when to when the last 24 hours reach: this one as far as it has come, and 23 before."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour + _HOUR - DAY, hour + _HOUR


def _put_together(
    rows: list[HourOfUnits], kind: str, since: dt.datetime, counting_since: dt.datetime | None
) -> Distinct:
    sketches: dict[int, bytes] = {}
    for version, group in groupby(rows, key=lambda row: row.version):
        sketches[version] = _union([unpacked(row.registers) for row in group])
    calls = sum(row.calls for row in rows)
    begun = max(since, counting_since or since)
    return Distinct(
        unit=kind,
        total=round(estimate(_union(list(sketches.values())))),
        versions={version: round(estimate(registers)) for version, registers in sketches.items()},
        since=begun,
        told_at=max(row.told_at for row in rows),
        whole=begun <= since,
        without_unit=sum(row.without_unit for row in rows) / calls if calls else 0.0,
    )


def _union(sketches: list[bytes]) -> bytes:
    first, *others = sketches
    for other in others:
        first = union(first, other)
    return first
