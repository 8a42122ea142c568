import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from controlplane.runtime.providers import (
    ContentFilteredError,
    ContextTooLongError,
    Message,
    ProviderAuthenticationError,
    ProviderBadRequestError,
    ProviderError,
    ProviderManager,
    ProviderNotConfiguredError,
    ProviderRateLimitedError,
    ProviderRequest,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from controlplane.runtime.providers.bedrock import BedrockProvider
from controlplane.runtime.providers.echo import EchoProvider

REQUEST = ProviderRequest(
    model_id="vendor.model-1:0",
    system="Be brief.",
    messages=(Message("user", "Grüß Gott"), Message("assistant", "Servus"), Message("user", "Wie geht's?")),
    temperature=0.3,
    max_tokens=50,
    top_p=0.9,
    presence_penalty=0.5,
)
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Gut, "}, {"text": "danke."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 21, "outputTokens": 4, "totalTokens": 25},
    "metrics": {"latencyMs": 12},
}


class Converse(ThreadingHTTPServer):
    """The service as it looks from the network: answers what it is told to, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ConverseHandler)
        self.answers: list[tuple[int, str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class ConverseHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Converse)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        server.asked.append((self.path, json.loads(content)))
        server.hold.wait(30)
        status, error, answer = server.answers.pop(0) if server.answers else (200, "", ANSWER)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass


@pytest.fixture
def converse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Converse]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with Converse() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.hold.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def bedrock(converse: Converse) -> BedrockProvider:
    return BedrockProvider(region="eu-central-1", endpoint_url=converse.url)


async def test_bedrock_is_asked_exactly_what_the_request_says(
    converse: Converse, bedrock: BedrockProvider
) -> None:
    response = await bedrock.generate(REQUEST)
    ((path, body),) = converse.asked
    assert path == "/model/vendor.model-1%3A0/converse"
    assert body == {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Grüß Gott"}]},
            {"role": "assistant", "content": [{"text": "Servus"}]},
            {"role": "user", "content": [{"text": "Wie geht's?"}]},
        ],
        "inferenceConfig": {"temperature": 0.3, "maxTokens": 50, "topP": 0.9},
    }
    assert response.text == "Gut, danke."
    assert (response.input_tokens, response.output_tokens, response.finish_reason) == (21, 4, "end_turn")
    assert (response.provider, response.model_id) == ("bedrock", "vendor.model-1:0")
    assert response.dropped_parameters == ("presence_penalty",)


async def test_what_is_not_set_is_not_sent(converse: Converse, bedrock: BedrockProvider) -> None:
    await bedrock.generate(ProviderRequest(model_id="m", messages=(Message("user", "Hi"),)))
    assert converse.asked[0][1] == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("status", "error", "message", "expected"),
    [
        (403, "AccessDeniedException", "no", ProviderAuthenticationError),
        (403, "UnrecognizedClientException", "who?", ProviderAuthenticationError),
        (429, "ThrottlingException", "slow down", ProviderRateLimitedError),
        (408, "ModelTimeoutException", "late", ProviderTimeoutError),
        (500, "InternalServerException", "oops", ProviderUnavailableError),
        (503, "ServiceUnavailableException", "busy", ProviderUnavailableError),
        (502, "SomethingNew", "?", ProviderUnavailableError),
        (429, "ModelNotReadyException", "warming up", ProviderUnavailableError),
        (400, "ValidationException", "Input is too long for requested model.", ContextTooLongError),
        (400, "ValidationException", "temperature must be at most 1", ProviderBadRequestError),
        (404, "ResourceNotFoundException", "no such model", ProviderBadRequestError),
    ],
)
async def test_each_failure_of_bedrock_has_its_type(
    converse: Converse,
    bedrock: BedrockProvider,
    status: int,
    error: str,
    message: str,
    expected: type[ProviderError],
) -> None:
    converse.answers.append((status, error, {"message": message}))
    with pytest.raises(expected) as caught:
        await bedrock.generate(REQUEST)
    assert type(caught.value) is expected
    assert message in str(caught.value)
    assert caught.value.model_id == "vendor.model-1:0"
    assert len(converse.asked) == 1, "retries are the service's business"


@pytest.mark.parametrize("reason", ["content_filtered", "guardrail_intervened"])
async def test_a_stopped_answer_is_not_passed_off_as_an_answer(
    converse: Converse, bedrock: BedrockProvider, reason: str
) -> None:
    converse.answers.append((200, "", {**ANSWER, "stopReason": reason}))
    with pytest.raises(ContentFilteredError):
        await bedrock.generate(REQUEST)


async def test_no_answer_in_time_is_a_timeout(converse: Converse, bedrock: BedrockProvider) -> None:
    converse.hold.clear()
    request = ProviderRequest(model_id="m", messages=(Message("user", "Hi"),), timeout_seconds=0.2)
    with pytest.raises(ProviderTimeoutError):
        await bedrock.generate(request)


async def test_nobody_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(ProviderUnavailableError):
        await BedrockProvider(region="eu-central-1", endpoint_url="http://127.0.0.1:9").generate(REQUEST)


async def test_the_echo_says_exactly_what_it_was_given() -> None:
    response = await EchoProvider().generate(REQUEST)
    assert json.loads(response.text) == {
        "provider": "echo",
        "stands_in_for": None,
        "model_id": "vendor.model-1:0",
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Grüß Gott"},
            {"role": "assistant", "content": "Servus"},
            {"role": "user", "content": "Wie geht's?"},
        ],
        "temperature": 0.3,
        "max_tokens": 50,
        "top_p": 0.9,
        "frequency_penalty": None,
        "presence_penalty": 0.5,
        "timeout_seconds": 60.0,
    }


async def test_an_echoing_manager_says_whom_it_stands_in_for() -> None:
    manager = ProviderManager.echoing()
    response = await manager.get_provider("bedrock").generate(REQUEST)
    assert (response.provider, response.stands_in_for) == ("echo", "bedrock")
    assert manager.mode == "echo"


def test_a_provider_that_is_not_set_up_is_named() -> None:
    with pytest.raises(ProviderNotConfiguredError, match="nobody"):
        ProviderManager({}).get_provider("nobody")


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "live"),
        ({"AWS_ENDPOINT_URL": "https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com"}, "live"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "echo"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "CONTROLPLANE_PROVIDERS": "live"}, "live"),
        ({"CONTROLPLANE_PROVIDERS": "echo"}, "echo"),
    ],
)
def test_only_embedded_stores_or_an_explicit_wish_replace_real_providers(
    environ: dict[str, str], mode: str
) -> None:
    assert ProviderManager.from_environment(environ).mode == mode


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="CONTROLPLANE_PROVIDERS"):
        ProviderManager.from_environment({"CONTROLPLANE_PROVIDERS": "ecoh"})


def test_parameters_that_a_model_does_not_take_are_left_out_and_named() -> None:
    request, dropped = REQUEST.only_taking(("temperature",))
    assert (request.temperature, request.top_p, request.presence_penalty, request.max_tokens) == (
        0.3,
        None,
        None,
        50,
    )
    assert dropped == ("top_p", "presence_penalty")
