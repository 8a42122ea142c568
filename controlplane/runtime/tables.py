"""What a release says about an interaction, made ready to be asked: everything that is the same for all calls is worked
out once, so that a call takes three look-ups, one hash and one small object.

A table belongs to a snapshot and one interaction. It is made when that interaction is first asked for, its rows when they
are. Its keys come from the release, never from a request, so that strange names cannot make it grow. There is no lock:
two threads may make the same table or row, the results are equal, and one of them stays.
"""

from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Final

import msgspec

from controlplane.runtime import bucketing
from controlplane.runtime.bucketing import BUCKETS, FIRST, Hash
from controlplane.runtime.entries import (
    ANY,
    DEFAULT_TIER,
    Gate,
    Model,
    Variant,
    configuration_key,
    gate_key,
    interaction_key,
)
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.snapshot import Snapshot


class Reason(StrEnum):
    """Which row of the order answered."""

    TENANT_TIER = "tenant_tier"
    TENANT = "tenant"
    TIER = "tier"
    DEFAULT = "default"
    ENVIRONMENT_DEFAULT = "environment_default"


class Chosen(StrEnum):
    """How the variant was found within its row."""

    ONLY = "only"
    RANGE = "range"
    NO_UNIT = "no_unit"
    BASELINE_INSTEAD = "baseline_instead"


class ResolvedPrompt(msgspec.Struct, frozen=True, gc=False):
    """The prompt to render, down to the bytes: `Snapshot.body(sha256)` is its text."""

    code: str
    version: int
    sha256: str


class Row(msgspec.Struct, frozen=True, gc=False):
    """A configuration made ready to be asked, and all of the answer that is the same for every call it answers.

    `places[0]` is the variant that owns the buckets up to `cuts[0]`, `places[1]` that of those from there to `cuts[1]`, and
    so on. With one variant no bucket is needed. `steady` says that users are bucketed and every variant counts at any time.
    """

    hash: Hash
    prefix: bytes
    # A second way to say the same where there are two ranges, as in nearly every rollout: one comparison, and fewer
    # places in memory to go to. None elsewhere.
    cut: int | None
    below: int
    above: int
    steady: bool
    single: bool
    cuts: tuple[int, ...]
    places: tuple[int, ...]
    unit: str
    environment: str
    release: int
    key: str
    reason: Reason
    variants: tuple[Variant, ...]
    models: tuple[Model, ...]
    prompts: tuple[ResolvedPrompt, ...]


class Door(msgspec.Struct, frozen=True, gc=False):
    """A gate that not everybody passes. An odd number of boundaries at or below a bucket means that it is in."""

    unit: str
    hash: Hash
    prefix: bytes
    boundaries: tuple[int, ...]


# Python looks strings up faster in a dict that holds no other keys, so the row for all others stands under a string too.
REST: Final = ""
Rows = dict[str | None, Row]

UNASKED: Final = Row(
    steady=False,
    single=False,
    hash=bucketing.hash_of(FIRST),
    prefix=b"",
    cut=None,
    below=0,
    above=0,
    cuts=(),
    places=(),
    unit="",
    environment="",
    release=0,
    key="",
    reason=Reason.DEFAULT,
    variants=(),
    models=(),
    prompts=(),
)
"""Stands where a row is that nobody has asked for yet, and where there is none at all."""


class Table:
    """The rows of an interaction: by tier, then by tenant; `REST` is the tenant for all that have none of their own."""

    __slots__ = ("door", "tierless", "tiers")

    def __init__(self, door: Door | None, tiers: dict[str | None, Rows], tierless: Rows) -> None:
        self.door = door
        self.tiers = tiers
        self.tierless = tierless

    def keep(self, tier: str | None, tenant: str | None, row: Row) -> None:
        """Put a row where the next call of this tier and tenant finds it."""
        rows = self.tiers.get(tier, self.tierless) if tier else self.tierless
        rows[tenant if tenant and tenant in rows else REST] = row


def table_of(snapshot: Snapshot, interaction: str) -> Table:
    """Return the table of an interaction; all that the release does not name share one, under the empty name."""
    keys = _configurations(snapshot, interaction)
    named = keys or interaction_key(interaction) in snapshot or gate_key(interaction) in snapshot
    name = interaction if named else ""
    found: Table | None = snapshot.tables.get(name)
    if found is None:
        found = _make_table(snapshot, name, keys)
        snapshot.tables[name] = found
    return found


def rows_in_order(
    snapshot: Snapshot, interaction: str, tier: str | None, tenant: str | None
) -> Iterator[Row]:
    """Yield the rows that may answer, the first to be asked first. A row is made only when it is reached."""
    for reason, key in keys_in_order(interaction, tier, tenant):
        if key in snapshot:
            yield snapshot.derive((reason, key), _make_row)


def keys_in_order(interaction: str, tier: str | None, tenant: str | None) -> Iterator[tuple[Reason, str]]:
    """Yield the keys under which a row may stand, whether it does or not, the first to be asked first."""
    # A part with a slash makes a key of more than four parts, which no snapshot holds: it finds nothing, not another's row.
    tiered = tier and tier != DEFAULT_TIER
    if tenant and tenant != ANY:
        if tiered:
            yield Reason.TENANT_TIER, configuration_key(interaction, tier, tenant)
        yield Reason.TENANT, configuration_key(interaction, None, tenant)
    if tiered:
        yield Reason.TIER, configuration_key(interaction, tier)
    yield Reason.DEFAULT, configuration_key(interaction)
    yield Reason.ENVIRONMENT_DEFAULT, configuration_key()


def _configurations(snapshot: Snapshot, interaction: str) -> list[str]:
    """Return the keys of an interaction's configurations."""
    ordered = snapshot.derive("keys in order", lambda taken, _: sorted(taken.keys()))
    # "0" is the character after "/".
    bounds = (f"configuration/{interaction}/", f"configuration/{interaction}0")
    start, end = (bisect_left(ordered, bound) for bound in bounds)
    return ordered[start:end]


def _make_table(snapshot: Snapshot, interaction: str, keys: list[str]) -> Table:
    tenants: dict[str, set[str]] = {DEFAULT_TIER: set()}
    for key in keys:
        _, _, tier, tenant = key.split("/")
        tenants.setdefault(tier, set()).add(tenant)
    everywhere = tenants.pop(DEFAULT_TIER)
    tiers: dict[str | None, Rows] = {tier: _unasked(own | everywhere) for tier, own in tenants.items()}
    return Table(_make_door(snapshot.gate(interaction)), tiers, _unasked(everywhere))


def _unasked(tenants: set[str]) -> Rows:
    rows: Rows = dict.fromkeys(tenants - {ANY}, UNASKED)
    rows[REST] = UNASKED
    return rows


def _make_door(gate: Gate | None) -> Door | None:
    if gate is None or gate.share == BUCKETS:
        return None
    return Door(gate.unit, bucketing.hash_of(gate.algorithm), gate.hash_prefix, gate.boundaries)


def _make_row(snapshot: Snapshot, asked: tuple[Reason, str]) -> Row:
    reason, key = asked
    configuration = snapshot.configuration(key)
    if configuration is None:
        raise SnapshotRefused(f"{key} is not a configuration")
    variants = configuration.variants
    bands = _bands(key, variants) if len(variants) > 1 else [(0, BUCKETS, 0)]
    places = [place for _, _, place in bands]
    timeless = all(variant.timeless for variant in variants)
    return Row(
        steady=timeless and configuration.unit == "user",
        single=timeless and len(variants) == 1,
        hash=bucketing.hash_of(configuration.algorithm),
        prefix=configuration.hash_prefix,
        cut=_one_object(bands[1][0]) if len(bands) == 2 else None,
        below=places[0],
        above=places[-1],
        cuts=tuple(start for start, _, _ in bands[1:]),
        places=tuple(places),
        unit=configuration.unit,
        environment=snapshot.environment,
        release=snapshot.release,
        key=key,
        reason=reason,
        variants=variants,
        models=tuple(_model_of(snapshot, key, variant) for variant in variants),
        prompts=tuple(_prompt_of(snapshot, key, variant) for variant in variants),
    )


@cache
def _one_object(number: int) -> int:
    """Return always the same object for a bucket's number.

    Most rollouts stand at one of a few shares. In a large release, where every object lies far from the processor, this one
    is near. There are 100,000 at most.
    """
    return number


def _bands(key: str, variants: tuple[Variant, ...]) -> list[tuple[int, int, int]]:
    """Return start, end and place of the owner of every range, in order; they must cover all buckets, each once."""
    bands = sorted(
        (min(pair), max(pair), place)
        for place, variant in enumerate(variants)
        for pair in variant.ranges
        if pair[0] != pair[1]
    )
    for (_, reached, _), (start, _, _) in pairwise([(0, 0, 0), *bands, (BUCKETS, BUCKETS, 0)]):
        if start != reached:
            raise SnapshotRefused(
                f"{key}: the ranges of its variants leave a gap or overlap at bucket {min(start, reached)}"
            )
    return bands


def _model_of(snapshot: Snapshot, key: str, variant: Variant) -> Model:
    model = snapshot.model(variant.model)
    if model is None:
        raise SnapshotRefused(f"{key}: the model {variant.model} is not in this release")
    return model


def _prompt_of(snapshot: Snapshot, key: str, variant: Variant) -> ResolvedPrompt:
    wanted = variant.prompt
    if wanted.version is not None and wanted.sha256 is not None:
        return ResolvedPrompt(wanted.code, wanted.version, wanted.sha256)
    live = snapshot.prompt(wanted.code)
    if live is None:
        raise SnapshotRefused(f"{key}: the prompt {wanted.code} is not in this release")
    return ResolvedPrompt(wanted.code, live.version, live.sha256)
