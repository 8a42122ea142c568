import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import Request, Snapshot, in_gate, resolve, snapshot
from controlplane.runtime.bucketing import BUCKETS, bucket, owns
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
from tests.runtime import releases, strategies
from tests.runtime.strategies import EntryMap, entry_maps

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
CASES = releases.GOLDEN["cases"]


def load(entry_map: EntryMap) -> Snapshot:
    return Snapshot.load(snapshot.build(*entry_map), release=3, environment="staging")


def answer(found: Snapshot, request: Request, now: datetime = NOW) -> tuple[object, ...]:
    """What a call would do: equal for two snapshots when the request is served alike."""
    try:
        resolution = resolve(found, request, now=now)
    except ConfigurationNotFoundError:
        return ("not found",)
    return (resolution.key, resolution.variant, resolution.bucket, resolution.why, resolution.gate)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_golden_cases_resolve_as_written(case: dict[str, Any]) -> None:
    found = resolve(releases.load(), Request(**case["request"]), now=datetime.fromisoformat(case["now"]))
    shown = {
        "version": found.variant.version,
        "reason": found.reason,
        "key": found.key,
        "why": found.why,
        "bucket": found.bucket,
        "chosen": found.chosen,
        "model": found.variant.model,
        "prompt_version": found.prompt.version,
        "prompt_sha256": found.prompt.sha256,
        "gate": {"included": found.gate.included, "bucket": found.gate.bucket},
    }
    assert {name: shown[name] for name in case["expect"]} == case["expect"]


def test_a_resolution_carries_the_release_and_the_model() -> None:
    found = resolve(releases.load(release=12), Request("COACHING_RESPONSE", "premium"), now=NOW)
    assert (found.release, found.environment) == (12, "production")
    assert found.model.provider_model_id == "large-1"
    assert found.prompt.code == "coaching_response"


def test_without_any_row_that_counts_it_says_whom_nothing_was_found_for() -> None:
    documents = releases.documents()
    del documents["configuration/*/default/*"]
    with pytest.raises(ConfigurationNotFoundError, match="UNCONFIGURED and tier free") as refused:
        resolve(releases.load(documents), Request("UNCONFIGURED", "free"), now=NOW)
    assert (refused.value.interaction, refused.value.tier) == ("UNCONFIGURED", "free")


def test_a_unit_that_is_not_a_string_is_refused_even_where_no_bucket_is_needed() -> None:
    for interaction in ("COACHING_RESPONSE", "ROLLOUT"):
        with pytest.raises(TypeError, match="string"):
            resolve(releases.load(), Request(interaction, unit=7), now=NOW)  # type: ignore[arg-type]


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        resolve(releases.load(), Request("COACHING_RESPONSE"), now=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("configuration/ROLLOUT/default/*", {"model": "NONE"}),
        ("configuration/ROLLOUT/default/*", {"prompt": {"code": "none"}}),
        ("configuration/ROLLOUT/default/*", {"ranges": [[0, 10]]}),
        ("configuration/ROLLOUT/default/*", {"ranges": [[0, 100_000]]}),
    ],
)
def test_a_release_that_never_was_valid_is_refused_and_not_guessed_at(
    key: str, changed: dict[str, Any]
) -> None:
    documents = releases.documents()
    documents[key]["variants"][0].update(changed)
    with pytest.raises(SnapshotRefused, match=key.replace("*", r"\*")):
        resolve(releases.load(documents), Request("ROLLOUT", unit="u"), now=NOW)


def test_a_gate_is_asked_with_the_unit_it_buckets() -> None:
    documents = releases.documents()
    documents["gate/GATED"] = {"salt": "1f4b8a5ce0d29376", "unit": "tenant", "ranges": [[92201, 92202]]}
    found = releases.load(documents)
    assert in_gate(found, "GATED", "acme", tenant_id="globex").included is False
    assert in_gate(found, "GATED", "u-1", tenant_id="acme") == in_gate(found, "GATED", "acme")
    assert in_gate(found, "GATED", "u-1", tenant_id="acme").why == "bucket 92201 is in the gate's range"
    assert in_gate(found, "GATED", None).why == "no unit: out"
    assert in_gate(found, "COACHING_RESPONSE", None).why == "everyone is in"
    documents["gate/GATED"]["unit"] = "conversation"
    assert in_gate(releases.load(documents), "GATED", "u-1", conversation_id="c-1").bucket == 38642


requests = st.builds(
    Request,
    st.sampled_from(strategies.INTERACTIONS),
    st.none() | st.sampled_from([*strategies.TIERS, "unknown"]),
    st.none() | st.sampled_from([*strategies.TENANTS, "unknown"]),
    st.none() | strategies.units(),
)


@given(entry_maps(), requests)
def test_the_answer_never_depends_on_entries_of_others(entry_map: EntryMap, request: Request) -> None:
    whole = load(entry_map)
    mine = {
        key: document
        for key, document in entry_map.documents.items()
        if not key.startswith(("configuration/", "gate/")) or key.split("/")[1] in {request.interaction, "*"}
    }
    assert answer(load(EntryMap(mine, entry_map.bodies)), request) == answer(whole, request)


@given(entry_maps(), requests)
def test_the_first_row_in_order_that_counts_answers(entry_map: EntryMap, request: Request) -> None:
    """The same rule once more, written the slow and obvious way."""
    interaction, tier, tenant = request.interaction, request.tier, request.tenant_id
    rows = [
        f"configuration/{interaction}/{tier}/{tenant}",
        f"configuration/{interaction}/default/{tenant}",
        f"configuration/{interaction}/{tier}/*",
        f"configuration/{interaction}/default/*",
        "configuration/*/default/*",
    ]
    expected: tuple[object, ...] = ("not found", None)
    for key in rows:
        version = slow_choice(entry_map.documents.get(key), request)
        if version is not None:
            expected = (key, version)
            break
    try:
        found = resolve(load(entry_map), request, now=NOW)
        assert (found.key, found.variant.version) == expected
    except ConfigurationNotFoundError:
        assert expected == ("not found", None)


def slow_choice(document: dict[str, Any] | None, request: Request) -> int | None:
    if document is None:
        return None
    variants = document["variants"]
    unit = request.tenant_id if document["unit"] == "tenant" and request.tenant_id else request.unit
    chosen = variants[0]
    if unit and len(variants) > 1:
        number = bucket(document["salt"], document["unit"], unit)
        chosen = next(variant for variant in variants if owns(variant["ranges"], number))
    version: int | None = next(
        (variant["version"] for variant in (chosen, variants[0]) if variant["active"]), None
    )
    return version


@given(strategies.units(), st.integers(0, BUCKETS), st.integers(0, BUCKETS))
def test_raising_a_share_takes_nobody_out(unit: str, one: int, other: int) -> None:
    low, high = sorted((one, other))

    def version(share: int) -> int:
        documents = releases.documents()
        first, second = documents["configuration/ROLLOUT/default/*"]["variants"]
        # Version 2 acquires buckets from the top down, which is how a direction other than upwards is written.
        second["ranges"] = [[BUCKETS, BUCKETS - share]] if share else []
        first["ranges"] = [[0, BUCKETS - share]] if share < BUCKETS else []
        return resolve(releases.load(documents), Request("ROLLOUT", unit=unit), now=NOW).variant.version

    if version(low) == 2:
        assert version(high) == 2


def test_ten_percent_of_the_buckets_is_ten_percent_of_the_units() -> None:
    documents = releases.documents()
    first, second = documents["configuration/ROLLOUT/default/*"]["variants"]
    first["ranges"], second["ranges"] = [[0, 90_000]], [[90_000, 100_000]]
    found = releases.load(documents)
    versions = [
        resolve(found, Request("ROLLOUT", unit=f"u-{n}"), now=NOW).variant.version for n in range(10_000)
    ]
    assert 900 < versions.count(2) < 1100


def test_variants_are_independent_of_the_gate() -> None:
    documents = releases.documents()
    documents["gate/ROLLOUT"]["ranges"] = [[0, 50_000]]
    found = releases.load(documents)
    pairs = []
    for number in range(8_000):
        resolution = resolve(found, Request("ROLLOUT", unit=f"u-{number}"), now=NOW)
        pairs.append((resolution.gate.included, resolution.variant.version))
    for included, version in itertools.product((True, False), (1, 2)):
        share = 0.5 * (0.6 if version == 1 else 0.4)
        assert abs(pairs.count((included, version)) / len(pairs) - share) < 0.025
