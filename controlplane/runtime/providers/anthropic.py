"""Models of Anthropic, through Anthropic's SDK."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import ProviderRequest, ProviderResponse, StreamPart
from controlplane.runtime.providers.deadlines import until
from controlplane.runtime.providers.sdk import Sdk

_NAME = "anthropic"
_PENALTIES = ("frequency_penalty", "presence_penalty")
# The newest version of the API, which newer SDKs send by default, refuses temperature and top_p in any value. A call that
# has one asks for the version before; a call that has none leaves the choice to the SDK.
_VERSION_WITH_SAMPLING = "2023-06-01"


class AnthropicProvider:
    """Calls the Messages API.

        AnthropicProvider(api_key=key)

    It takes no penalties, and temperature or top_p but not both: with both set, temperature is sent. What is left out stands
    in the response. `max_tokens` it always wants.
    """

    name = _NAME
    needs_max_tokens = True

    def __init__(self, *, api_key: str | None = None, base_url: str | None = None) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._sdk = Sdk(_NAME, "anthropic", self._client)

    def missing(self) -> str | None:
        """See `Configurable.missing`."""
        return None if self._api_key else "an API key (ANTHROPIC_API_KEY)"

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """See `Provider.generate`."""
        answer = _Answer(request)
        call = self._call(request)
        message = await self._sdk.call(
            request, lambda client, timeout: client.messages.create(**call, timeout=timeout)
        )
        with self._sdk.typed(request):
            answer.take_whole(message)
        return answer.response()

    async def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        """See `Provider.stream`."""
        answer = _Answer(request)
        deadline = time.monotonic() + request.timeout_seconds
        call = self._call(request) | {"stream": True}
        events = await self._sdk.call(
            request, lambda client, timeout: client.messages.create(**call, timeout=timeout)
        )
        with self._sdk.typed(request):
            try:
                async with aclosing(until(deadline, aiter(events))) as timely:
                    async for event in timely:
                        yield StreamPart(answer.take(event))
            finally:
                await events.close()
            yield StreamPart(response=answer.response())

    async def close(self) -> None:
        """See `Closeable.close`."""
        await self._sdk.close()

    def _client(self, sdk: Any, http: Any) -> Any:
        client = sdk.AsyncAnthropic(
            api_key=self._api_key, base_url=self._base_url, max_retries=0, http_client=http
        )
        _ = client.messages
        return client

    def _call(self, request: ProviderRequest) -> dict[str, Any]:
        missing = self.missing()
        if missing is not None:
            raise errors.ProviderNotConfiguredError(
                f"{missing} is missing", provider=_NAME, model_id=request.model_id
            )
        if request.max_tokens is None:
            raise errors.ProviderBadRequestError(
                "max_tokens must be set: this API has no default for it",
                provider=_NAME,
                model_id=request.model_id,
            )
        call: dict[str, Any] = {
            "model": request.model_id,
            "max_tokens": request.max_tokens,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        }
        if request.system is not None:
            call["system"] = request.system
        sampling = _sampling(request)
        if sampling:
            # Not as arguments: newer SDKs have none of these names.
            call["extra_body"] = sampling
            call["extra_headers"] = {"anthropic-version": _VERSION_WITH_SAMPLING}
        return call


def _sampling(request: ProviderRequest) -> dict[str, float]:
    if request.temperature is not None:
        return {"temperature": request.temperature}
    return {} if request.top_p is None else {"top_p": request.top_p}


def _dropped(request: ProviderRequest) -> tuple[str, ...]:
    both = ("top_p",) if request.temperature is not None and request.top_p is not None else ()
    return both + tuple(name for name in _PENALTIES if getattr(request, name) is not None)


@dataclass(slots=True)
class _Answer:
    """An answer, put together from one message or from the events of a stream."""

    request: ProviderRequest
    texts: list[str] = field(default_factory=list)
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    started: float = field(default_factory=time.perf_counter)

    def take_whole(self, message: Any) -> None:
        self._usage(message)
        self.texts.extend(block.text for block in message.content if block.type == "text")
        self._stopped(message.stop_reason or "unknown")

    def take(self, event: Any) -> str:
        text = ""
        if event.type == "message_start":
            self._usage(event.message)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            text = event.delta.text
            self.texts.append(text)
        elif event.type == "message_delta":
            self._usage(event)
            if event.delta.stop_reason is not None:
                self._stopped(event.delta.stop_reason)
        return text

    def response(self) -> ProviderResponse:
        if self.stop_reason is None:
            raise errors.ProviderUnavailableError(
                "it ended before its answer did", provider=_NAME, model_id=self.request.model_id
            )
        return ProviderResponse(
            text="".join(self.texts),
            provider=_NAME,
            model_id=self.request.model_id,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            finish_reason=self.stop_reason,
            latency_ms=(time.perf_counter() - self.started) * 1000,
            dropped_parameters=_dropped(self.request),
        )

    def _stopped(self, reason: str) -> None:
        self.stop_reason = reason
        if reason == "refusal":
            raise errors.ContentFilteredError(
                f"the answer was stopped ({reason})", provider=_NAME, model_id=self.request.model_id
            )

    def _usage(self, piece: Any) -> None:
        """Counts are cumulative; the start of a stream knows the input, its end the output."""
        usage = getattr(piece, "usage", None)
        if usage is not None:
            self.input_tokens = usage.input_tokens if usage.input_tokens is not None else self.input_tokens
            self.output_tokens = (
                usage.output_tokens if usage.output_tokens is not None else self.output_tokens
            )
