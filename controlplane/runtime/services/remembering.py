"""What the recorder is told of a call, once it is over."""

from controlplane.runtime.recorded_values import values_to_keep
from controlplane.runtime.recording import Recorder, Seen
from controlplane.runtime.resolver import Request
from controlplane.runtime.services.answers import LLMResponse, Path
from controlplane.runtime.services.calls import Call
from controlplane.runtime.services.planning import Plan


def remember(
    recorder: Recorder,
    call: Call,
    plan: Plan,
    *,
    seconds: float,
    response: LLMResponse | None = None,
    error: str | None = None,
) -> None:
    """Hand a call that was chosen to the recorder; `error` is the kind of what it ended with, when nothing answered."""
    caller, descent = call.caller, plan.descent
    # An echo's words are nobody's tokens.
    usage = response.usage if response is not None and response.stands_in_for is None else None
    values, lengths = values_to_keep(plan.snapshot, call.interaction, plan.values)
    kept_out: str | None = plan.kept_out
    if kept_out is None and plan.path is Path.LEGACY and descent.steps:
        kept_out = descent.steps[-1]  # the one after which there was nothing left but this path
    recorder.see(
        Seen(
            at=plan.at,
            request=Request(
                call.interaction, call.tier, caller.tenant_id, caller.user_id, call.conversation_id
            ),
            path=plan.path,
            kept_out=kept_out,
            snapshot=plan.snapshot,
            resolution=descent.found,
            answered_by=response.model_code if response else None,
            error=error,
            seconds=seconds,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            values=values,
            lengths=lengths,
        )
    )
