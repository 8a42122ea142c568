import gc
import itertools
import random
import threading
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime import Request, Resolution, Snapshot, in_gate, resolve, snapshot
from controlplane.runtime.bucketing import BUCKETS, bucket
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
from tests.runtime import releases, slow_resolver, strategies
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


def test_a_tenant_that_is_not_a_string_is_refused_and_not_taken_for_a_stranger() -> None:
    found = releases.load()
    for _ in range(2):
        with pytest.raises(TypeError, match="tenant is a string, not int"):
            resolve(found, Request("ROLLOUT", tenant_id=7, unit="u"), now=NOW)  # type: ignore[arg-type]


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
    st.sampled_from([*strategies.INTERACTIONS, "UNKNOWN"]),
    st.sampled_from([None, "", "default", *strategies.TIERS, "unknown"]),
    st.sampled_from([None, "", "*", *strategies.TENANTS, "unknown"]),
    st.sampled_from([None, "", "u-1", "u-2", "half \ud83d", *strategies.TENANTS]) | strategies.units(),
    st.sampled_from([None, "", "c-1"]),
)
moments = st.sampled_from(
    [
        datetime.fromisoformat(text)
        for text in (
            "2025-12-31T23:59:59.999999+00:00",
            "2026-01-01T00:00:00+00:00",
            "2026-06-01T02:00:00+02:00",
            "2026-12-31T23:59:59.999999+00:00",
            "2027-01-01T01:00:00+01:00",
        )
    ]
)


@settings(max_examples=60)  # each draws and reads a whole release
@given(entry_maps(), requests)
def test_the_answer_never_depends_on_entries_of_others(entry_map: EntryMap, request: Request) -> None:
    whole = load(entry_map)
    mine = {
        key: document
        for key, document in entry_map.documents.items()
        if not key.startswith(("configuration/", "gate/")) or key.split("/")[1] in {request.interaction, "*"}
    }
    assert answer(load(EntryMap(mine, entry_map.bodies)), request) == answer(whole, request)


@pytest.mark.parametrize(("kind", "unit"), [("user", "u-1"), ("tenant", "acme"), ("conversation", "c-1")])
def test_a_configuration_is_asked_with_the_unit_it_buckets_every_time(kind: str, unit: str) -> None:
    documents = releases.documents()
    row = documents["configuration/ROLLOUT/default/*"]
    row.update(algorithm="v2", unit=kind)
    found = releases.load(documents)
    expected = bucket(row["salt"], kind, unit, algorithm="v2")
    for _ in range(2):
        request = Request("ROLLOUT", None, "acme", "u-1", "c-1")
        assert resolve(found, request, now=NOW).bucket == expected


everywhere = list(
    itertools.product(
        [*strategies.INTERACTIONS, "UNKNOWN"],
        [None, "default", *strategies.TIERS, "unknown"],
        [None, *strategies.TENANTS],
    )
)


@settings(max_examples=60)
@given(entry_maps(), requests, moments, st.randoms(use_true_random=False))
def test_every_answer_is_that_of_the_page_read_slowly(
    entry_map: EntryMap, asked: Request, now: datetime, order: random.Random
) -> None:
    """`docs/bucketing.md` once more, written the slow and obvious way; what was asked before must not matter."""
    # Which algorithm, or none, is drawn with the salt.
    for document in entry_map.documents.values():
        if "salt" in document and document["salt"][-1] < "6":
            document["algorithm"] = "v2"
        elif "salt" in document and document["salt"][-1] < "b":
            del document["algorithm"]
    found = load(entry_map)
    for place in order.sample(everywhere, len(everywhere)) + order.sample(everywhere, 20):
        request = Request(*place, asked.unit, asked.conversation_id)
        expected = slow_resolver.answer(entry_map.documents, request, now)
        try:
            answered = resolve(found, request, now=now)
        except ConfigurationNotFoundError:
            assert expected is None
        else:
            assert shown(answered) == expected


@pytest.mark.parametrize("algorithm", ["v1", "v2"])
@pytest.mark.parametrize("many", [False, True])
def test_a_boundary_belongs_to_the_range_above_it(algorithm: str, many: bool) -> None:
    number = bucket("1f4b8a5ce0d29376", "user", "u-1", algorithm=algorithm)
    for cut, version in ((number, 2), (number + 1, 1)):
        documents = releases.documents()
        row = documents["configuration/ROLLOUT/default/*"]
        row.update(algorithm=algorithm, salt="1f4b8a5ce0d29376", unit="user")
        first, second = row["variants"]
        first["ranges"], second["ranges"] = [[0, cut]], [[cut, BUCKETS]]
        if many:
            first["ranges"], second["ranges"] = (
                [[1, cut], [BUCKETS - 1, BUCKETS]],
                [[0, 1], [BUCKETS - 1, cut]],
            )
        found = releases.load(documents)
        for _ in range(2):
            answered = resolve(found, Request("ROLLOUT", unit="u-1"), now=NOW)
            assert (answered.bucket, answered.variant.version) == (number, version)


def shown(found: Resolution) -> dict[str, Any]:
    return {
        "release": (found.environment, found.release),
        "key": found.key,
        "reason": found.reason,
        "chosen": found.chosen,
        "version": found.variant.version,
        "model": (found.variant.model, found.model.provider_model_id),
        "prompt": (found.prompt.code, found.prompt.version),
        "bucket": found.bucket,
        "gate": (found.gate.included, found.gate.bucket),
        "baseline_version": found.baseline_version,
        "passed_over": found.passed_over,
    }


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


def test_strange_names_leave_nothing_behind() -> None:
    found = releases.load()

    def ask(number: int) -> None:
        for request in (
            Request(f"STRANGE_{number}", "premium", "acme", "u"),
            Request("ROLLOUT", f"strange_{number}", f"stranger-{number}", "u"),
            Request("GATED", "premium", f"stranger-{number}", "u"),
        ):
            resolve(found, request, now=NOW)
        assert in_gate(found, f"STRANGE_{number}", "u").included

    ask(0)
    gc.collect()
    tracemalloc.start()
    for number in range(1, 501):
        ask(number)
    gc.collect()
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert left < 20_000


def test_threads_that_ask_first_and_at_once_get_the_same_answers() -> None:
    asked = [
        Request(interaction, tier, tenant, f"u-{number}")
        for number, (interaction, tier, tenant) in enumerate(
            itertools.product(
                ("COACHING_RESPONSE", "ROLLOUT", "GATED", "STRANGE"),
                (None, "premium", "free"),
                (None, "acme", "x"),
            )
        )
    ]
    calm = releases.load()
    expected = [answer(calm, request) for request in asked]
    found = releases.load()
    together = threading.Barrier(8)
    answers: list[list[tuple[object, ...]]] = []

    def work() -> None:
        together.wait()
        answers.append([answer(found, request) for request in asked])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8
