"""Models on Amazon Bedrock, through boto3's `converse`."""

import asyncio
import functools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import ProviderRequest, ProviderResponse

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime.client import BedrockRuntimeClient

_NAME = "bedrock"
_LONGEST_ANSWER = 300
_CALLS_AT_ONCE = 64
# `converse` knows these by other names, and no penalties at all.
_INFERENCE = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP"}
_NOT_TAKEN = ("frequency_penalty", "presence_penalty")

_ERRORS: dict[str, type[errors.ProviderError]] = {
    "AccessDeniedException": errors.ProviderAuthenticationError,
    "ExpiredTokenException": errors.ProviderAuthenticationError,
    "IncompleteSignatureException": errors.ProviderAuthenticationError,
    "InternalServerException": errors.ProviderUnavailableError,
    "InvalidSignatureException": errors.ProviderAuthenticationError,
    "ModelErrorException": errors.ProviderUnavailableError,
    "ModelNotReadyException": errors.ProviderUnavailableError,
    "ModelTimeoutException": errors.ProviderTimeoutError,
    "ServiceQuotaExceededException": errors.ProviderRateLimitedError,
    "ServiceUnavailableException": errors.ProviderUnavailableError,
    "ThrottlingException": errors.ProviderRateLimitedError,
    "UnrecognizedClientException": errors.ProviderAuthenticationError,
}
_TOO_LONG = (
    "too long",
    "too many input tokens",
    "maximum context length",
    "exceeds the context",
    "input length",
)


class BedrockProvider:
    """Calls `converse` in a thread of its own pool: boto3 waits, and an application's event loop must not.

    The pool is not asyncio's default one, so that slow models cannot starve whatever else the application runs there.
    """

    name = _NAME

    def __init__(self, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._client: BedrockRuntimeClient | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._made_by: int | None = None

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """See `Provider.generate`."""
        loop = asyncio.get_running_loop()
        call = functools.partial(self._converse, request)
        try:
            return await asyncio.wait_for(
                loop.run_in_executor(self._threads(), call), timeout=request.timeout_seconds
            )
        except TimeoutError:
            message = f"no answer within {request.timeout_seconds:g} s"
            raise errors.ProviderTimeoutError(message, provider=_NAME, model_id=request.model_id) from None

    def _converse(self, request: ProviderRequest) -> ProviderResponse:
        from botocore.exceptions import BotoCoreError, ClientError

        started = time.perf_counter()
        try:
            answer: Any = self._boto3().converse(**_call(request))
        except ClientError as problem:
            raise _typed(problem, request.model_id) from problem
        except BotoCoreError as problem:
            raise _unsent(problem, request.model_id) from problem
        return _response(answer, request, latency_ms=(time.perf_counter() - started) * 1000)

    def _boto3(self) -> "BedrockRuntimeClient":
        import boto3
        from botocore.config import Config

        options: Any = {
            "connect_timeout": 5,
            "read_timeout": _LONGEST_ANSWER,
            "max_pool_connections": _CALLS_AT_ONCE,
            "retries": {"total_max_attempts": 1},  # retries and their deadline are the service's business
            # AWS_ENDPOINT_URL may name an emulator of the stores, which runs no models.
            "ignore_configured_endpoint_urls": True,
        }
        with self._lock:
            if self._client is None:
                session = boto3.Session(region_name=self._region)
                self._client = session.client(
                    "bedrock-runtime", endpoint_url=self._endpoint_url, config=Config(**options)
                )
            return self._client

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None or self._made_by != os.getpid():  # threads and sockets do not survive a fork
            self._lock = threading.Lock()
            self._client = None
            self._made_by = os.getpid()
            self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="bedrock")
        return self._pool


def _call(request: ProviderRequest) -> dict[str, Any]:
    inference = {
        theirs: value for ours, theirs in _INFERENCE.items() if (value := getattr(request, ours)) is not None
    }
    call: dict[str, Any] = {
        "modelId": request.model_id,
        "messages": [
            {"role": message.role, "content": [{"text": message.content}]} for message in request.messages
        ],
    }
    if request.system is not None:
        call["system"] = [{"text": request.system}]
    if inference:
        call["inferenceConfig"] = inference
    return call


def _response(answer: Any, request: ProviderRequest, *, latency_ms: float) -> ProviderResponse:
    finish_reason = answer.get("stopReason")
    if finish_reason in {"content_filtered", "guardrail_intervened"}:
        raise errors.ContentFilteredError(
            f"the answer was stopped ({finish_reason})", provider=_NAME, model_id=request.model_id
        )
    content = answer.get("output", {}).get("message", {}).get("content", [])
    usage = answer.get("usage", {})
    return ProviderResponse(
        text="".join(block["text"] for block in content if "text" in block),
        provider=_NAME,
        model_id=request.model_id,
        input_tokens=usage.get("inputTokens"),
        output_tokens=usage.get("outputTokens"),
        finish_reason=finish_reason,
        latency_ms=latency_ms,
        dropped_parameters=tuple(name for name in _NOT_TAKEN if getattr(request, name) is not None),
    )


def _typed(problem: Any, model_id: str) -> errors.ProviderError:
    code = str(problem.response.get("Error", {}).get("Code", ""))
    message = str(problem.response.get("Error", {}).get("Message", ""))
    status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = _ERRORS.get(code)
    if kind is None:
        too_long = any(words in message.lower() for words in _TOO_LONG)
        kind = errors.ContextTooLongError if too_long else errors.ProviderBadRequestError
        if status >= 500:
            kind = errors.ProviderUnavailableError
    return kind(f"{code}: {message}", provider=_NAME, model_id=model_id)


def _unsent(problem: Exception, model_id: str) -> errors.ProviderError:
    from botocore import exceptions

    kind: type[errors.ProviderError] = errors.ProviderUnavailableError
    if isinstance(problem, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError):
        kind = errors.ProviderTimeoutError
    elif isinstance(problem, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        kind = errors.ProviderAuthenticationError
    elif isinstance(problem, exceptions.ParamValidationError | exceptions.NoRegionError):
        kind = errors.ProviderBadRequestError
    return kind(str(problem), provider=_NAME, model_id=model_id)
