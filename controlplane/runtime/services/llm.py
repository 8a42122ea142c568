"""The one service that application code calls."""

import copy
import warnings
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime

from controlplane.runtime.interaction_codes import InteractionCode
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.recording import Recorder
from controlplane.runtime.services.answers import LLMResponse
from controlplane.runtime.services.calls import (
    INSIGHTS,
    Analysis,
    AnswerFormat,
    Caller,
    Conversation,
    values_of_insights,
)
from controlplane.runtime.services.configuration import LLMConfigurationService, utc_now
from controlplane.runtime.services.health import ServiceHealth, health_of
from controlplane.runtime.services.measuring import Measurements
from controlplane.runtime.services.planning import Planner
from controlplane.runtime.services.prompts import PromptService
from controlplane.runtime.services.template import LLMTemplateService
from controlplane.runtime.services.workflow import WorkflowOrchestrator
from controlplane.runtime.sources import ReleaseSource

Turns = Sequence[Mapping[str, object]]
Values = Mapping[str, object]


class LLMService:
    """Answers the application's calls with what the live release says.

        service = LLMService(client, ProviderManager.from_environment(os.environ))      # once
        answer = await service.acting_for(tenant_id="acme", user_id="u-17").generate_coaching_response(
            "c-1", "core_values", "Are our values real?", [], interaction_code="COACHING_RESPONSE", user_tier="premium"
        )

    A call whose kill switch is thrown, that is switched off for the call or the service, or whose unit is outside of the
    interaction's gate takes the legacy path. When something is missing a call steps down in a defined order, and the
    answer says so: no configuration for the tier → default → environment default → legacy; no template, or one that
    cannot be rendered → the last version that can → legacy; a model that fails → its fallbacks, and then an error.
    """

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
        metrics: Metrics | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._releases = releases
        self._providers = providers
        self._caller = Caller(tenant_id, user_id)
        self._legacy = legacy or PromptService()
        self._measured = Measurements(metrics or Metrics(releases.environment))
        configurations = LLMConfigurationService(releases, clock=clock)
        templates = LLMTemplateService(configurations)
        planner = Planner(
            releases,
            configurations,
            templates,
            self._legacy,
            self._measured,
            use_config_lookup=use_config_lookup,
        )
        self._workflows = WorkflowOrchestrator(
            planner,
            providers,
            releases,
            self._measured,
            timeout_seconds=timeout_seconds,
            recorder=recorder,
        )

    def acting_for(self, *, tenant_id: str | None = None, user_id: str | None = None) -> "LLMService":
        """The same service on behalf of somebody else, for one request of a signed-in user; it costs next to nothing.

        Both share everything else, the memory of which prompts have rendered included.
        """
        other = copy.copy(self)
        other._caller = Caller(tenant_id, user_id)  # noqa: SLF001 - it is one of us
        return other

    async def generate_coaching_response(
        self,
        conversation_id: str,
        topic: str,
        user_message: str,
        conversation_history: Turns,
        business_context: Values | None = None,
        interaction_code: str | None = None,
        user_tier: str | None = None,
        template_parameters: Values | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - the callers' signature, kept
    ) -> LLMResponse:
        """The coach's next turn.

        `interaction_code` says what is asked for. Without it, the call is of the old shape: it works, its topic says which
        interaction is meant, and a `DeprecationWarning` says where to change it. `template_parameters` are the values for
        the prompt beyond the conversation's own. `use_config_lookup=False` takes the legacy path. Raises
        `ProviderError` when no model answers, `TypeError` for a history that cannot be read.
        """
        call = self._conversation(
            conversation_id,
            topic,
            user_message,
            conversation_history,
            business_context,
            interaction_code,
            user_tier,
            template_parameters,
            use_config_lookup,
        )
        return await self._workflows.answer(call)

    def stream_coaching_response(
        self,
        conversation_id: str,
        topic: str,
        user_message: str,
        conversation_history: Turns,
        business_context: Values | None = None,
        interaction_code: str | None = None,
        user_tier: str | None = None,
        template_parameters: Values | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> AsyncGenerator[str | LLMResponse, None]:
        """The coach's next turn as it is written: pieces of text, and the whole response after the last of them.

        As `generate_coaching_response` otherwise. Once the first piece came, no other model is asked any more: a failure
        is then `StreamBrokenError`, which carries the text so far.
        """
        call = self._conversation(
            conversation_id,
            topic,
            user_message,
            conversation_history,
            business_context,
            interaction_code,
            user_tier,
            template_parameters,
            use_config_lookup,
        )
        return self._workflows.stream(call)

    async def generate_single_shot_analysis(
        self,
        topic: str,
        user_data: Values,
        business_context: Values | None = None,
        interaction_code: str | None = None,
        user_tier: str | None = None,
        template_parameters: Values | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - as above
        *,
        answer_format: AnswerFormat | None = None,
    ) -> LLMResponse:
        """An analysis of what is handed over: `user_data` are the values for the prompt, by their names.

        When the prompt asks the model for JSON, `parsed` is the answer as data; if it cannot be read, `parse_error` says
        why, and `text` has all of it. `answer_format` says beforehand which it is to be. Of the old shape (without
        `interaction_code`) the topic says which analysis is meant; `UnknownTopicError` if it is none. The rest is as in
        `generate_coaching_response`.
        """
        call = self._analysis(
            topic,
            user_data,
            business_context,
            interaction_code,
            user_tier,
            template_parameters,
            use_config_lookup,
            answer_format,
        )
        return await self._workflows.answer(call)

    def stream_single_shot_analysis(
        self,
        topic: str,
        user_data: Values,
        business_context: Values | None = None,
        interaction_code: str | None = None,
        user_tier: str | None = None,
        template_parameters: Values | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - as above
        *,
        answer_format: AnswerFormat | None = None,
    ) -> AsyncGenerator[str | LLMResponse, None]:
        """The same analysis as it is written: pieces of text, then the whole response, read as JSON where it is to be."""
        call = self._analysis(
            topic,
            user_data,
            business_context,
            interaction_code,
            user_tier,
            template_parameters,
            use_config_lookup,
            answer_format,
        )
        return self._workflows.stream(call)

    async def generate_insights(
        self,
        conversation_history: Turns,
        business_data: Values,
        focus_areas: Sequence[str] | None = None,
        interaction_code: str = InteractionCode.INSIGHTS_GENERATION,
        user_tier: str | None = None,
        template_parameters: Values | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> LLMResponse:
        """What the owner of a business may have missed, from a conversation and figures; a single-shot analysis."""
        return await self.generate_single_shot_analysis(
            INSIGHTS,
            values_of_insights(conversation_history, business_data, focus_areas),
            interaction_code=interaction_code,
            user_tier=user_tier,
            template_parameters=template_parameters,
            use_config_lookup=use_config_lookup,
        )

    def stream_insights(
        self,
        conversation_history: Turns,
        business_data: Values,
        focus_areas: Sequence[str] | None = None,
        interaction_code: str = InteractionCode.INSIGHTS_GENERATION,
        user_tier: str | None = None,
        template_parameters: Values | None = None,
        use_config_lookup: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> AsyncGenerator[str | LLMResponse, None]:
        """The same as it is written: pieces of text, then the whole response."""
        return self.stream_single_shot_analysis(
            INSIGHTS,
            values_of_insights(conversation_history, business_data, focus_areas),
            interaction_code=interaction_code,
            user_tier=user_tier,
            template_parameters=template_parameters,
            use_config_lookup=use_config_lookup,
        )

    async def get_service_health(self) -> ServiceHealth:
        """Which release is served and how old it is, what is switched off, who is called, and what has been counted."""
        return health_of(self._releases, self._providers, self._measured.metrics.counts())

    def _conversation(
        self,
        conversation_id: str,
        topic: str,
        user_message: str,
        history: Turns,
        business_context: Values | None,
        interaction_code: str | None,
        tier: str | None,
        parameters: Values | None,
        look_up: bool,  # noqa: FBT001 - handed on in the callers' order
    ) -> Conversation:
        return Conversation(
            caller=self._caller,
            interaction=interaction_code or self._of_old_shape(topic, self._legacy.interaction_for(topic)),
            topic=topic,
            tier=tier,
            business_context=business_context,
            parameters=parameters or {},
            look_up=look_up,
            conversation_id=conversation_id,
            user_message=user_message,
            history=history,
        )

    def _analysis(
        self,
        topic: str,
        data: Values,
        business_context: Values | None,
        interaction_code: str | None,
        tier: str | None,
        parameters: Values | None,
        look_up: bool,  # noqa: FBT001 - as above
        answer_format: AnswerFormat | None,
    ) -> Analysis:
        return Analysis(
            caller=self._caller,
            interaction=interaction_code or self._of_old_shape(topic, self._legacy.analysis_for(topic)),
            topic=topic,
            tier=tier,
            business_context=business_context,
            parameters=parameters or {},
            look_up=look_up,
            data=data,
            answer_format=answer_format,
        )

    def _of_old_shape(self, topic: str, interaction: str) -> str:
        """The interaction that a topic means; Python shows the warning once for each place that calls so."""
        self._measured.metrics.deprecated_call(interaction)
        warnings.warn(
            f"a call without interaction_code is deprecated: for the topic {topic!r} pass "
            f"interaction_code={interaction!r}",
            DeprecationWarning,
            stacklevel=4,  # past this, the method that made the call, and the public one
        )
        return interaction
