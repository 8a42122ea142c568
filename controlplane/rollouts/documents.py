"""Live entries before and after a move: documents go in, documents come out. Pure.

The first variant is the baseline, which calls without a unit get; it stays first until the rollout is finished.
"""

from collections.abc import Collection, Mapping, Sequence

from controlplane.db import Json
from controlplane.rollouts.ranges import Ranges, Stacks, reallocate, rest_of
from controlplane.runtime.bucketing import BUCKETS, size


def versions_of(document: Json | None) -> tuple[int, ...]:
    """The versions of a configuration's live variants, baseline first; empty when it is not live."""
    return tuple(variant["version"] for variant in variants_of(document))


def variants_of(document: Json | None) -> list[Json]:
    """The live variants, baseline first."""
    return list((document or {}).get("variants", ()))


def stacks_of(document: Json | None) -> Stacks:
    """The buckets of each live variant."""
    return [[list(pair) for pair in variant["ranges"]] for variant in variants_of(document)]


def share_of(document: Json | None, version: int) -> int:
    """The buckets a version owns; 0 when it is not live."""
    return sum(size(variant["ranges"]) for variant in variants_of(document) if variant["version"] == version)


def with_candidate(document: Json, candidate: Json, share: int) -> Json:
    """Another variant beside those that are live, with this share of the baseline's."""
    shares = [size(variant["ranges"]) for variant in variants_of(document)]
    shares[0] -= share
    return _reallocated(document, [*variants_of(document), {**candidate, "ranges": []}], [*shares, share])


def with_shares(document: Json, shares: Mapping[int, int]) -> Json:
    """These candidates at these shares, by their versions; the others stay, the baseline has the rest."""
    _, *candidates = variants_of(document)
    wanted = [shares.get(each["version"], size(each["ranges"])) for each in candidates]
    return _reallocated(document, variants_of(document), [BUCKETS - sum(wanted), *wanted])


def without(document: Json, version: int) -> Json:
    """One candidate gone, its buckets back with the baseline."""
    emptied = with_shares(document, {version: 0})
    return {**emptied, "variants": [each for each in emptied["variants"] if each["version"] != version]}


def left_for(document: Json, versions: Collection[int]) -> int:
    """The buckets that these versions could have together: all but those of the other candidates."""
    _, *candidates = variants_of(document)
    return BUCKETS - sum(size(each["ranges"]) for each in candidates if each["version"] not in versions)


def with_only(document: Json, version: int) -> Json:
    """One of the variants for everybody, the others gone."""
    variants = variants_of(document)
    shares = [BUCKETS if variant["version"] == version else 0 for variant in variants]
    whole = _reallocated(document, variants, shares)
    return {**whole, "variants": [variant for variant in whole["variants"] if variant["version"] == version]}


def gate_with_share(document: Json, share: int) -> Json:
    """A gate that lets this share in; those who are in stay in when it grows."""
    ranges: Ranges = [list(pair) for pair in document["ranges"]]
    return {**document, "ranges": reallocate([ranges, rest_of(ranges)], [share, BUCKETS - share])[0]}


def _reallocated(document: Json, variants: Sequence[Json], shares: Sequence[int]) -> Json:
    stacks = reallocate([variant["ranges"] for variant in variants], shares)
    return {
        **document,
        "variants": [{**variant, "ranges": ranges} for variant, ranges in zip(variants, stacks, strict=True)],
    }
