"""What the generating endpoints take and give; the fields are those of `LLMService`."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from controlplane.runtime.service.fields import Code, Name, Strict, Text, Values
from controlplane.runtime.services.answers import LLMResponse

_MOST_TURNS = 1_000


class Turn(Strict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "coach"]
    content: Text


class _Call(Strict):
    """What every call of a model may say."""

    interaction_code: Code | None = None
    user_tier: Code | None = None
    template_parameters: Values | None = Field(
        None, description="Values for the prompt, beyond those that the call brings by itself."
    )
    use_config_lookup: bool = Field(default=True, description="False takes the legacy path.")
    stream: bool = Field(
        default=False, description="Answer with server-sent events, as Accept: text/event-stream does."
    )
    tenant_id: Name | None = None
    user_id: Name | None = Field(None, description="The id that is bucketed.")
    environment: Code = "production"

    def common(self) -> dict[str, Any]:
        """The arguments that all three calls of the service take."""
        return {
            "interaction_code": self.interaction_code,
            "user_tier": self.user_tier,
            "template_parameters": self.template_parameters,
            "use_config_lookup": self.use_config_lookup,
        }


Turns = Annotated[list[Turn], Field(max_length=_MOST_TURNS)]


class CoachingRequest(_Call):
    """A message to answer."""

    conversation_id: Name
    topic: Name
    user_message: Text
    conversation_history: Turns = Field(default_factory=list)
    business_context: Values | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of `generate_coaching_response`."""
        return {
            "conversation_id": self.conversation_id,
            "topic": self.topic,
            "user_message": self.user_message,
            "conversation_history": [turn.model_dump() for turn in self.conversation_history],
            "business_context": self.business_context,
            **self.common(),
        }


class AnalysisRequest(_Call):
    """What to analyse."""

    topic: Name
    user_data: Values = Field(description="The values that the prompt asks for, by their names.")
    business_context: Values | None = None
    answer_format: Literal["json", "text"] | None = Field(
        None, description="Left out: JSON when the prompt asks the model for JSON."
    )

    def arguments(self) -> dict[str, Any]:
        """The arguments of `generate_single_shot_analysis`."""
        return {
            "topic": self.topic,
            "user_data": self.user_data,
            "business_context": self.business_context,
            "answer_format": self.answer_format,
            **self.common(),
        }


class InsightsRequest(_Call):
    """What to draw insights from."""

    conversation_history: Turns = Field(default_factory=list)
    business_data: Values
    focus_areas: Annotated[list[Name], Field(max_length=50)] | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of `generate_insights`."""
        common = self.common()
        if self.interaction_code is None:
            del common["interaction_code"]  # there is one interaction for insights, and the service knows it
        return {
            "conversation_history": [turn.model_dump() for turn in self.conversation_history],
            "business_data": self.business_data,
            "focus_areas": self.focus_areas,
            **common,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedAnswer(LLMResponse):
    """A model's answer, with everything that explains it."""

    providers: str
    """`echo` when nobody was really called, else `live`."""

    @classmethod
    def of(cls, response: LLMResponse, *, providers: str) -> "GeneratedAnswer":
        """The service's response, as it is sent."""
        values = {one.name: getattr(response, one.name) for one in fields(response)}
        return cls(**values, providers=providers)
