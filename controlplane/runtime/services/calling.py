"""Calling the models of a chain, one after the other, until one answers."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from controlplane.runtime.entries import Model
from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import OPTIONAL_PARAMETERS, ProviderRequest, ProviderResponse
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.services.answers import Attempt

_TRIES = 2
_FIRST_PAUSE = 0.2
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Target:
    """A model to call; `model` is its registry entry, which the legacy path does not have."""

    provider: str
    model_id: str
    code: str | None = None
    model: Model | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered what, and who was asked before."""

    response: ProviderResponse
    target: Target
    attempts: tuple[Attempt, ...]
    dropped: tuple[str, ...]


@dataclass(slots=True)
class _Chain:
    deadline: float
    attempts: list[Attempt] = field(default_factory=list)

    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def note(
        self, target: Target, outcome: str, error: str | None = None, latency_ms: float | None = None
    ) -> None:
        self.attempts.append(
            Attempt(
                provider=target.provider,
                model_code=target.code,
                model_id=target.model_id,
                outcome=outcome,
                error=error,
                latency_ms=latency_ms,
            )
        )


async def call_first_able(
    providers: ProviderManager, targets: Sequence[Target], request: ProviderRequest, *, seconds: float
) -> Answer:
    """The answer of the first model that gives one.

    Raises `AllProvidersFailedError` when none does, or at once what no other model would do better with
    (`ProviderError.falls_back` is false).
    """
    chain = _Chain(time.monotonic() + seconds)
    for target in targets:
        fitted, dropped = _fit(request, target)
        if _is_too_long(fitted, target):
            chain.note(target, errors.ContextTooLongError.kind, "prompt and answer exceed its context window")
            continue
        response = await _ask(providers, target, fitted, chain)
        if response is not None:
            dropped += tuple(name for name in response.dropped_parameters if name not in dropped)
            return Answer(response, target, tuple(chain.attempts), dropped)
        if chain.remaining() <= 0:
            break
    raise errors.AllProvidersFailedError(chain.attempts)


async def _ask(
    providers: ProviderManager, target: Target, request: ProviderRequest, chain: _Chain
) -> ProviderResponse | None:
    """Ask one model, once more if that may help; None when the next should be asked."""
    for turn in range(_TRIES):
        started = time.perf_counter()
        try:
            limited = replace(request, timeout_seconds=max(0.001, chain.remaining()))
            response = await _generate(providers, target, limited)
        except errors.ProviderError as problem:
            chain.note(target, problem.kind, str(problem), (time.perf_counter() - started) * 1000)
            if not problem.falls_back:
                raise
            pause = random.uniform(0, _FIRST_PAUSE * 2**turn)  # noqa: S311 - full jitter, not a secret
            if not problem.retryable or turn + 1 == _TRIES or pause >= chain.remaining():
                return None
            await asyncio.sleep(pause)
        else:
            chain.note(target, "answered", latency_ms=response.latency_ms)
            return response
    return None


async def _generate(providers: ProviderManager, target: Target, request: ProviderRequest) -> ProviderResponse:
    try:
        return await providers.get_provider(target.provider).generate(request)
    except errors.ProviderError:
        raise
    except Exception as problem:
        # A provider of the application's own may raise anything; the next model should still be asked.
        message = f"unexpected {type(problem).__name__}: {problem}"
        raise errors.ProviderUnavailableError(
            message, provider=target.provider, model_id=target.model_id
        ) from problem


def _fit(request: ProviderRequest, target: Target) -> tuple[ProviderRequest, tuple[str, ...]]:
    """The request as this model takes it."""
    own = replace(request, model_id=target.model_id)
    if target.model is None:
        return own, ()
    own, dropped = own.only_taking(
        tuple(name for name in OPTIONAL_PARAMETERS if name in target.model.parameters)
    )
    most = target.model.max_output_tokens
    if own.max_tokens is not None and own.max_tokens > most:  # a fallback may give less than the first choice
        own = replace(own, max_tokens=most)
    return own, dropped


def _is_too_long(request: ProviderRequest, target: Target) -> bool:
    """Whether the call cannot fit. A guess on the safe side: the model's own tokenizer has the last word."""
    if target.model is None:
        return False
    characters = len(request.system or "") + sum(len(message.content) for message in request.messages)
    return characters // _CHARACTERS_PER_TOKEN + (request.max_tokens or 0) > target.model.context_window
