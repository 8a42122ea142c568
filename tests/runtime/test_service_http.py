import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.runtime.service.settings import ServiceSettings, SettingsError
from controlplane.runtime.switches import KillSwitches, Switch, document
from tests.runtime import coaching
from tests.runtime.service_process import COACHING, Service, problem_of


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    service.publish("production", 1)
    service.publish("staging", 4)
    service.wait_for(lambda: service.ask("/readyz").status == 200)
    yield service
    service.stop()


def test_health_says_what_is_served_in_each_environment(service: Service) -> None:
    answer = service.ask("/healthz")
    assert answer.status == 200
    assert answer.body["providers"] == "echo"
    states = answer.body["environments"]
    assert (states["production"]["release"], states["staging"]["release"]) == (1, 4)
    assert states["production"]["source"] == "store"
    assert states["production"]["age_seconds"] >= 0


def test_a_resolution_comes_with_its_reason(service: Service) -> None:
    answer = service.ask(
        "/v1/resolve?interaction=COACHING_RESPONSE&tier=premium&unit=u-1&environment=staging"
    )
    assert answer.status == 200
    assert answer.body["release"] == 4
    assert (answer.body["version"], answer.body["reason"]) == (7, "tier")
    assert answer.body["model"] == {"code": "LARGE", "id": "large-1", "provider": "north"}
    assert (answer.body["prompt"]["code"], answer.body["prompt"]["version"]) == ("coaching_response", 4)
    assert answer.body["fallbacks"] == ["OTHER", "SMALL"]
    assert answer.body["gate"]["included"] is True
    assert "premium" in answer.body["why"]


def test_an_explanation_is_the_resolution_with_every_rule_on_the_way(service: Service) -> None:
    asked = "interaction=COACHING_RESPONSE&tier=premium&unit=u-1&environment=staging"
    resolved = service.ask(f"/v1/resolve?{asked}").body
    explained = service.ask(f"/v1/explain?{asked}&values=%7B%7D")
    assert explained.status == 200
    body = explained.body
    assert (body["version"], body["configuration"]) == (resolved["version"], resolved["configuration"])
    assert (body["model"], body["path"], body["release"]) == ("LARGE", "configuration", 4)
    assert [step["rule"] for step in body["steps"]][:2] == ["kill switch", "gate"]
    assert [link["model"] for link in body["chain"]] == ["LARGE", *resolved["fallbacks"]]
    assert body["text"] is None
    assert "required" in body["problem"]


def test_many_units_are_resolved_at_once_by_one_release(service: Service) -> None:
    units = [f"u-{number}" for number in range(10_000)]
    answer = service.ask("/v1/resolve/batch", {"interaction": "COACHING_RESPONSE", "units": units})
    assert answer.status == 200
    assert answer.body["release"] == service.ask("/healthz").body["environments"]["production"]["release"]
    assert answer.body["results"] == [[3, None]] * 10_000


def test_a_coaching_response_says_what_the_model_was_given(service: Service) -> None:
    answer = service.ask("/v1/coaching/responses", COACHING)
    assert answer.status == 200
    assert (answer.body["model_code"], answer.body["path"], answer.body["release"]) == (
        "LARGE",
        "configuration",
        1,
    )
    assert (answer.body["provider"], answer.body["stands_in_for"], answer.body["providers"]) == (
        "echo",
        "north",
        "echo",
    )
    given = json.loads(answer.body["text"])
    assert (given["model_id"], given["temperature"], given["max_tokens"]) == ("large-1", 0.7, 4_000)
    assert "Are our values real?" in given["messages"][0]["content"]


def test_the_legacy_path_can_be_asked_for(service: Service) -> None:
    answer = service.ask("/v1/coaching/responses", {**COACHING, "use_config_lookup": False})
    assert (answer.status, answer.body["path"], answer.body["stands_in_for"]) == (200, "legacy", "bedrock")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/resolve?interaction=UNCONFIGURED", 404),
        ("/v1/resolve?interaction=NO_SUCH", 404),
        ("/v1/resolve?interaction=COACHING_RESPONSE&environment=nowhere", 404),
        ("/v1/resolve?interaction=COACHING_RESPONSE&environment=../x", 404),
        ("/v1/resolve", 422),
        ("/v1/resolve?interaction=", 422),
        ("/v1/resolve?interaction=COACHING_RESPONSE&unitt=u-1", 422),
        (f"/v1/resolve?interaction=COACHING_RESPONSE&unit={'x' * 257}", 422),
        (f"/v1/resolve?interaction=COACHING_RESPONSE&environment={'x' * 65}", 422),
        ("/nothing/here", 404),
        ("/v1/coaching/responses", 405),
    ],
)
def test_a_question_without_an_answer_is_a_problem_with_an_id(
    service: Service, path: str, status: int
) -> None:
    assert problem_of(service.ask(path))["status"] == status


def test_a_problem_says_its_kind_in_one_word(service: Service) -> None:
    asked = {"interaction": "COACHING_RESPONSE", "parameters": {}}
    for answer, kind in (
        (service.ask("/v1/resolve?interaction=NO_SUCH"), "no_configuration"),
        (service.ask("/v1/resolve?interaction=X&environment=nowhere"), "unknown_environment"),
        (service.ask("/v1/render", asked), "parameter"),
        (service.ask("/v1/resolve/batch", {"interaction": "NO_SUCH", "units": ["u-1"]}), "no_configuration"),
    ):
        assert problem_of(answer)["kind"] == kind


def test_a_resolution_says_when_look_up_is_switched_off(service: Service) -> None:
    path = "/v1/resolve?interaction=COACHING_RESPONSE&environment=staging"
    assert service.ask(path).body["switched_off"] is None
    switch = Switch("ada@example.com", "2026-11-22T10:00:00Z", "wrong tone")
    thrown = document(KillSwitches(everything=switch), environment="staging", version=1)
    service.store.write_switches("staging", thrown, version=1)
    service.wait_for(lambda: service.ask(path).body["switched_off"] is not None)
    assert "ada@example.com" in service.ask(path).body["switched_off"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.conversation_id"),
        ({**COACHING, "user_message": 7}, "body.user_message"),
        ({**COACHING, "tempreature": 1}, "body.tempreature"),
        ({**COACHING, "user_message": "x" * 40_000}, "body.user_message"),
        (
            {**COACHING, "conversation_history": [{"role": "system", "content": "x"}]},
            "body.conversation_history.0.role",
        ),
        ({**COACHING, "template_parameters": {"goal": "x" * 40_000}}, "body.template_parameters.goal"),
        ({**COACHING, "template_parameters": {"goal": ["x" * 20_000] * 2}}, "body.template_parameters.goal"),
        (
            {**COACHING, "template_parameters": {f"p{n}": "x" * 30_000 for n in range(10)}},
            "body.template_parameters",
        ),
        ({**COACHING, "template_parameters": {"x" * 65: 1}}, f"body.template_parameters.{'x' * 65}.[key]"),
        ({**COACHING, "business_context": {"about": "x" * 40_000}}, "body.business_context.about"),
        ({**COACHING, "template_parameters": {"goal": ["äöü" * 6_000]}}, "body.template_parameters.goal"),
        ({**COACHING, "template_parameters": {"goal": ["\ud800"]}}, "body.template_parameters.goal"),
        ({**COACHING, "business_context": {"about": {"\ud800": 1}}}, "body.business_context.about"),
        ({**COACHING, "business_context": {"about": float("nan")}}, "body.business_context.about"),
        ({**COACHING, "business_context": {"about": [float("inf")]}}, "body.business_context.about"),
        (b"{", "body.1"),
    ],
)
def test_a_wrong_body_is_told_field_by_field_without_its_values(
    service: Service, body: object, field: str
) -> None:
    answer = service.ask("/v1/coaching/responses", body)
    assert answer.status == 422
    problem = problem_of(answer)
    assert field in [one["field"] for one in problem["errors"]]
    assert "Are our values real?" not in json.dumps(problem)


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
def test_a_body_over_the_limit_is_refused(service: Service, headers: dict[str, str]) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        body = b"x" * (1024 * 1024 + 1)
        framing = b"Transfer-Encoding: chunked" if headers else b"Content-Length: %d" % len(body)
        connection.sendall(
            b"POST /v1/resolve/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing + b"\r\n\r\n"
        )
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # it may hang up when it knows enough
            connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if headers else body)
        assert connection.recv(1024).startswith(b"HTTP/1.1 413")


def test_a_request_keeps_the_id_it_came_with_when_that_is_harmless(service: Service) -> None:
    kept = service.ask("/healthz", headers={"X-Request-Id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    made = service.ask("/healthz", headers={"X-Request-Id": "a b<script>"})
    assert made.headers["x-request-id"] != "a b<script>"


def test_a_published_change_is_seen_without_a_restart(service: Service) -> None:
    entries = coaching.documents()
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0].update(
        version=8, model="OTHER", top_p=None
    )
    entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0]["fallbacks"] = []
    service.publish("production", 2, entries)
    path = "/v1/resolve?interaction=COACHING_RESPONSE&tier=premium&unit=u-1"
    service.wait_for(lambda: service.ask(path).body["version"] == 8)
    assert service.ask(path).body["model"]["code"] == "OTHER"


def test_a_service_waits_for_its_first_release_and_starts_again_from_its_disk(tmp_path: Path) -> None:
    service = Service(tmp_path, CONTROLPLANE_ENVIRONMENTS="production")
    service.wait_for(lambda: service.ask("/readyz").status == 503)
    assert service.ask("/healthz").status == 200  # to end the process would bring no release
    assert service.ask("/v1/resolve?interaction=COACHING_RESPONSE").status == 503
    legacy = service.ask("/v1/coaching/responses", COACHING)
    assert (legacy.status, legacy.body["path"], legacy.body["degraded"]) == (200, "legacy", ["no_release"])
    service.publish("production", 1)
    service.wait_for(lambda: service.ask("/readyz").status == 200)
    service.stop()

    (tmp_path / "releases").rename(tmp_path / "gone")
    (tmp_path / "releases").write_text("no store here")
    again = Service(tmp_path, CONTROLPLANE_ENVIRONMENTS="production")
    again.wait_for(lambda: again.ask("/readyz").status == 200)
    state = again.ask("/healthz").body["environments"]["production"]
    assert (state["release"], state["source"]) == (1, "disk")
    assert again.ask("/v1/coaching/responses", COACHING).body["path"] == "configuration"
    again.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNTIME_PORT", "many"),
        ("RUNTIME_PORT", "0"),
        ("CONTROLPLANE_POLL_SECONDS", "nan"),
        ("CONTROLPLANE_POLL_SECONDS", "0"),
        ("CONTROLPLANE_ENVIRONMENTS", "production,,staging"),
        ("CONTROLPLANE_ENVIRONMENTS", "production,production"),
        ("CONTROLPLANE_ENVIRONMENTS", "../x"),
        ("CONTROLPLANE_READY_WITHOUT_RELEASE", "elsewhere"),
        ("CONTROLPLANE_HEARTBEAT_SECONDS", "-1"),
        ("CONTROLPLANE_SOURCE", "guess"),
        ("CONTROLPLANE_ISOLATE", "true"),
        ("CONTROLPLANE_TELEMETRY", "yes"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        ServiceSettings.from_environment({name: value})


def test_values_to_explain_with_are_an_object(service: Service) -> None:
    answer = service.ask("/v1/explain?interaction=COACHING_RESPONSE&environment=staging&values=7")
    assert answer.status == 422
    assert "JSON object" in json.dumps(answer.body)
