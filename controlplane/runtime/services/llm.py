"""The one service that application code calls."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controlplane.runtime.client import ReleaseSource
from controlplane.runtime.entries import Variant
from controlplane.runtime.errors import (
    ConfigurationNotFoundError,
    ControlPlaneRuntimeError,
    SnapshotRefused,
    TemplateNotFoundError,
    TemplateRenderError,
)
from controlplane.runtime.providers.base import Message, ProviderRequest
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.resolver import Reason, Resolution, in_gate
from controlplane.runtime.services.answers import LLMResponse, Path, Step, Usage
from controlplane.runtime.services.calling import Answer, Target, call_first_able
from controlplane.runtime.services.configuration import LLMConfigurationService, NoReleaseError, utc_now
from controlplane.runtime.services.conversation import as_messages, as_text
from controlplane.runtime.services.prompts import PromptService
from controlplane.runtime.services.template import LLMTemplateService, RenderedTemplate
from controlplane.runtime.snapshot import Snapshot

_STEPS: dict[type[ControlPlaneRuntimeError], Step] = {
    NoReleaseError: Step.NO_RELEASE,
    ConfigurationNotFoundError: Step.NO_CONFIGURATION,
    SnapshotRefused: Step.NO_CONFIGURATION,
    TemplateNotFoundError: Step.NO_TEMPLATE,
    TemplateRenderError: Step.RENDER_FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One request of the application, as it came."""

    interaction: str
    topic: str
    tier: str | None
    conversation_id: str
    user_message: str
    history: Sequence[Mapping[str, object]]
    business_context: Mapping[str, object] | None
    parameters: Mapping[str, object]


@dataclass(slots=True)
class _Descent:
    """The steps down that a call has taken, with the words for each."""

    steps: list[Step] = field(default_factory=list)
    because: list[str] = field(default_factory=list)

    def take(self, step: Step, because: str) -> None:
        self.steps.append(step)
        self.because.append(because)


class LLMService:
    """Answers the application's calls with what the live release says.

        service = LLMService(client, ProviderManager.from_environment(os.environ), tenant_id="acme", user_id="u-17")
        answer = await service.generate_coaching_response(
            "c-1", "core_values", "Are our values real?", [], interaction_code="COACHING_RESPONSE", user_tier="premium"
        )

    Tenant and user are the service's: make one for each request of a signed-in user, it costs next to nothing. When
    something is missing the call steps down in a defined order, and the answer says so: no configuration for the tier →
    default → environment default → legacy; no template, or one that cannot be rendered → legacy; a model that fails → its
    fallbacks, and then an error.
    """

    counters: Counter[str]
    """How often each path and each step down was taken since the process began."""

    def __init__(
        self,
        releases: ReleaseSource,
        providers: ProviderManager,
        *,
        tenant_id: str | None = None,
        user_id: str | None = None,
        use_config_lookup: bool = True,
        timeout_seconds: float = 60.0,
        legacy: PromptService | None = None,
        clock: Callable[[], datetime] = utc_now,
        counters: Counter[str] | None = None,
    ) -> None:
        self._configurations = LLMConfigurationService(releases, clock=clock)
        self._templates = LLMTemplateService(self._configurations)
        self._providers = providers
        self._legacy = legacy or PromptService()
        self._tenant_id = tenant_id
        self._user_id = user_id
        self._use_config_lookup = use_config_lookup
        self._timeout_seconds = timeout_seconds
        self.counters = Counter() if counters is None else counters

    async def generate_coaching_response(
        self,
        conversation_id: str,
        topic: str,
        user_message: str,
        conversation_history: Sequence[Mapping[str, object]],
        business_context: Mapping[str, object] | None = None,
        interaction_code: str | None = None,
        user_tier: str | None = None,
        template_parameters: Mapping[str, object] | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - the callers' signature, kept
    ) -> LLMResponse:
        """The coach's next turn.

        `interaction_code` says what is asked for; without it the topic is mapped to one. `template_parameters` are the
        values for the prompt beyond the conversation's own. `use_config_lookup=False` takes the legacy path.
        """
        call = _Call(
            interaction=interaction_code or self._legacy.interaction_for(topic),
            topic=topic,
            tier=user_tier,
            conversation_id=conversation_id,
            user_message=user_message,
            history=conversation_history,
            business_context=business_context,
            parameters=template_parameters or {},
        )
        return await self._answer(call, look_up=use_config_lookup and self._use_config_lookup)

    async def _answer(self, call: _Call, *, look_up: bool) -> LLMResponse:
        descent = _Descent()
        prepared, why = None, "configuration look-up is switched off for this call"
        if look_up:
            prepared, why = await self._prepare(call, descent)
        if prepared is not None:
            response = await self._by_configuration(*prepared, descent)
        else:
            response = await self._by_legacy(call, why, descent)
        self.counters.update([f"path:{response.path}", *(f"step:{step}" for step in response.degraded)])
        return response

    async def _prepare(
        self, call: _Call, descent: _Descent
    ) -> tuple[tuple[Snapshot, Resolution, RenderedTemplate] | None, str]:
        """What the live release says about a call; or None and the words for why the legacy path is taken."""
        try:
            snapshot = self._configurations.live()  # one release, from here to the end
            gate = in_gate(
                snapshot,
                call.interaction,
                self._user_id,
                tenant_id=self._tenant_id,
                conversation_id=call.conversation_id,
            )
            if not gate.included:
                return None, f"the gate of {call.interaction}: {gate.why}"
            resolution = await self._configurations.resolve_configuration(
                call.interaction,
                call.tier,
                tenant_id=self._tenant_id,
                unit=self._user_id,
                conversation_id=call.conversation_id,
                snapshot=snapshot,
            )
            rendered = await self._templates.render_template(
                resolution.prompt.code, _parameters(call), version=resolution.prompt, snapshot=snapshot
            )
        except tuple(_STEPS) as problem:
            step = next(step for kind, step in _STEPS.items() if isinstance(problem, kind))
            descent.take(step, str(problem))
            return None, str(problem)
        if resolution.reason is Reason.ENVIRONMENT_DEFAULT:
            descent.take(Step.ENVIRONMENT_DEFAULT, resolution.why)
        return (snapshot, resolution, rendered), resolution.why

    async def _by_configuration(
        self,
        snapshot: Snapshot,
        resolution: Resolution,
        rendered: RenderedTemplate,
        descent: _Descent,
    ) -> LLMResponse:
        variant = resolution.variant
        # The prompt holds the conversation and the message already, so it is all that the model is told.
        request = ProviderRequest(
            model_id=resolution.model.provider_model_id,
            messages=(Message("user", rendered.text),),
            temperature=variant.temperature,
            max_tokens=variant.max_tokens,
            top_p=variant.top_p,
            frequency_penalty=variant.frequency_penalty,
            presence_penalty=variant.presence_penalty,
        )
        targets = _targets(snapshot, variant)
        answer = await call_first_able(self._providers, targets, request, seconds=self._timeout_seconds)
        if answer.target is not targets[0]:
            failed = "; ".join(attempt.error or attempt.outcome for attempt in answer.attempts[:-1])
            descent.take(Step.FALLBACK_MODEL, failed)
        return _response(answer, resolution.why, descent, resolution=resolution, rendered=rendered)

    async def _by_legacy(self, call: _Call, why: str, descent: _Descent) -> LLMResponse:
        legacy = self._legacy.legacy
        request = ProviderRequest(
            model_id=self._legacy.model_for(call.topic),
            messages=as_messages(call.history, call.user_message),
            system=self._legacy.system_prompt(call.topic, call.business_context),
            temperature=legacy.temperature,
            max_tokens=legacy.max_tokens,
        )
        target = Target(legacy.provider, request.model_id)
        answer = await call_first_able(self._providers, [target], request, seconds=self._timeout_seconds)
        return _response(answer, why, descent, interaction=call.interaction)


def _parameters(call: _Call) -> dict[str, object]:
    """The prompt's values: the conversation's own, then what the caller gave, who has the last word."""
    own: dict[str, object] = {
        "conversation_context": as_text(call.history),
        "user_message": call.user_message,
        "topic": call.topic,
    }
    if call.business_context is not None:
        own["business_context"] = dict(call.business_context)
    return own | dict(call.parameters)


def _targets(snapshot: Snapshot, variant: Variant) -> list[Target]:
    """The variant's model and its fallbacks, as far as they are active in this release."""
    targets = []
    for code in (variant.model, *variant.fallbacks):
        model = snapshot.model(code)
        if model is not None and (model.active or code == variant.model):
            targets.append(Target(model.provider, model.provider_model_id, code, model))
    return targets


def _response(
    answer: Answer,
    why: str,
    descent: _Descent,
    *,
    resolution: Resolution | None = None,
    rendered: RenderedTemplate | None = None,
    interaction: str | None = None,
) -> LLMResponse:
    response = answer.response
    return LLMResponse(
        text=response.text,
        path=Path.CONFIGURATION if resolution else Path.LEGACY,
        why=why,
        provider=response.provider,
        stands_in_for=response.stands_in_for,
        model_code=answer.target.code,
        model_id=response.model_id,
        usage=Usage(response.input_tokens, response.output_tokens),
        cost=_cost(answer),
        finish_reason=response.finish_reason,
        latency_ms=response.latency_ms,
        attempts=answer.attempts,
        degraded=tuple(descent.steps),
        degraded_because=tuple(descent.because),
        dropped_parameters=answer.dropped,
        environment=resolution.environment if resolution else None,
        release=resolution.release if resolution else None,
        interaction=resolution.request.interaction if resolution else interaction,
        configuration=resolution.key if resolution else None,
        configuration_version=resolution.variant.version if resolution else None,
        reason=resolution.reason if resolution else None,
        bucket=resolution.bucket if resolution else None,
        template=rendered.code if rendered else None,
        template_version=rendered.version if rendered else None,
    )


def _cost(answer: Answer) -> float | None:
    model, response = answer.target.model, answer.response
    if model is None or response.stands_in_for is not None:
        return None  # an echo's words are nobody's tokens
    counted = (
        (response.input_tokens, model.input_price_per_million),
        (
            response.output_tokens,
            model.output_price_per_million,
        ),
    )
    total = 0.0
    for tokens, price in counted:
        if tokens is None or price is None:
            return None
        total += tokens * price / 1_000_000
    return total
