"""Which variant a request gets, and why. Pure: the same snapshot, request and moment give the same answer anywhere.

The order is tenant and tier, tenant, tier, default, the environment's default. A variant that is inactive or outside its
dates does not count: then the row's baseline is taken if that counts, else the next row is asked.
"""

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from controlplane.runtime.bucketing import BUCKETS, encode_unit, scale
from controlplane.runtime.entries import Model, Variant
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.tables import (
    REST,
    UNASKED,
    Chosen,
    Door,
    Reason,
    ResolvedPrompt,
    Row,
    Table,
    rows_in_order,
    table_of,
)

__all__ = [
    "Chosen",
    "GateDecision",
    "Reason",
    "Request",
    "Resolution",
    "ResolvedPrompt",
    "gate_unit",
    "in_gate",
    "resolve",
    "resolve_by",
]


class Request(msgspec.Struct, frozen=True, gc=False):
    """Who asks, and for which interaction.

    `unit` is the user's id (or whatever is bucketed). A configuration that buckets tenants or conversations takes
    `tenant_id` or `conversation_id` when they are given, so that an application passes all it knows and need not know which.
    """

    interaction: str
    tier: str | None = None
    tenant_id: str | None = None
    unit: str | None = None
    conversation_id: str | None = None


class GateDecision(msgspec.Struct, frozen=True, gc=False):
    """Whether a unit goes through configuration look-up at all; those who are out take the legacy path."""

    included: bool
    bucket: int | None

    @property
    def why(self) -> str:
        """The reason in words."""
        if self.bucket is None:
            return "everyone is in" if self.included else "no unit: out"
        return f"bucket {self.bucket} is {'in' if self.included else 'outside'} the gate's range"


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request, with everything needed to explain it or to find it again."""

    # Only what differs from call to call: the rest was put together when the row was first asked.
    request: Request
    row: Row
    place: int
    chosen: Chosen
    bucket: int | None
    gate: GateDecision
    passed_over: tuple[str, ...] = ()

    @property
    def environment(self) -> str:
        """The environment of the release."""
        return self.row.environment

    @property
    def release(self) -> int:
        """The number of the release."""
        return self.row.release

    @property
    def key(self) -> str:
        """The key of the configuration that answered."""
        return self.row.key

    @property
    def reason(self) -> Reason:
        """Which row of the order that is."""
        return self.row.reason

    @property
    def variant(self) -> Variant:
        """The version of the configuration to use."""
        return self.row.variants[self.place]

    @property
    def model(self) -> Model:
        """The model that the variant names."""
        return self.row.models[self.place]

    @property
    def prompt(self) -> ResolvedPrompt:
        """The prompt that the variant names, at the version to render."""
        return self.row.prompts[self.place]

    @property
    def unit(self) -> str | None:
        """What the row buckets, of this request: the user's id, the tenant's or the conversation's."""
        return unit_of(self.row.unit, self.request)

    @property
    def baseline_version(self) -> int:
        """The version that a call without a unit gets."""
        return self.row.variants[0].version

    @property
    def why(self) -> str:
        """The reason in words, for logs and for the page that explains it."""
        # Put together when asked for: most calls never read it, and three strings cost as much as the rest.
        return "; ".join(
            [*(f"{row} does not count now" for row in self.passed_over), self._row(), self._choice()]
        )

    def _row(self) -> str:
        asked = self.request
        return {
            Reason.TENANT_TIER: f"tenant {asked.tenant_id} has its own configuration for {asked.tier}",
            Reason.TENANT: f"tenant {asked.tenant_id} has its own configuration",
            Reason.TIER: f"{asked.tier} has its own configuration",
            Reason.DEFAULT: f"the default configuration of {asked.interaction}",
            Reason.ENVIRONMENT_DEFAULT: f"{asked.interaction} has no configuration: the environment's default",
        }[self.reason]

    def _choice(self) -> str:
        version = self.variant.version
        return {
            Chosen.ONLY: f"version {version} is its only variant",
            Chosen.RANGE: f"bucket {self.bucket} is in version {version}'s range",
            Chosen.NO_UNIT: f"no unit: baseline, version {version}",
            Chosen.BASELINE_INSTEAD: f"bucket {self.bucket} is in the range of a variant that does not count now: "
            f"baseline, version {version}",
        }[self.chosen]


BucketOf = Callable[[Row | Door, Request], int | None]
"""Says in which bucket a request's unit is by the salt of a row or a gate; None when there is no unit."""

# Read off an enumeration in every call, they would cost as much as a look-up.
_ONLY: Final = Chosen.ONLY
_RANGE: Final = Chosen.RANGE
_EVERYONE: Final = GateDecision(included=True, bucket=None)
_NO_UNIT: Final = GateDecision(included=False, bucket=None)


def resolve(snapshot: Snapshot, request: Request, *, now: datetime) -> Resolution:
    """Return the variant for a request; raises `ConfigurationNotFoundError` when no row counts.

    `now` is aware. The gate is reported, not obeyed: whether an excluded call goes the legacy way is the service's business.
    """
    # Every call of the product comes through here: what a function would say better is written out for its speed.
    unit = request.unit
    if type(unit) is not str and unit is not None:
        _refuse_other_types(unit, "unit")
    if now.tzinfo is None:
        raise ValueError("the moment must be aware: pass datetime.now(UTC)")
    table: Table = snapshot.tables.get(request.interaction) or table_of(snapshot, request.interaction)
    rows = table.tiers.get(request.tier) or table.tierless
    row = rows.get(request.tenant_id)
    if row is None:
        if type(request.tenant_id) is not str and request.tenant_id is not None:
            _refuse_other_types(request.tenant_id, "tenant")
        row = rows[REST]
    door = table.door
    if row.single:
        gate = _EVERYONE if door is None else _decide(door, request)
        return Resolution(request, row, 0, _ONLY, None, gate)
    if not unit or not row.steady:
        return _answer(table, row, request, now) or _ask_in_order(snapshot, table, request, now)
    try:
        data = row.prefix + unit.encode()
    except UnicodeEncodeError:
        data = row.prefix + encode_unit(unit)
    bucket = row.hash(data) * BUCKETS >> 64
    cut = row.cut
    if cut is None:
        place = row.places[bisect_right(row.cuts, bucket)]
    else:
        place = row.below if bucket < cut else row.above
    return Resolution(
        request, row, place, _RANGE, bucket, _EVERYONE if door is None else _decide(door, request)
    )


def resolve_by(
    snapshot: Snapshot, request: Request, bucket_of: BucketOf, *, now: datetime
) -> tuple[GateDecision, Resolution | None]:
    """Return what `in_gate` and `resolve` say of a request whose buckets are told instead of being worked out here.

    For requests of which the buckets were kept and the unit was not. No resolution: no row counts.
    """
    table: Table = snapshot.tables.get(request.interaction) or table_of(snapshot, request.interaction)
    gate = _EVERYONE if table.door is None else _decide_by(table.door, request, bucket_of)
    try:
        return gate, _ask_in_order(snapshot, table, request, now, bucket_of)
    except (ConfigurationNotFoundError, SnapshotRefused):
        return gate, None


def in_gate(
    snapshot: Snapshot,
    interaction: str,
    unit: str | None,
    *,
    tenant_id: str | None = None,
    conversation_id: str | None = None,
) -> GateDecision:
    """Say whether a unit's calls of this interaction go through configuration look-up; without a gate everyone's do."""
    table: Table = snapshot.tables.get(interaction) or table_of(snapshot, interaction)
    if table.door is None:
        return _EVERYONE
    return _decide(table.door, Request(interaction, None, tenant_id, unit, conversation_id))


def gate_unit(snapshot: Snapshot, request: Request) -> tuple[str, str | None] | None:
    """Return the kind of unit that the interaction's gate buckets, and this request's; None without a gate."""
    table: Table = snapshot.tables.get(request.interaction) or table_of(snapshot, request.interaction)
    door = table.door
    return None if door is None else (door.unit, unit_of(door.unit, request))


def _ask_in_order(
    snapshot: Snapshot, table: Table, request: Request, now: datetime, bucket_of: BucketOf | None = None
) -> Resolution:
    """Ask row after row: where nobody has asked before, and where the first row does not count now."""
    passed_over: tuple[str, ...] = ()
    interaction, tier, tenant = request.interaction, request.tier, request.tenant_id
    for row in rows_in_order(snapshot, interaction, tier, tenant):
        if not passed_over:
            table.keep(tier, tenant, row)
        answer = _answer(table, row, request, now, passed_over, bucket_of)
        if answer is not None:
            return answer
        passed_over += (row.key,)
    raise ConfigurationNotFoundError(interaction, tier)


def _answer(
    table: Table,
    row: Row,
    request: Request,
    now: datetime,
    passed_over: tuple[str, ...] = (),
    bucket_of: BucketOf | None = None,
) -> Resolution | None:
    """Return the answer of a row, with dates, other units than users and calls without one; None if it does not count."""
    if row is UNASKED:
        return None
    place, chosen, bucket = _choose(row, request, bucket_of or _hashed)
    if place and not row.variants[place].counts(now):
        place, chosen = 0, Chosen.BASELINE_INSTEAD
    if not row.variants[place].counts(now):
        return None
    if table.door is None:
        gate = _EVERYONE
    elif bucket_of is None:
        gate = _decide(table.door, request)
    else:
        gate = _decide_by(table.door, request, bucket_of)
    return Resolution(request, row, place, chosen, bucket, gate, passed_over)


def _choose(row: Row, request: Request, bucket_of: BucketOf) -> tuple[int, Chosen, int | None]:
    """Return the place of the variant, how it was found, and the bucket, dates left aside."""
    if len(row.variants) == 1:
        return 0, Chosen.ONLY, None
    bucket = bucket_of(row, request)
    if bucket is None:
        return 0, Chosen.NO_UNIT, None
    return row.places[bisect_right(row.cuts, bucket)], Chosen.RANGE, bucket


def _hashed(where: Row | Door, request: Request) -> int | None:
    unit = unit_of(where.unit, request)
    return scale(where.hash(where.prefix + encode_unit(unit))) if unit else None


def unit_of(kind: str, request: Request) -> str | None:
    """Return the id that is bucketed where units are of this kind."""
    if kind == "tenant":
        return request.tenant_id or request.unit
    if kind == "conversation":
        return request.conversation_id or request.unit
    return request.unit


def _decide(door: Door, request: Request) -> GateDecision:
    unit = unit_of(door.unit, request)
    if not unit:
        return _NO_UNIT
    bucket = scale(door.hash(door.prefix + encode_unit(unit)))
    return GateDecision(bisect_right(door.boundaries, bucket) % 2 == 1, bucket)


def _decide_by(door: Door, request: Request, bucket_of: BucketOf) -> GateDecision:
    bucket = bucket_of(door, request)
    return (
        _NO_UNIT if bucket is None else GateDecision(bisect_right(door.boundaries, bucket) % 2 == 1, bucket)
    )


def _refuse_other_types(id_: object, what: str) -> None:
    if not isinstance(id_, str):
        raise TypeError(f"a {what} is a string, not {type(id_).__name__}: {id_!r}")
