"""Models on Amazon Bedrock, through boto3's `converse` and `converse_stream`."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import ProviderRequest, ProviderResponse, StreamPart
from controlplane.runtime.providers.deadlines import until
from controlplane.runtime.providers.failures import failure
from controlplane.runtime.providers.threads import in_thread

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime.client import BedrockRuntimeClient

T = TypeVar("T")

_NAME = "bedrock"
_CALLS_AT_ONCE = 64
# boto3 knows a time limit for a client, not for a call: so there is a client for each of these, made when needed. A thread
# whose caller has gone away hears nothing of it before its own limit is over.
_PATIENCE = (2, 10, 30, 60, 120, 300, 900)
# `converse` knows these by other names, and no penalties at all.
_INFERENCE = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP"}
_NOT_TAKEN = ("frequency_penalty", "presence_penalty")
_STOPPED = ("content_filtered", "guardrail_intervened")


class BedrockProvider:
    """Calls `converse` in a thread of its own pool: boto3 waits, and an application's event loop must not.

    The pool is not asyncio's default one, so that slow models cannot starve whatever else the application runs there.
    """

    name = _NAME

    def __init__(self, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._clients: dict[int, BedrockRuntimeClient] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._made_by: int | None = None

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """See `Provider.generate`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await loop.run_in_executor(self._threads(), self._converse, request)
        except TimeoutError:
            raise _late(request) from None

    async def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        """See `Provider.stream`."""
        deadline = time.monotonic() + request.timeout_seconds
        parts = in_thread(self._threads(), lambda: self._converse_stream(request))
        try:
            async with aclosing(parts), aclosing(until(deadline, parts)) as timely:
                async for part in timely:
                    yield part
        except TimeoutError:
            raise _late(request) from None

    async def close(self) -> None:
        """See `Closeable.close`; calls under way come to their end."""
        with self._lock:
            pool, clients = self._pool, list(self._clients.values())
            self._pool, self._clients = None, {}
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        for client in clients:
            client.close()

    def _converse(self, request: ProviderRequest) -> ProviderResponse:
        answer = _Answer(request)
        found: Any = _typed(request, lambda: self._boto3(request).converse(**_call(request)))
        return _typed(request, lambda: answer.take_whole(found))

    def _converse_stream(self, request: ProviderRequest) -> Generator[StreamPart, None, None]:
        answer = _Answer(request)
        found: Any = _typed(request, lambda: self._boto3(request).converse_stream(**_call(request)))
        events = iter(found["stream"])
        try:
            while (event := _typed(request, lambda: next(events, None))) is not None:
                yield StreamPart(answer.take(event))
        finally:
            found["stream"].close()
        yield StreamPart(response=answer.response())

    def _boto3(self, request: ProviderRequest) -> "BedrockRuntimeClient":
        try:
            import boto3
            from botocore.config import Config
        except ImportError as problem:
            message = 'needs the package boto3: install llm-controlplane with the extra "aws"'
            raise errors.ProviderNotConfiguredError(message, provider=_NAME) from problem

        patience = next((each for each in _PATIENCE if each >= request.timeout_seconds), _PATIENCE[-1])
        options: Any = {
            "connect_timeout": min(5, patience),
            "read_timeout": patience,
            "max_pool_connections": _CALLS_AT_ONCE,
            "retries": {"total_max_attempts": 1},  # retries and their deadline are the service's business
            # AWS_ENDPOINT_URL may name an emulator of the stores, which runs no models.
            "ignore_configured_endpoint_urls": True,
        }
        with self._lock:
            if patience not in self._clients:
                session = boto3.Session(region_name=self._region)
                self._clients[patience] = session.client(
                    "bedrock-runtime", endpoint_url=self._endpoint_url, config=Config(**options)
                )
            return self._clients[patience]

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None or self._made_by != os.getpid():  # threads and sockets do not survive a fork
            self._lock = threading.Lock()
            self._clients = {}
            self._made_by = os.getpid()
            self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix=_NAME)
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


class _Answer:
    """An answer, put together from one document or from the events of a stream."""

    def __init__(self, request: ProviderRequest) -> None:
        self._request = request
        self._texts: list[str] = []
        self._stop_reason: str | None = None
        self._usage: dict[str, Any] = {}
        self._started = time.perf_counter()

    def take_whole(self, answer: Any) -> ProviderResponse:
        content = answer.get("output", {}).get("message", {}).get("content", [])
        self._texts.extend(block["text"] for block in content if "text" in block)
        self._usage = answer.get("usage", {})
        # boto3 makes an answer without a field of whatever came with status 200.
        self._stopped(answer.get("stopReason"))
        return self.response()

    def take(self, event: Any) -> str:
        text = str(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))
        self._texts.append(text)
        if "messageStop" in event:
            self._stopped(event["messageStop"].get("stopReason"))
        if "metadata" in event:
            self._usage = event["metadata"].get("usage", {})
        return text

    def response(self) -> ProviderResponse:
        if self._stop_reason is None:
            raise errors.ProviderUnavailableError(
                "it ended before its answer did", provider=_NAME, model_id=self._request.model_id
            )
        return ProviderResponse(
            text="".join(self._texts),
            provider=_NAME,
            model_id=self._request.model_id,
            input_tokens=self._usage.get("inputTokens"),
            output_tokens=self._usage.get("outputTokens"),
            finish_reason=self._stop_reason,
            latency_ms=(time.perf_counter() - self._started) * 1000,
            dropped_parameters=tuple(name for name in _NOT_TAKEN if getattr(self._request, name) is not None),
        )

    def _stopped(self, reason: str | None) -> None:
        self._stop_reason = reason
        if reason in _STOPPED:
            raise errors.ContentFilteredError(
                f"the answer was stopped ({reason})", provider=_NAME, model_id=self._request.model_id
            )


def _late(request: ProviderRequest) -> errors.ProviderTimeoutError:
    message = f"no answer within {request.timeout_seconds:g} s"
    return errors.ProviderTimeoutError(message, provider=_NAME, model_id=request.model_id)


def _typed(request: ProviderRequest, do: Callable[[], T]) -> T:
    """What `do` comes back with; what boto3, its transport and its decoder raise leaves as our errors."""
    try:
        return do()
    except errors.ProviderError:
        raise
    except Exception as problem:
        raise _error(problem, request) from problem


def _error(problem: Exception, request: ProviderRequest) -> errors.ProviderError:
    from botocore import exceptions
    from urllib3.exceptions import TimeoutError as TransportTimeoutError

    known: dict[str, Any] = {"provider": _NAME, "model_id": request.model_id}
    if isinstance(problem, exceptions.ClientError):
        return _refusal(problem, request)
    if isinstance(
        problem, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError | TransportTimeoutError
    ):
        return errors.ProviderTimeoutError(str(problem), **known)
    if isinstance(problem, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return errors.ProviderAuthenticationError(str(problem), **known)
    if isinstance(problem, exceptions.NoRegionError):
        return errors.ProviderNotConfiguredError(str(problem), **known)
    if isinstance(problem, exceptions.ParamValidationError):
        return errors.ProviderBadRequestError(str(problem), **known)
    return errors.ProviderUnavailableError(f"{type(problem).__name__}: {problem}", **known)


def _refusal(problem: Any, request: ProviderRequest) -> errors.ProviderError:
    code = str(problem.response.get("Error", {}).get("Code", ""))
    message = str(problem.response.get("Error", {}).get("Message", ""))
    about = problem.response.get("ResponseMetadata", {})
    return failure(
        f"{code}: {message}",
        provider=_NAME,
        model_id=request.model_id,
        status=about.get("HTTPStatusCode"),
        names=[code[:1].upper() + code[1:]],  # inside a stream they begin with a small letter
        headers=about.get("HTTPHeaders", {}),
    )
