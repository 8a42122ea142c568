"""Models of OpenAI, and of everybody whose servers speak like it, through OpenAI's SDK."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import ProviderRequest, ProviderResponse, StreamPart
from controlplane.runtime.providers.deadlines import until
from controlplane.runtime.providers.sdk import Sdk

MaxTokens = Literal["max_completion_tokens", "max_tokens"]

_AS_THEY_ARE = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_NEW_FIELD = ("openai.com", "openai.azure.com")


class OpenAIProvider:
    """Calls chat completions.

        OpenAIProvider(api_key=key)
        OpenAIProvider("vllm", base_url="http://10.0.0.5:8000/v1")     # needs no key
        OpenAIProvider("azure", api_key=key, base_url="https://acme.openai.azure.com/openai/v1")

    The limit of an answer has two names. OpenAI's newer models refuse the old one, `max_tokens`; compatible servers mostly
    know no other. So the new one is sent to OpenAI and to Azure, the old one elsewhere, unless `max_tokens_field` says
    otherwise.
    """

    def __init__(
        self,
        name: str = "openai",
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        max_tokens_field: MaxTokens | None = None,
    ) -> None:
        self.name = name
        self._api_key = api_key
        self._base_url = base_url
        self.max_tokens_field = max_tokens_field or _max_tokens_field(base_url)
        self._sdk = Sdk(name, "openai", self._client)

    def missing(self) -> str | None:
        """See `Configurable.missing`: OpenAI wants a key, a server of one's own may not."""
        return None if self._api_key or self._base_url else "an API key (OPENAI_API_KEY)"

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """See `Provider.generate`."""
        answer = _Answer(self.name, request)
        call = self._call(request)
        found = await self._sdk.call(
            request, lambda client, timeout: client.chat.completions.create(**call, timeout=timeout)
        )
        with self._sdk.typed(request):
            answer.take_whole(found)
        return answer.response()

    async def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        """See `Provider.stream`."""
        answer = _Answer(self.name, request)
        deadline = time.monotonic() + request.timeout_seconds
        call = self._call(request) | {"stream": True, "stream_options": {"include_usage": True}}
        chunks = await self._sdk.call(
            request, lambda client, timeout: client.chat.completions.create(**call, timeout=timeout)
        )
        with self._sdk.typed(request):
            async with aclosing(chunks), aclosing(until(deadline, aiter(chunks))) as timely:
                async for chunk in timely:
                    yield StreamPart(answer.take(chunk))
            yield StreamPart(response=answer.response())

    async def close(self) -> None:
        """See `Closeable.close`."""
        await self._sdk.close()

    def _client(self, sdk: Any, http: Any) -> Any:
        # A server of one's own may want no key, but the SDK always wants one.
        key = self._api_key or "none"
        client = sdk.AsyncOpenAI(api_key=key, base_url=self._base_url, max_retries=0, http_client=http)
        _ = client.chat.completions  # a second, larger import: here, in a thread, and not in the event loop
        return client

    def _call(self, request: ProviderRequest) -> dict[str, Any]:
        missing = self.missing()
        if missing is not None:
            raise errors.ProviderNotConfiguredError(
                f"{missing} is missing", provider=self.name, model_id=request.model_id
            )
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        if request.system is not None:
            messages.insert(0, {"role": "system", "content": request.system})
        call: dict[str, Any] = {"model": request.model_id, "messages": messages}
        if request.max_tokens is not None:
            call[self.max_tokens_field] = request.max_tokens
        return call | {name: value for name in _AS_THEY_ARE if (value := getattr(request, name)) is not None}


def _max_tokens_field(base_url: str | None) -> MaxTokens:
    host = urlsplit(base_url).hostname or "" if base_url else "api.openai.com"
    theirs = any(host == name or host.endswith(f".{name}") for name in _NEW_FIELD)
    return "max_completion_tokens" if theirs else "max_tokens"


@dataclass(slots=True)
class _Answer:
    """An answer, put together from one piece or from many. Servers differ in what they leave out."""

    provider: str
    request: ProviderRequest
    texts: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    started: float = field(default_factory=time.perf_counter)

    def take_whole(self, completion: Any) -> None:
        self._choice(completion, "message")
        self._usage(completion)
        self.finish_reason = self.finish_reason or "unknown"

    def take(self, chunk: Any) -> str:
        self._usage(chunk)
        return self._choice(chunk, "delta") if chunk.choices else ""

    def response(self) -> ProviderResponse:
        if self.finish_reason is None:
            raise errors.ProviderUnavailableError(
                "it ended before its answer did",
                provider=self.provider,
                model_id=self.request.model_id,
            )
        return ProviderResponse(
            text="".join(self.texts),
            provider=self.provider,
            model_id=self.request.model_id,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            finish_reason=self.finish_reason,
            latency_ms=(time.perf_counter() - self.started) * 1000,
        )

    def _choice(self, piece: Any, part: str) -> str:
        choice = piece.choices[0]
        said = getattr(choice, part)
        self.finish_reason = choice.finish_reason or self.finish_reason
        refusal = getattr(said, "refusal", None)
        if refusal or self.finish_reason == "content_filter":
            reason = refusal or self.finish_reason
            raise errors.ContentFilteredError(
                f"the answer was stopped ({reason})", provider=self.provider, model_id=self.request.model_id
            )
        text = said.content or ""
        self.texts.append(text)
        return str(text)

    def _usage(self, piece: Any) -> None:
        usage = getattr(piece, "usage", None)
        if usage is not None:
            self.input_tokens, self.output_tokens = usage.prompt_tokens, usage.completion_tokens
