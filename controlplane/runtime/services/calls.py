"""What applications ask for: a turn of a conversation, or an analysis of what they hand over."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from controlplane.runtime.providers.base import Message, ProviderRequest
from controlplane.runtime.services.conversation import as_list, as_messages, as_text
from controlplane.runtime.services.prompts import PromptService

AnswerFormat = Literal["json", "text"]
INSIGHTS: Final = "insights"
"""The topic of insights: there is one interaction for them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf calls are made; the user's id is what is bucketed."""

    tenant_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of the application, as it came."""

    caller: Caller
    interaction: str
    topic: str
    tier: str | None
    business_context: Mapping[str, object] | None
    parameters: Mapping[str, object]
    """What the caller gave for the prompt; it has the last word over what a call brings by itself."""
    look_up: bool
    """False takes the legacy path: the caller asked for it."""
    conversation_id: str | None = None

    def values(self) -> dict[str, object]:
        """The prompt's values."""
        own: dict[str, object] = {"topic": self.topic, **self.own_values()}
        if self.business_context is not None:
            own["business_context"] = dict(self.business_context)
        return own | dict(self.parameters)

    def own_values(self) -> dict[str, object]:
        """The values that a call of this kind brings by itself."""
        raise NotImplementedError

    def legacy_request(self, prompts: PromptService) -> ProviderRequest:
        """What was sent before there was a control plane."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation(Call):
    """The next turn of a conversation."""

    user_message: str
    history: Sequence[Mapping[str, object]]

    def own_values(self) -> dict[str, object]:
        """See `Call.own_values`."""
        return {"conversation_context": as_text(self.history), "user_message": self.user_message}

    def legacy_request(self, prompts: PromptService) -> ProviderRequest:
        """See `Call.legacy_request`."""
        return prompts.request(
            self.topic,
            system=prompts.system_prompt(self.topic, self.business_context),
            messages=as_messages(self.history, self.user_message),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis(Call):
    """One question with everything that is needed to answer it."""

    data: Mapping[str, object]
    answer_format: AnswerFormat | None = None
    """None: as JSON when the prompt asks the model for JSON."""

    def own_values(self) -> dict[str, object]:
        """See `Call.own_values`."""
        return dict(self.data)

    def legacy_request(self, prompts: PromptService) -> ProviderRequest:
        """See `Call.legacy_request`."""
        known = {name: value for name, value in self.values().items() if name != "topic"}
        return prompts.request(
            self.topic,
            system=prompts.analysis_prompt(self.interaction),
            messages=(Message("user", json.dumps(known, ensure_ascii=False, indent=1, default=str)),),
        )


def values_of_insights(
    history: Sequence[Mapping[str, object]],
    business_data: Mapping[str, object],
    focus_areas: Sequence[str] | None,
) -> dict[str, object]:
    """The values that insights are drawn from."""
    values: dict[str, object] = {
        "conversation_history": as_list(history),
        "business_data": dict(business_data),
    }
    if focus_areas is not None:
        values["focus_areas"] = list(focus_areas)
    return values
