"""A chain of models whose providers do what they are told."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from controlplane.runtime.providers import (
    Message,
    ProviderManager,
    ProviderRequest,
    ProviderResponse,
    StreamPart,
)
from controlplane.runtime.services.calling import Answer, call_first_able, stream_first_able
from controlplane.runtime.services.chain import Target

REQUEST = ProviderRequest(
    model_id="",
    messages=(Message("user", "Hello"),),
    system="Be brief.",
    temperature=0.3,
    max_tokens=50,
    top_p=0.9,
    frequency_penalty=0.2,
    presence_penalty=0.1,
)
NAMES = ("north", "south", "west")
HANG = "hang"


@dataclass
class Scripted:
    """A provider that does what it is told: fails, hangs, says these words, and then goes on to the next."""

    name: str
    script: list[object] = field(default_factory=list)
    """One item for each call; a list is a stream's parts. After the last it says hello."""
    always: object = None
    requests: list[ProviderRequest] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    closed: int = 0

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        text = ""
        async with aclosing(self.stream(request)) as parts:
            async for part in parts:
                text += part.text
                if part.response is not None:
                    return replace(part.response, text=text)
        raise AssertionError("a script without an end")

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[StreamPart, None]:
        self.requests.append(request)
        self.at.append(time.monotonic())
        told = self.script.pop(0) if self.script else self.always or [f"{self.name} ", "says hello"]
        text = ""
        try:
            for item in told if isinstance(told, list) else [told]:
                if isinstance(item, Exception):
                    raise item
                if item == HANG:
                    await asyncio.Event().wait()
                text += str(item)
                yield StreamPart(str(item))
        finally:
            self.closed += 1
        yield StreamPart(
            response=ProviderResponse(
                text=text, provider=self.name, model_id=request.model_id, finish_reason="stop"
            )
        )


@dataclass
class Chain:
    """Three models of three providers, each with its own script."""

    providers: dict[str, Scripted] = field(default_factory=lambda: {name: Scripted(name) for name in NAMES})
    targets: Sequence[Target] = field(
        default_factory=lambda: [Target(name, f"{name}-1", name.upper()) for name in NAMES]
    )
    seconds: float = 20.0
    stall_seconds: float = 20.0
    seen: list[str] = field(default_factory=list)

    async def ask(self, *, streaming: bool, request: ProviderRequest = REQUEST) -> Answer:
        manager = ProviderManager(self.providers)
        if not streaming:
            return await call_first_able(manager, self.targets, request, seconds=self.seconds)
        answer = None
        parts = stream_first_able(
            manager, self.targets, request, seconds=self.seconds, stall_seconds=self.stall_seconds
        )
        async with aclosing(parts):
            async for part in parts:
                assert answer is None, "nothing comes after the answer"
                if isinstance(part, Answer):
                    answer = part
                else:
                    self.seen.append(part.text)
        assert answer is not None
        assert "".join(self.seen) == answer.response.text
        return answer

    @property
    def calls(self) -> dict[str, int]:
        return {name: len(provider.requests) for name, provider in self.providers.items()}


def outcomes(attempts: Sequence[object]) -> list[tuple[str, str]]:
    return [(attempt.model_code, attempt.outcome) for attempt in attempts]  # type: ignore[attr-defined]
