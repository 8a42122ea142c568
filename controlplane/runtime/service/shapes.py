"""What the service takes and gives."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Code = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=32 * 1024)]

BATCH_LIMIT = 10_000


class _Strict(BaseModel):
    # A misspelt field must not be passed over: the caller would believe that it has an effect.
    model_config = ConfigDict(extra="forbid")


class BatchRequest(_Strict):
    """Many units, one question each: which variant."""

    interaction: Code
    units: Annotated[list[Name], Field(max_length=BATCH_LIMIT)]
    tier: Code | None = None
    tenant: Name | None = None
    environment: Code = "production"


class BatchAnswer(BaseModel):
    """`results[i]` is the version and the bucket of `units[i]`; all are of one release."""

    environment: str
    release: int
    results: list[tuple[int, int | None]]


class Turn(_Strict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "coach"]
    content: Text


class CoachingRequest(_Strict):
    """A message to answer; the fields are those of `LLMService.generate_coaching_response`."""

    conversation_id: Name
    topic: Name
    user_message: Text
    conversation_history: Annotated[list[Turn], Field(max_length=1_000)] = []
    business_context: dict[str, Any] | None = None
    interaction_code: Code | None = None
    user_tier: Code | None = None
    template_parameters: dict[str, Any] | None = None
    use_config_lookup: bool = True
    tenant_id: Name | None = None
    user_id: Name | None = None
    environment: Code = "production"


class GateAnswer(BaseModel):
    """Whether the unit goes through configuration look-up at all."""

    included: bool
    bucket: int | None
    why: str


class PromptAnswer(BaseModel):
    """Which version of which prompt."""

    code: str
    version: int
    sha256: str


class ModelAnswer(BaseModel):
    """Which model."""

    code: str
    id: str
    provider: str


class ResolveAnswer(BaseModel):
    """A resolution with its reason."""

    environment: str
    release: int
    interaction: str
    configuration: str
    version: int
    baseline_version: int
    model: ModelAnswer
    prompt: PromptAnswer
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    fallbacks: list[str]
    reason: str
    why: str
    bucket: int | None
    gate: GateAnswer
