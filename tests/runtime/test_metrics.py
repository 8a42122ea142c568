import gc
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime.metrics import LONG_BOUNDS, OTHER, SERIES_LIMIT, SHORT_BOUNDS, Metrics
from tests.runtime.prometheus import parse
from tests.runtime.store_contract import together

SUBJECT = ("COACHING_RESPONSE", "premium", "LARGE", 7)
LABELS = {"interaction": "COACHING_RESPONSE", "tier": "premium", "model": "LARGE", "variant": "7"}


def answered(metrics: Metrics, *subject: object, cost: float | None = 0.25, seconds: float = 1.5) -> None:
    interaction, tier, model, variant = subject or SUBJECT
    metrics.answered(
        interaction,  # type: ignore[arg-type]
        tier,  # type: ignore[arg-type]
        model,  # type: ignore[arg-type]
        variant,  # type: ignore[arg-type]
        path="configuration",
        seconds=seconds,
        input_tokens=1_000,
        output_tokens=None,
        cost=cost,
    )


def test_what_was_measured_is_told_by_interaction_tier_model_and_variant() -> None:
    metrics = Metrics("production")
    metrics.lookup(*SUBJECT, 3e-6)
    metrics.lookup(*SUBJECT, 9.0)
    metrics.render(*SUBJECT, 2e-5)
    answered(metrics)
    answered(metrics, cost=None)
    metrics.error("COACHING_RESPONSE", "timeout", tier="premium", model="LARGE", variant=7)
    metrics.fallback("COACHING_RESPONSE", "fallback_model", "rate_limit")
    metrics.cache("entries", hit=True)
    metrics.cache("entries", hit=False)
    metrics.path("COACHING_RESPONSE", "legacy")

    found = parse(metrics.prometheus())
    lookup = found["controlplane_lookup_seconds"]
    assert lookup.value("_count", **LABELS, environment="production") == 2
    assert lookup.value("_bucket", **LABELS, le="2.5e-06") == 0
    assert lookup.value("_bucket", **LABELS, le="5e-06") == 1
    assert lookup.value("_bucket", **LABELS, le="2.5") == 1
    assert lookup.value("_bucket", **LABELS, le="+Inf") == 2
    assert lookup.value("_sum", **LABELS) == pytest.approx(9.000003)
    assert found["controlplane_render_seconds"].value("_count", **LABELS) == 1
    assert found["controlplane_call_seconds"].value("_sum", **LABELS, path="configuration") == 3
    assert found["controlplane_input_tokens_total"].value(**LABELS) == 2_000
    assert found["controlplane_output_tokens_total"].value(**LABELS) == 0
    assert found["controlplane_cost_total"].value(**LABELS) == 0.25
    assert found["controlplane_calls_without_cost_total"].value(**LABELS) == 1
    assert found["controlplane_errors_total"].value(**LABELS, kind="timeout") == 1
    assert found["controlplane_fallbacks_total"].value(step="fallback_model", reason="rate_limit") == 1
    assert found["controlplane_cache_requests_total"].value(cache="entries", result="hit") == 1
    assert found["controlplane_cache_requests_total"].value(cache="entries", result="miss") == 1
    assert found["controlplane_paths_total"].value(interaction="COACHING_RESPONSE", path="legacy") == 1


@pytest.mark.parametrize("place", range(len(SHORT_BOUNDS)))
def test_a_measurement_on_a_bound_belongs_to_that_bound(place: int) -> None:
    metrics = Metrics()
    metrics.lookup(*SUBJECT, SHORT_BOUNDS[place])
    counts = metrics.totals()["lookup"]["counts"]
    assert counts == [1 if number == place else 0 for number in range(len(SHORT_BOUNDS) + 1)]


def test_nothing_counted_is_still_a_valid_page() -> None:
    assert all(not series.samples for series in parse(Metrics("production").prometheus()).values())


@given(
    st.text(st.characters(codec="utf-8"), max_size=100),
    st.text(st.characters(codec="utf-8"), max_size=100),
    st.floats(min_value=0, allow_nan=False),
)
def test_any_text_comes_through_as_a_label(interaction: str, tier: str, seconds: float) -> None:
    metrics = Metrics("production")
    metrics.lookup(interaction, tier, None, None, seconds)
    found = parse(metrics.prometheus())["controlplane_lookup_seconds"]
    labels = {"interaction": interaction, "tier": tier, "model": "", "variant": ""}
    assert found.value("_count", **labels) == 1
    assert found.value("_sum", **labels) == seconds


def test_names_without_end_do_not_make_series_without_end() -> None:
    metrics = Metrics()
    for number in range(SERIES_LIMIT + 500):
        metrics.lookup(f"MADE_UP_{number}", None, None, None, 1e-6)
        metrics.error(f"MADE_UP_{number}", "timeout")
    metrics.error("X" * 1_000, "timeout")
    found = parse(metrics.prometheus())
    lookups = found["controlplane_lookup_seconds"]
    assert len([key for key in lookups.samples if key[0] == "_count"]) == SERIES_LIMIT + 1
    assert lookups.value("_count", interaction=OTHER) == 500
    assert lookups.value("_count", interaction="MADE_UP_0") == 1
    assert found["controlplane_errors_total"].value(interaction=OTHER) == 501
    metrics.lookup("MADE_UP_0", None, None, None, 1e-6)
    assert parse(metrics.prometheus())["controlplane_lookup_seconds"].value(
        "_count", interaction="MADE_UP_0"
    ) == 2  # fmt: skip


def test_many_threads_lose_nothing_while_others_read() -> None:
    metrics = Metrics("production")
    done = threading.Event()
    seen: list[float] = []

    def read() -> None:
        while not done.is_set():
            seen.append(sum(metrics.totals()["lookup"]["counts"]))
            parse(metrics.prometheus())

    def write() -> None:
        for number in range(5_000):
            metrics.lookup(f"I_{number % 50}", "premium", "LARGE", 7, 1e-6)
            answered(metrics)

    reader = threading.Thread(target=read)
    reader.start()
    together([write] * 8)
    done.set()
    reader.join()
    totals = metrics.totals()
    assert sum(totals["lookup"]["counts"]) == 40_000
    assert totals["variants"][0]["calls"] == 40_000
    assert totals["variants"][0]["input_tokens"] == 40_000_000
    assert seen == sorted(seen)


def test_threads_that_have_ended_are_counted_and_not_kept() -> None:
    metrics = Metrics()
    for _ in range(30):
        together([lambda: metrics.cache("entries", hit=True)] * 4)
    gc.collect()
    assert metrics.totals()["caches"] == {"entries/hit": 120}
    assert metrics.threads == 1
    assert metrics.totals()["caches"] == {"entries/hit": 120}


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_begins_at_nought() -> None:
    metrics = Metrics()
    metrics.cache("entries", hit=True)
    child = os.fork()
    if child == 0:
        began_empty = metrics.totals()["caches"] == {}
        metrics.cache("entries", hit=False)
        os._exit(0 if began_empty and metrics.totals()["caches"] == {"entries/miss": 1} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert metrics.totals()["caches"] == {"entries/hit": 1}


def test_totals_are_plain_values_with_the_busiest_variant_first() -> None:
    metrics = Metrics("production")
    answered(metrics, "COACHING_RESPONSE", "free", "SMALL", 3)
    for _ in range(3):
        answered(metrics)
    metrics.error(*(SUBJECT[0], "timeout"), tier="premium", model="LARGE", variant=7)
    metrics.error("UNKNOWN", "no_configuration")
    metrics.fallback("COACHING_RESPONSE", "render_failed", "parameter", tier="free", model="SMALL", variant=3)
    metrics.path("COACHING_RESPONSE", "configuration")
    totals = json.loads(json.dumps(metrics.totals()))
    busiest, second, none = totals["variants"]
    assert busiest == {
        "interaction": "COACHING_RESPONSE",
        "tier": "premium",
        "model": "LARGE",
        "variant": 7,
        "configuration": None,
        "calls": 3,
        "errors": 1,
        "fallbacks": 0,
        "input_tokens": 3_000,
        "output_tokens": 0,
        "cost": 0.75,
        "calls_without_cost": 0,
        "seconds": 4.5,
        "kinds": {"timeout": 1},
        "steps": {},
        "counts": [3 if number == LONG_BOUNDS.index(2.0) else 0 for number in range(len(LONG_BOUNDS) + 1)],
    }
    assert (second["tier"], second["calls"], second["fallbacks"]) == ("free", 1, 1)
    assert (none["interaction"], none["calls"], none["errors"]) == ("UNKNOWN", 0, 1)
    assert totals["errors"] == {"no_configuration": 1, "timeout": 1}
    assert totals["fallbacks"] == {"render_failed/parameter": 1}
    assert totals["paths"] == {"configuration": 1}
    assert totals["call"]["seconds"] == 6.0
