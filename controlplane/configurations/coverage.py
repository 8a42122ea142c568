"""Which configuration wins for each interaction and tier, as the runtime itself would answer. Pure.

The grid asks the runtime's resolver about a snapshot made of the given entries: no second opinion on the order.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controlplane.configurations.places import Place
from controlplane.db import Json
from controlplane.runtime import bucketing, snapshot
from controlplane.runtime.entries import ANY
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
from controlplane.runtime.resolver import Reason, Request, Resolution, resolve
from controlplane.runtime.snapshot import Snapshot

Entries = Mapping[str, Json]


class Source(StrEnum):
    """Where a cell's answer comes from."""

    OWN = "own"
    DEFAULT = "default"
    ENVIRONMENT_DEFAULT = "environment default"
    NONE = "none"
    BROKEN = "broken"


@dataclass(frozen=True)
class Share:
    """One live variant and how many of the 100,000 buckets it owns."""

    version: int
    model: str
    buckets: int


@dataclass(frozen=True)
class Cell:
    """What calls of one interaction and tier get."""

    interaction: str
    tier: str | None
    source: Source
    winner: Place | None = None
    model: str | None = None
    shares: tuple[Share, ...] = ()
    differs: bool = False
    tenants: int = 0

    @property
    def rolling(self) -> bool:
        """Whether more than one variant is live."""
        return len(self.shares) > 1

    @property
    def place(self) -> Place:
        """The cell's own place, which is where a configuration of its own would stand."""
        return Place(self.interaction, self.tier)


@dataclass(frozen=True)
class Row:
    """One interaction with a cell for the default and for each tier."""

    interaction: str
    cells: tuple[Cell, ...]


def coverage(
    entries: Entries,
    *,
    interactions: Sequence[str],
    tiers: Sequence[str],
    now: dt.datetime,
    differing: Collection[str] = (),
) -> list[Row]:
    """The grid of these entries (live or saved), the default first; `differing` are keys whose saved state is another."""
    taken = _without_bodies(entries)
    tenants = _tenant_rows(entries)
    columns = [None, *tiers]
    return [
        Row(
            interaction,
            tuple(
                _cell(taken, Place(interaction, tier), now, differing, tenants.get((interaction, tier), 0))
                for tier in columns
            ),
        )
        for interaction in interactions
    ]


def answer(entries: Entries, place: Place, *, now: dt.datetime) -> Cell:
    """What calls of one place get, a tenant's too."""
    return _cell(_without_bodies(entries), place, now, (), 0)


def _without_bodies(entries: Entries) -> Snapshot:
    return Snapshot.load(snapshot.build(entries, {}), release=0, environment="")


def _cell(taken: Snapshot, place: Place, now: dt.datetime, differing: Collection[str], tenants: int) -> Cell:
    differs = place.key in differing
    try:
        found = resolve(taken, Request(place.interaction, place.tier, place.tenant), now=now)
    except ConfigurationNotFoundError:
        return Cell(place.interaction, place.tier, Source.NONE, differs=differs, tenants=tenants)
    except SnapshotRefused:
        return Cell(place.interaction, place.tier, Source.BROKEN, differs=differs, tenants=tenants)
    return Cell(
        place.interaction,
        place.tier,
        _source(found, place),
        winner=None if found.reason is Reason.ENVIRONMENT_DEFAULT else Place.from_key(found.key),
        model=found.variant.model,
        shares=_shares(taken, found.key),
        differs=differs or found.key in differing,
        tenants=tenants,
    )


def _source(found: Resolution, place: Place) -> Source:
    if found.key == place.key:
        return Source.OWN
    return Source.ENVIRONMENT_DEFAULT if found.reason is Reason.ENVIRONMENT_DEFAULT else Source.DEFAULT


def _shares(taken: Snapshot, key: str) -> tuple[Share, ...]:
    configuration = taken.configuration(key)
    if configuration is None:
        return ()
    return tuple(
        Share(variant.version, variant.model, bucketing.size(variant.ranges))
        for variant in configuration.variants
    )


def _tenant_rows(entries: Entries) -> dict[tuple[str, str | None], int]:
    """How many tenants have a row of their own for each cell: the grid shows what everybody else gets."""
    counts: dict[tuple[str, str | None], int] = {}
    for key in entries:
        if key.startswith("configuration/") and not key.endswith(f"/{ANY}"):
            place = Place.from_key(key)
            counts[place.interaction, place.tier] = counts.get((place.interaction, place.tier), 0) + 1
    return counts
