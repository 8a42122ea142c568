"""Putting together what a call comes back with."""

from controlplane.runtime.services.answers import LLMResponse, Usage
from controlplane.runtime.services.calling import Answer
from controlplane.runtime.services.calls import Call
from controlplane.runtime.services.parsing import Reading
from controlplane.runtime.services.planning import Plan


def make_response(
    call: Call, plan: Plan, answer: Answer, reading: Reading, *, age_seconds: float | None
) -> LLMResponse:
    """The response to a call: what was planned, and what came of it."""
    response, found, rendered = answer.response, plan.resolution, plan.rendered
    return LLMResponse(
        text=response.text,
        path=plan.path,
        why=plan.why,
        provider=response.provider,
        stands_in_for=response.stands_in_for,
        model_code=answer.target.code,
        model_id=response.model_id,
        usage=Usage(response.input_tokens, response.output_tokens),
        cost=cost_of(answer),
        finish_reason=response.finish_reason,
        latency_ms=response.latency_ms,
        attempts=answer.attempts,
        degraded=tuple(plan.descent.steps),
        degraded_because=tuple(plan.descent.because),
        dropped_parameters=answer.dropped,
        environment=found.environment if found else None,
        release=found.release if found else None,
        release_age_seconds=age_seconds,
        interaction=call.interaction,
        configuration=found.key if found else None,
        configuration_version=found.variant.version if found else None,
        reason=found.reason if found else None,
        bucket=found.bucket if found else None,
        template=rendered.code if rendered else None,
        template_version=rendered.version if rendered else None,
        parsed=reading.parsed,
        parse_error=reading.error,
    )


def cost_of(answer: Answer) -> float | None:
    """What a call cost, in the currency of the registry's prices; None when a price or a count is not known."""
    model, response = answer.target.model, answer.response
    if model is None or response.stands_in_for is not None:
        return None  # an echo's words are nobody's tokens
    prices = (model.input_price_per_million, model.output_price_per_million)
    counts = (response.input_tokens, response.output_tokens)
    total = 0.0
    for tokens, price in zip(counts, prices, strict=True):
        if tokens is None or price is None:
            return None
        total += tokens * price / 1_000_000
    return total
