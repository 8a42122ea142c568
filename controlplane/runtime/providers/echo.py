"""A provider that calls nobody and says exactly what it was given: for a first run, for tests, for trying things out."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict

from controlplane.runtime.providers.base import ProviderRequest, ProviderResponse, StreamPart
from controlplane.runtime.providers.rehearsing import Rehearsal


class EchoProvider:
    """Answers with a JSON document of the request it received. Its "tokens" are words.

    With a `rehearsal` it fails for the models that this names.
    """

    def __init__(
        self, name: str = "echo", *, stands_in_for: str | None = None, rehearsal: Rehearsal | None = None
    ) -> None:
        self.name = name
        self._stands_in_for = stands_in_for
        self._rehearsal = rehearsal

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        """See `Provider.generate`."""
        started = time.perf_counter()
        if self._rehearsal is not None:
            self._rehearsal.check(self._stands_in_for or self.name, request.model_id)
        given = {"provider": self.name, "stands_in_for": self._stands_in_for, **asdict(request)}
        text = json.dumps(given, ensure_ascii=False, indent=2)
        heard = " ".join([request.system or "", *(message.content for message in request.messages)])
        return ProviderResponse(
            text=text,
            provider=self.name,
            model_id=request.model_id,
            input_tokens=len(heard.split()),
            output_tokens=len(text.split()),
            finish_reason="stop",
            latency_ms=(time.perf_counter() - started) * 1000,
            stands_in_for=self._stands_in_for,
        )

    async def stream(self, request: ProviderRequest) -> AsyncIterator[StreamPart]:
        """See `Provider.stream`: line by line."""
        response = await self.generate(request)
        for line in response.text.splitlines(keepends=True):
            yield StreamPart(line)
        yield StreamPart(response=response)
