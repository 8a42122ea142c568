"""The call itself: the runtime's own providers and its own way to ask them, and nothing of the database."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from controlplane.runtime.entries import Model
from controlplane.runtime.providers import (
    AllProvidersFailedError,
    Message,
    ProviderError,
    ProviderManager,
    ProviderRequest,
)
from controlplane.runtime.services.calling import call_first_able
from controlplane.runtime.services.chain import Target

SECONDS: Final = 60.0
ANSWERED: Final = "answered"
# What no configuration limits is limited here: trying something out should cost what the page says.
MOST_TOKENS_OUT: Final = 1_024
_LONGEST_ANSWER: Final = 256 * 1024

_PROBLEMS: Final = {
    "not_configured": "This provider is not set up for this site. Whoever runs it sets its keys, and CONTROLPLANE_PROVIDERS to “live”.",
    "authentication": "The provider does not accept this site’s key, or the key may not use this model.",
    "rate_limit": "The provider says that too many calls come in just now. Try again in a minute.",
    "timeout": f"The model did not answer within {SECONDS:.0f} seconds.",
    "unavailable": "The provider cannot be reached, or is overloaded. Try again in a moment.",
    "empty_answer": "The model ended its turn without a word. Allow it more tokens, or ask for something.",
    "model_not_found": "The provider does not know this model, or no longer has it. See its entry in the registry.",
    "context_too_long": "Text and answer together do not fit into the model’s context window.",
    "content_filter": "The provider refused to answer, on grounds of what the text is about.",
    "bad_request": "The provider did not understand the call: one of the configuration’s settings is probably wrong for this model.",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a configuration calls its model; None is not set."""

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None

    @property
    def most_out(self) -> int:
        """How many tokens the answer may have when it is tried."""
        return self.max_tokens or MOST_TOKENS_OUT


@dataclass(frozen=True)
class Result:
    """What came of a call: an answer, or the kind of problem with words for it."""

    outcome: str
    problem: str | None = None
    answer: str | None = None
    answered_by: str | None = None
    is_echo: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: int | None = None
    finish_reason: str | None = None
    dropped: tuple[str, ...] = ()


def providers_of(environment: Mapping[str, str]) -> ProviderManager:
    """Return whom the site may call: nobody but the echo, unless it was told to. Trying out must not cost by surprise."""
    if not environment.get("CONTROLPLANE_PROVIDERS"):
        return ProviderManager.echoing()
    return ProviderManager.from_environment(environment)


def call(
    providers: ProviderManager,
    code: str,
    model: Model,
    settings: Settings,
    text: str,
    *,
    seconds: float = SECONDS,
) -> Result:
    """Send the text to a model and wait for its answer; whatever happens comes back as a `Result`."""
    started = time.perf_counter()
    try:
        return asyncio.run(_call(providers, code, model, settings, text, seconds))
    except ProviderError as error:
        kind, said = _last(error)
        latency = round((time.perf_counter() - started) * 1000)
        return Result(kind, problem=f"{_PROBLEMS.get(kind, 'The call failed.')} {said}", latency_ms=latency)


async def _call(
    providers: ProviderManager, code: str, model: Model, settings: Settings, text: str, seconds: float
) -> Result:
    request = ProviderRequest(
        model_id=model.provider_model_id,
        messages=(Message("user", text),),
        temperature=settings.temperature,
        max_tokens=settings.most_out,
        top_p=settings.top_p,
        frequency_penalty=settings.frequency_penalty,
        presence_penalty=settings.presence_penalty,
    )
    target = Target(model.provider, model.provider_model_id, code, model)
    try:
        answer = await call_first_able(providers, [target], request, seconds=seconds)
    finally:
        await providers.close()
    response = answer.response
    return Result(
        ANSWERED,
        answer=response.text[:_LONGEST_ANSWER],
        answered_by=response.model_id,
        is_echo=response.stands_in_for is not None or response.provider == "echo",
        input_tokens=response.input_tokens,
        output_tokens=response.output_tokens,
        latency_ms=round(response.latency_ms),
        finish_reason=response.finish_reason,
        dropped=answer.dropped,
    )


def _last(error: ProviderError) -> tuple[str, str]:
    """Return the kind of the last thing that went wrong, and what the provider said."""
    attempts = [each for each in getattr(error, "attempts", ()) if each.error]
    if isinstance(error, AllProvidersFailedError) and attempts:
        return attempts[-1].outcome, attempts[-1].error
    return error.kind, str(error)
