"""Which variant a request gets, and why. Pure: the same snapshot, request and moment give the same answer anywhere.

The order is tenant and tier, tenant, tier, default, the environment's default. A variant that is inactive or outside its
dates does not count: then the row's baseline is taken if that counts, else the next row is asked.
"""

from bisect import bisect_right
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from controlplane.runtime.bucketing import BUCKETS, bucket_of
from controlplane.runtime.entries import ANY, DEFAULT_TIER, Configuration, Gate, Model, Variant
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
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


class ResolvedPrompt(msgspec.Struct, frozen=True, gc=False):
    """The prompt to render, down to the bytes: `Snapshot.body(sha256)` is its text."""

    code: str
    version: int
    sha256: str


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


class Resolution(msgspec.Struct, frozen=True):
    """The answer to a request, with everything needed to explain it or to find it again."""

    request: Request
    environment: str
    release: int
    key: str
    reason: Reason
    chosen: Chosen
    variant: Variant
    model: Model
    prompt: ResolvedPrompt
    bucket: int | None
    gate: GateDecision
    baseline_version: int
    passed_over: tuple[str, ...] = ()

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


class _Choice(msgspec.Struct, frozen=True):
    """A variant with what it names, looked up once."""

    variant: Variant
    model: Model
    prompt: ResolvedPrompt
    timeless: bool

    def counts(self, now: datetime) -> bool:
        return self.timeless or self.variant.counts(now)


class _Row(msgspec.Struct, frozen=True):
    """A configuration made ready to be asked: `owners[i]` owns the buckets from `starts[i]` on."""

    configuration: Configuration
    baseline: _Choice
    starts: tuple[int, ...]
    owners: tuple[_Choice, ...]
    single: bool
    prefix: bytes


_EVERYONE: Final = GateDecision(included=True, bucket=None)
_NO_UNIT: Final = GateDecision(included=False, bucket=None)


def resolve(snapshot: Snapshot, request: Request, *, now: datetime) -> Resolution:
    """Return the variant for a request; raises `ConfigurationNotFoundError` when no row counts.

    `now` is aware. The gate is reported, not obeyed: whether an excluded call goes the legacy way is the service's business.
    """
    unit = request.unit
    if unit is not None and not isinstance(unit, str):
        raise TypeError(f"a unit is a string, not {type(unit).__name__}: {unit!r}")
    if now.tzinfo is None:
        raise ValueError("the moment must be aware: pass datetime.now(UTC)")
    passed_over: tuple[str, ...] = ()
    for reason, key in _order(request):
        if key not in snapshot:
            continue
        row = snapshot.derive(key, _make_row)
        choice, chosen, bucket = _choose(row, request, now)
        if choice is None:
            passed_over += (key,)
            continue
        return Resolution(
            request,
            snapshot.environment,
            snapshot.release,
            key,
            reason,
            chosen,
            choice.variant,
            choice.model,
            choice.prompt,
            bucket,
            _decide(snapshot.gate(request.interaction), request),
            row.baseline.variant.version,
            passed_over,
        )
    raise ConfigurationNotFoundError(request.interaction, request.tier)


def in_gate(
    snapshot: Snapshot,
    interaction: str,
    unit: str | None,
    *,
    tenant_id: str | None = None,
    conversation_id: str | None = None,
) -> GateDecision:
    """Say whether a unit's calls of this interaction go through configuration look-up; without a gate everyone's do."""
    request = Request(interaction, None, tenant_id, unit, conversation_id)
    return _decide(snapshot.gate(interaction), request)


def _order(request: Request) -> list[tuple[Reason, str]]:
    # A part with a slash makes a key of more than four parts, which no snapshot holds: it finds nothing, not another's row.
    interaction, tier, tenant = request.interaction, request.tier, request.tenant_id
    rows: list[tuple[Reason, str]] = []
    tiered = tier and tier != DEFAULT_TIER
    if tenant and tenant != ANY:
        if tiered:
            rows.append((Reason.TENANT_TIER, f"configuration/{interaction}/{tier}/{tenant}"))
        rows.append((Reason.TENANT, f"configuration/{interaction}/default/{tenant}"))
    if tiered:
        rows.append((Reason.TIER, f"configuration/{interaction}/{tier}/*"))
    rows.append((Reason.DEFAULT, f"configuration/{interaction}/default/*"))
    rows.append((Reason.ENVIRONMENT_DEFAULT, "configuration/*/default/*"))
    return rows


def _choose(row: _Row, request: Request, now: datetime) -> tuple[_Choice | None, Chosen, int | None]:
    baseline = row.baseline
    if row.single:
        return (baseline if baseline.counts(now) else None), Chosen.ONLY, None
    unit = _unit(row.configuration.unit, request)
    if not unit:
        return (baseline if baseline.counts(now) else None), Chosen.NO_UNIT, None
    bucket = bucket_of(row.prefix, unit)
    owner = row.owners[bisect_right(row.starts, bucket) - 1]
    if owner.counts(now):
        return owner, Chosen.RANGE, bucket
    return (baseline if baseline.counts(now) else None), Chosen.BASELINE_INSTEAD, bucket


def _unit(kind: str, request: Request) -> str | None:
    if kind == "tenant":
        return request.tenant_id or request.unit
    if kind == "conversation":
        return request.conversation_id or request.unit
    return request.unit


def _decide(gate: Gate | None, request: Request) -> GateDecision:
    if gate is None or gate.share == BUCKETS:
        return _EVERYONE
    unit = _unit(gate.unit, request)
    if not unit:
        return _NO_UNIT
    bucket = bucket_of(gate.hash_prefix, unit)
    # The boundaries alternate between the start of a range and its end, so an odd count to the left means inside.
    included = bisect_right(gate.boundaries, bucket) % 2 == 1
    return GateDecision(included, bucket)


def _make_row(snapshot: Snapshot, key: object) -> _Row:
    configuration = snapshot.configuration(str(key))
    if configuration is None:
        raise SnapshotRefused(f"{key} is not a configuration")
    choices = [_make_choice(snapshot, str(key), variant) for variant in configuration.variants]
    bands = sorted(
        (min(pair), max(pair), place)
        for place, choice in enumerate(choices)
        for pair in choice.variant.ranges
        if pair[0] != pair[1]
    )
    if len(choices) == 1:
        bands = [(0, BUCKETS, 0)]
    reached = 0
    for start, end, _ in bands:
        if start != reached:
            raise SnapshotRefused(
                f"{key}: the ranges of its variants leave a gap or overlap at bucket {reached}"
            )
        reached = end
    if reached != BUCKETS:
        raise SnapshotRefused(f"{key}: the ranges of its variants end at bucket {reached}")
    return _Row(
        configuration=configuration,
        baseline=choices[0],
        starts=tuple(start for start, _, _ in bands),
        owners=tuple(choices[place] for _, _, place in bands),
        single=len(choices) == 1,
        prefix=configuration.hash_prefix,
    )


def _make_choice(snapshot: Snapshot, key: str, variant: Variant) -> _Choice:
    model = snapshot.model(variant.model)
    if model is None:
        raise SnapshotRefused(f"{key}: the model {variant.model} is not in this release")
    timeless = variant.active and variant.effective_from is None and variant.effective_until is None
    return _Choice(variant, model, _resolve_prompt(snapshot, key, variant), timeless)


def _resolve_prompt(snapshot: Snapshot, key: str, variant: Variant) -> ResolvedPrompt:
    wanted = variant.prompt
    if wanted.version is not None and wanted.sha256 is not None:
        return ResolvedPrompt(wanted.code, wanted.version, wanted.sha256)
    live = snapshot.prompt(wanted.code)
    if live is None:
        raise SnapshotRefused(f"{key}: the prompt {wanted.code} is not in this release")
    return ResolvedPrompt(wanted.code, live.version, live.sha256)
