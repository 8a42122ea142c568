import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib
import pytest

from controlplane.runtime.canonical import digest
from tests.runtime import coaching, prometheus
from tests.runtime.publishing import Publisher
from tests.runtime.service_process import COACHING, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """It looks single entries up, tells of itself often, and may do without a release of staging."""
    service = Service(
        tmp_path_factory.mktemp("service"),
        CONTROLPLANE_SOURCE="lookup",
        CONTROLPLANE_HEARTBEAT_SECONDS="0.05",
        CONTROLPLANE_READY_WITHOUT_RELEASE="staging",
        CONTROLPLANE_TELEMETRY="opentelemetry",
    )
    service.wait_for(lambda: service.ask("/readyz").status == 503)
    bodies = {digest(body.encode()): body for body in (coaching.PROMPT, coaching.DEFAULT_PROMPT)}
    Publisher(service.store).publish(coaching.documents(), bodies)
    service.wait_for(lambda: service.ask("/v1/resolve?interaction=COACHING_RESPONSE").status == 200)
    yield service
    service.stop()


def test_it_is_ready_when_every_environment_has_a_release_or_may_do_without(service: Service) -> None:
    answer = service.ask("/readyz")
    assert (answer.status, answer.body["releases"]) == (200, {"production": 1, "staging": None})


def test_calls_are_answered_from_what_was_looked_up(service: Service) -> None:
    answer = service.ask("/v1/coaching/responses", COACHING)
    assert (answer.status, answer.body["path"], answer.body["release"]) == (200, "configuration", 1)
    assert service.ask("/healthz").body["environments"]["production"]["source"] == "lookup"
    legacy = service.ask("/v1/coaching/responses", {**COACHING, "environment": "staging"})
    assert (legacy.body["path"], legacy.body["degraded"]) == ("legacy", ["no_release"])


def test_what_calls_did_can_be_scraped(service: Service) -> None:
    labels = {
        "environment": "production",
        "interaction": "COACHING_RESPONSE",
        "tier": "premium",
        "model": "LARGE",
        "variant": "7",
    }
    service.ask("/v1/coaching/responses", COACHING)
    before = prometheus.parse(service.ask("/metrics").body)
    service.ask("/v1/coaching/responses", COACHING)
    service.ask("/v1/resolve?interaction=COACHING_RESPONSE&tier=premium&unit=u-1")
    service.ask("/v1/resolve?interaction=NO_SUCH")
    service.ask("/v1/coaching/responses", {**COACHING, "environment": "staging"})
    page = service.ask("/metrics")
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = prometheus.parse(page.body)

    def more(name: str, suffix: str = "", **wanted: str) -> float:
        return found[name].value(suffix, **wanted) - before[name].value(suffix, **wanted)

    assert more("controlplane_lookup_seconds", "_count", **labels) == 2
    assert more("controlplane_render_seconds", "_count", **labels) == 1
    assert more("controlplane_call_seconds", "_count", **labels, path="configuration") == 1
    assert more("controlplane_calls_without_cost_total", **labels) == 1
    assert found["controlplane_errors_total"].value(interaction="unknown", kind="no_configuration") >= 1
    assert found["controlplane_fallbacks_total"].value(environment="staging", step="no_release") >= 1
    # Whether one was a hit depends on how soon it came after the one before.
    asked = found["controlplane_cache_requests_total"]
    assert asked.value(environment="production", cache="configuration", result="miss") >= 1
    assert found["controlplane_release"].value(environment="production") == 1
    assert found["controlplane_release_age_seconds"].value(environment="production") >= 0


def test_the_process_tells_the_store_of_itself(service: Service) -> None:
    service.ask("/v1/coaching/responses", COACHING)
    service.wait_for(lambda: any(one["metrics"]["paths"] for one in beats(service, "production")))
    (told,) = beats(service, "production")
    assert (told["release"], told["source"], told["process"].split(":")[1]) == (
        1,
        "lookup",
        str(service.process.pid),
    )
    assert [one["variant"] for one in told["metrics"]["variants"] if one["calls"]] == [7]
    service.wait_for(lambda: len(beats(service, "staging")) == 1)


def beats(service: Service, environment: str) -> list[dict[str, Any]]:
    return [json.loads(data) for data in service.store.read_heartbeats(environment).values()]


def test_no_heartbeat_is_written_when_it_is_switched_off_and_none_is_left_behind(tmp_path: Path) -> None:
    silent = Service(tmp_path, CONTROLPLANE_HEARTBEAT_SECONDS="0", CONTROLPLANE_ENVIRONMENTS="production")
    silent.publish("production", 1)
    silent.wait_for(lambda: silent.ask("/readyz").status == 200)
    silent.stop()
    assert not (tmp_path / "releases" / "production" / "heartbeats").exists()


def test_the_page_of_the_endpoints_is_whole_and_loads_nothing_from_elsewhere(service: Service) -> None:
    page = service.ask("/docs")
    assert page.status == 200
    assert "script" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    html5lib.HTMLParser(strict=True).parse(page.body)
    assert re.findall(r'(?:src|href)="([^#][^"]*)"', page.body) == ["docs.css", "openapi.json"]
    assert not re.search(r"<script|<style|style=|onclick", page.body)
    described = service.ask("/openapi.json").body["paths"]
    for path in described:
        assert f"<code>{path}</code>" in page.body
    assert {"/v1/analyses", "/v1/insights", "/v1/render", "/v1/coaching/responses", "/readyz"} <= set(
        described
    )
    assert "at most 32,768 characters" in page.body
    assert service.ask("/docs.css").headers["content-type"].startswith("text/css")
