"""What is kept of a call that was recorded, and the batches that it travels in.

A batch is NDJSON: a line that says who wrote it, and a line for each call. No unit stands in it. To decide a call again it takes
only the *bucket* that its unit had by each salt that could have decided it, so those are kept, and beside them a keyed hash of
the unit, by which one unit is told from another. What that does and does not hide is said in docs/runtime.md.

`replay` decides a call again with the runtime's own resolver, by another release too. A row or a gate with a salt that the call
was not recorded with has no bucket to be read: then the keyed hash stands in for the unit, which is right on average over many
calls and says nothing about this one; the answer is marked as a guess.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from controlplane.runtime.bucketing import encode_unit, hash_of, scale
from controlplane.runtime.entries import Configuration, Gate
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.resolver import GateDecision, Request, Resolution, resolve_by, unit_of
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.tables import Door, Row, keys_in_order

SCHEMA: Final = 1
MOST_DECISIONS: Final = 5_000
"""In one batch; a reader takes no more."""
LONGEST_LINE: Final = 24 * 1024
"""Bytes of one call; a reader passes over a longer one."""

Name = Annotated[str, msgspec.Meta(max_length=256)]
Hashed = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Bucket = Annotated[int, msgspec.Meta(ge=0, lt=100_000)]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call: who asked for what, what was decided, what came of it. What is not known is None."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    interaction: Name
    tier: Name | None = None
    tenant: Name | None = None
    unit: Hashed | None = None
    """The keyed hash of the user's id."""
    conversation: Hashed | None = None
    buckets: dict[Name, Bucket] = {}
    """By algorithm, salt and kind of unit, with colons between them."""

    path: Annotated[str, msgspec.Meta(max_length=32)] = "configuration"
    kept_out: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    """Why configuration look-up was not used: one of `services.answers.KeptOut`, or of its `Step`."""
    release: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    sha256: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    """The digest of the release as it was served."""
    gate: Bucket | None = None
    key: Name | None = None
    version: Count | None = None
    bucket: Bucket | None = None
    model: Name | None = None
    prompt: Name | None = None
    prompt_version: Count | None = None

    answered_by: Name | None = None
    """The model that gave the answer, which may be a fallback."""
    error: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    milliseconds: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None

    parameters: dict[Name, Any] | None = None
    """The values that the interaction declares may be kept."""
    lengths: dict[Name, Count] | None = None
    """How long those are of which that may be kept."""

    @property
    def request(self) -> Request:
        """The request as far as it is known: hashes stand where ids stood."""
        return Request(self.interaction, self.tier, self.tenant, self.unit, self.conversation)


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who wrote a batch, and what it leaves out. `key` tells hashes of one key from those of another."""

    schema: int = SCHEMA
    environment: Name
    process: Name
    rate: Annotated[float, msgspec.Meta(gt=0, le=1)]
    key: Annotated[str, msgspec.Meta(max_length=16)] = ""
    dropped: Count = 0
    """Calls that were chosen and could not be kept, since the batch before."""


class Batch(msgspec.Struct, frozen=True):
    """A batch as it was read; `unreadable` lines were passed over."""

    header: Header
    decisions: Sequence[Decision]
    unreadable: int = 0


class Replayed(msgspec.Struct, frozen=True):
    """A recorded call decided again. `exact`: by the buckets that it had, or by none at all."""

    gate: GateDecision
    resolution: Resolution | None
    exact: bool


_encoder: Final = msgspec.json.Encoder()
_decision: Final = msgspec.json.Decoder(Decision)
_header: Final = msgspec.json.Decoder(Header)


def encode(decision: Decision) -> bytes:
    """Return a call as its line, without the end."""
    return _encoder.encode(decision)


def decode(line: bytes) -> Decision:
    """Return the call of a line; raises `ValueError`, because whoever can write to the store can write one."""
    try:
        return _decision.decode(line)
    except RecursionError as problem:
        raise ValueError(str(problem)) from None


def join(header: Header, lines: Sequence[bytes]) -> bytes:
    """Return a batch of encoded calls."""
    return b"\n".join((_encoder.encode(header), *lines, b""))


def read(data: bytes) -> Batch:
    """Return the batch in these bytes; raises `ValueError` for what is none. Lines that cannot be read are counted."""
    first, *lines = data.split(b"\n", MOST_DECISIONS + 1)
    try:
        header = _header.decode(first)
    except RecursionError as problem:
        raise ValueError(str(problem)) from None
    if header.schema != SCHEMA:
        raise ValueError(f"schema {header.schema} is not known to this reader, which knows schema {SCHEMA}")
    found, unreadable = [], 0
    for line in filter(None, lines[:MOST_DECISIONS]):
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError("longer than a call may be")
            found.append(decode(line))
        except ValueError:
            unreadable += 1
    return Batch(header, found, unreadable + sum(map(bool, lines[MOST_DECISIONS:])))


def hashed(key: bytes, id_: str | None) -> str | None:
    """Return the keyed hash that stands for an id; None without one."""
    return hmac.new(key, encode_unit(id_), hashlib.sha256).hexdigest()[:16] if id_ else None


def fingerprint(key: bytes) -> str:
    """Return what tells this key from another without telling it."""
    return hashlib.sha256(b"key of recorded units\0" + key).hexdigest()[:8]


def buckets(snapshot: Snapshot, request: Request) -> dict[str, int]:
    """Return the buckets of a request by every salt that could decide it: of its rows, first or not, and of its gate."""
    found = {}
    for each in _bucketed(snapshot, request):
        unit = unit_of(each.unit, request)
        if unit:
            prefix = each.hash_prefix
            found[salt_name(prefix)] = scale(hash_of(each.algorithm)(prefix + encode_unit(unit)))
    return found


def salt_name(prefix: bytes) -> str:
    """Return the name under which the bucket by a salt is kept, from what is hashed before the unit."""
    return prefix.decode("utf-8", "replace").rstrip("\0").replace("\0", ":")


def replay(snapshot: Snapshot, decision: Decision, *, now: datetime) -> Replayed:
    """Decide a recorded call again, by any release and at any moment (aware). Pure."""
    guessed = False

    def bucket_of(where: Row | Door, request: Request) -> int | None:
        nonlocal guessed
        known = decision.buckets.get(salt_name(where.prefix))
        if known is not None:
            return known
        unit = unit_of(where.unit, request)
        if not unit:
            return None
        # A tenant is kept by its name, so its bucket can be worked out by any salt.
        guessed = guessed or not (where.unit == "tenant" and unit == request.tenant_id)
        return scale(where.hash(where.prefix + encode_unit(unit)))

    gate, resolution = resolve_by(snapshot, decision.request, bucket_of, now=now)
    return Replayed(gate, resolution, not guessed)


def _bucketed(snapshot: Snapshot, request: Request) -> Iterator[Configuration | Gate]:
    """Yield what has a salt: also where there is one variant, or the gate is open, because a share may be moved next."""
    with contextlib.suppress(SnapshotRefused):
        gate = snapshot.gate(request.interaction)
        if gate is not None:
            yield gate
    for _, key in keys_in_order(request.interaction, request.tier, request.tenant_id):
        with contextlib.suppress(SnapshotRefused):
            row = snapshot.configuration(key)
            if row is not None:
                yield row
