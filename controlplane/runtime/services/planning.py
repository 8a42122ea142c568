"""What is sent to whom: the path that a call takes, and every step down from what was wanted."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from controlplane.runtime.errors import (
    ConfigurationNotFoundError,
    ControlPlaneRuntimeError,
    PromptProfileError,
    SnapshotRefused,
    TemplateNotFoundError,
    TemplateRenderError,
)
from controlplane.runtime.providers.base import Message, ProviderRequest
from controlplane.runtime.resolver import Reason, Request, Resolution, in_gate
from controlplane.runtime.services.answers import KeptOut, Path, Step
from controlplane.runtime.services.calls import Call
from controlplane.runtime.services.chain import Target, targets_of
from controlplane.runtime.services.configuration import LLMConfigurationService, NoReleaseError
from controlplane.runtime.services.health import who_threw
from controlplane.runtime.services.measuring import Descent, Measurements
from controlplane.runtime.services.prompts import PromptService
from controlplane.runtime.services.template import LLMTemplateService, RenderedTemplate
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.sources import ReleaseSource

_STEPS: Final[dict[type[ControlPlaneRuntimeError], Step]] = {
    NoReleaseError: Step.NO_RELEASE,
    ConfigurationNotFoundError: Step.NO_CONFIGURATION,
    SnapshotRefused: Step.NO_CONFIGURATION,
    TemplateNotFoundError: Step.NO_TEMPLATE,
    TemplateRenderError: Step.RENDER_FAILED,
    PromptProfileError: Step.RENDER_FAILED,
}
_MISSING: Final = tuple(_STEPS)
_NOT_RENDERED: Final = (TemplateNotFoundError, TemplateRenderError, PromptProfileError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be sent, to which models in turn, and why."""

    path: Path
    why: str
    request: ProviderRequest
    targets: Sequence[Target]
    instructions: str
    """The prompt's own words, before values were filled in."""
    descent: Descent
    resolution: Resolution | None = None
    rendered: RenderedTemplate | None = None
    kept_out: KeptOut | None = None
    """Who kept the call from the configuration path, where that was meant."""
    values: Mapping[str, object] | None = None
    """What the prompt was rendered with."""
    snapshot: Snapshot | None = None
    """The release that was asked; None when none was."""
    at: float = field(default_factory=time.time)
    """When it was made, in seconds since 1970."""


class _Refusal(NamedTuple):
    by: KeptOut
    why: str


class Planner:
    """Chooses the path of each call, and walks it as far as the model."""

    def __init__(
        self,
        releases: ReleaseSource,
        configurations: LLMConfigurationService,
        templates: LLMTemplateService,
        prompts: PromptService,
        measured: Measurements,
        *,
        use_config_lookup: bool,
    ) -> None:
        self._releases = releases
        self._configurations = configurations
        self._templates = templates
        self._prompts = prompts
        self._measured = measured
        self._use_config_lookup = use_config_lookup
        self._seen: Snapshot | None = None

    async def plan(self, call: Call) -> Plan:
        """Resolve and render what the live release says of a call; where that cannot be, plan the legacy path."""
        descent = Descent(call.interaction, call.tier, self._seen)
        snapshot: Snapshot | None = None
        kept_out = self._unwanted(call)
        if kept_out is not None:
            return self._legacy(call, kept_out.why, descent, by=kept_out.by)
        try:
            # One release, from here to the end.
            snapshot = await self._configurations.live(call.interaction, call.caller.tenant_id)
            # Also the one that a later call without any is counted by.
            self._seen = descent.release = snapshot
            kept_out = self._thrown(call) or self._outside_of_the_gate(call, snapshot)
            if kept_out is not None:
                return self._legacy(call, kept_out.why, descent, snapshot, by=kept_out.by)
            resolution = await self._resolve(call, snapshot, descent)
            values = call.values()
            rendered = await self._render(values, snapshot, resolution, descent)
        except _MISSING as problem:
            self._step_down(descent, problem)
            return self._legacy(call, str(problem), descent, snapshot)
        self._measured.took(descent, Path.CONFIGURATION)
        return Plan(
            path=Path.CONFIGURATION,
            why=resolution.why,
            request=_request(resolution, rendered),
            targets=targets_of(snapshot, resolution.variant),
            instructions=rendered.source,
            descent=descent,
            resolution=resolution,
            rendered=rendered,
            values=values,
            snapshot=snapshot,
        )

    def _unwanted(self, call: Call) -> _Refusal | None:
        """Who did not even want configuration look-up to begin; None when it does."""
        if not call.look_up:
            return _Refusal(KeptOut.CALL, "configuration look-up is switched off for this call")
        if not self._use_config_lookup:
            return _Refusal(KeptOut.SERVICE, "configuration look-up is switched off for this service")
        return None

    def _thrown(self, call: Call) -> _Refusal | None:
        """Who threw the interaction's kill switch, and why; None when nobody did."""
        switch = self._releases.switches.thrown(call.interaction)
        if switch is None:
            return None
        return _Refusal(KeptOut.SWITCH, f"configuration look-up was switched off by {who_threw(switch)}")

    def _outside_of_the_gate(self, call: Call, snapshot: Snapshot) -> _Refusal | None:
        caller = call.caller
        gate = in_gate(
            snapshot,
            call.interaction,
            caller.user_id,
            tenant_id=caller.tenant_id,
            conversation_id=call.conversation_id,
        )
        if gate.included:
            return None
        asked = Request(call.interaction, call.tier, caller.tenant_id, caller.user_id, call.conversation_id)
        self._measured.kept_out(snapshot, asked)
        return _Refusal(KeptOut.GATE, f"the gate of {call.interaction}: {gate.why}")

    async def _resolve(self, call: Call, snapshot: Snapshot, descent: Descent) -> Resolution:
        started = time.perf_counter()
        resolution = await self._configurations.resolve_configuration(
            call.interaction,
            call.tier,
            tenant_id=call.caller.tenant_id,
            unit=call.caller.user_id,
            conversation_id=call.conversation_id,
            snapshot=snapshot,
        )
        seconds = time.perf_counter() - started
        descent.found = resolution
        self._measured.resolved(descent, seconds)
        if resolution.reason is Reason.ENVIRONMENT_DEFAULT:
            self._take(descent, Step.ENVIRONMENT_DEFAULT, resolution.why, Step.NO_CONFIGURATION)
        return resolution

    async def _render(
        self, values: Mapping[str, object], snapshot: Snapshot, resolution: Resolution, descent: Descent
    ) -> RenderedTemplate:
        started = time.perf_counter()
        prompt = resolution.prompt
        try:
            rendered = await self._templates.render_template(
                prompt.code, values, version=prompt, snapshot=snapshot
            )
        except _NOT_RENDERED as problem:
            last_good = await self._templates.render_last_good(prompt, values, snapshot=snapshot)
            if last_good is None:
                raise
            rendered = last_good
            self._step_down(descent, problem)
            instead = f"{rendered.code} version {rendered.version} instead of version {prompt.version}"
            self._take(descent, Step.LAST_GOOD_TEMPLATE, instead, descent.steps[-1])
        self._measured.rendered(descent, time.perf_counter() - started)
        return rendered

    def _legacy(
        self,
        call: Call,
        why: str,
        descent: Descent,
        snapshot: Snapshot | None = None,
        *,
        by: KeptOut | None = None,
    ) -> Plan:
        self._measured.took(descent, Path.LEGACY)
        request = call.legacy_request(self._prompts)
        return Plan(
            path=Path.LEGACY,
            why=why,
            request=request,
            targets=[Target(self._prompts.legacy.provider, request.model_id)],
            instructions=request.system or "",
            descent=descent,
            kept_out=by,
            snapshot=snapshot,
        )

    def _step_down(self, descent: Descent, problem: ControlPlaneRuntimeError) -> None:
        step = next(step for kind, step in _STEPS.items() if isinstance(problem, kind))
        self._take(descent, step, str(problem), problem.kind)

    def _take(self, descent: Descent, step: Step, because: str, kind: str) -> None:
        descent.steps.append(step)
        descent.because.append(because)
        self._measured.stepped_down(descent, step, kind)


def _request(resolution: Resolution, rendered: RenderedTemplate) -> ProviderRequest:
    variant = resolution.variant
    # The prompt holds the conversation and the message already, so it is all that the model is told.
    return ProviderRequest(
        model_id=resolution.model.provider_model_id,
        messages=(Message("user", rendered.text),),
        temperature=variant.temperature,
        max_tokens=variant.max_tokens,
        top_p=variant.top_p,
        frequency_penalty=variant.frequency_penalty,
        presence_penalty=variant.presence_penalty,
    )
