from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from controlplane.runtime.metrics import Metrics
from controlplane.runtime.telemetry import NAME, observe


def points(reader: InMemoryMetricReader) -> dict[str, list[NumberDataPoint]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [point for point in metric.data.data_points if isinstance(point, NumberDataPoint)]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_a_meter_reports_what_was_counted_for_each_environment() -> None:
    production, staging = Metrics("production"), Metrics("staging")
    production.lookup("COACHING_RESPONSE", "premium", "LARGE", 7, 2e-6)
    production.lookup("COACHING_RESPONSE", "premium", "LARGE", 7, 9.0)
    staging.error("COACHING_RESPONSE", "timeout")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe([production, staging], provider.get_meter(NAME))

    found = points(reader)
    subject = {
        "environment": "production",
        "interaction": "COACHING_RESPONSE",
        "tier": "premium",
        "model": "LARGE",
        "variant": "7",
    }
    (count,) = found["controlplane_lookup_seconds_count"]
    assert (count.value, count.attributes) == (2, subject)
    (total,) = found["controlplane_lookup_seconds_sum"]
    assert total.value == 9.000002
    buckets = {
        str((point.attributes or {})["le"]): point.value
        for point in found["controlplane_lookup_seconds_bucket"]
    }
    assert (buckets["1e-06"], buckets["2.5e-06"], buckets["2.5"], buckets["+Inf"]) == (0, 1, 1, 2)
    (error,) = found["controlplane_errors_total"]
    assert (error.value, (error.attributes or {})["environment"]) == (1, "staging")

    production.lookup("COACHING_RESPONSE", "premium", "LARGE", 7, 1.0)
    assert points(reader)["controlplane_lookup_seconds_count"][0].value == 3
    provider.shutdown()
