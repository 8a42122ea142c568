"""What the service takes and gives where no model is called."""

from typing import Annotated

from pydantic import BaseModel, Field

from controlplane.runtime.resolver import Resolution
from controlplane.runtime.service.fields import Code, Name, Strict, Values

BATCH_LIMIT = 10_000


class ResolveQuery(Strict):
    """Whose configuration."""

    interaction: Code
    tier: Name | None = None
    tenant: Name | None = None
    unit: Name | None = Field(None, description="The id that is bucketed.")
    environment: Code = "production"


class BatchRequest(Strict):
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
    switched_off: str | None = Field(
        None, description="By whom and why configuration look-up was switched off; null when nobody did."
    )

    @classmethod
    def of(cls, found: Resolution, *, switched_off: str | None) -> "ResolveAnswer":
        """The answer that a resolution makes."""
        variant, model, prompt = found.variant, found.model, found.prompt
        return cls(
            environment=found.environment,
            release=found.release,
            interaction=found.request.interaction,
            configuration=found.key,
            version=variant.version,
            baseline_version=found.baseline_version,
            model=ModelAnswer(code=variant.model, id=model.provider_model_id, provider=model.provider),
            prompt=PromptAnswer(code=prompt.code, version=prompt.version, sha256=prompt.sha256),
            temperature=variant.temperature,
            max_tokens=variant.max_tokens,
            top_p=variant.top_p,
            frequency_penalty=variant.frequency_penalty,
            presence_penalty=variant.presence_penalty,
            fallbacks=list(variant.fallbacks),
            reason=found.reason,
            why=found.why,
            bucket=found.bucket,
            gate=GateAnswer(included=found.gate.included, bucket=found.gate.bucket, why=found.gate.why),
            switched_off=switched_off,
        )


class ExplainQuery(ResolveQuery):
    """Whose configuration, and why."""

    conversation: Name | None = Field(None, description="Where conversations are bucketed.")
    values: Annotated[str, Field(max_length=16_384)] | None = Field(
        None, description="Values of the template as a JSON object; then its text is in the answer."
    )


class StepAnswer(BaseModel):
    """One rule on the way, and what it found."""

    rule: str
    verdict: str
    sentence: str
    key: str | None


class VariantAnswer(BaseModel):
    """One variant of the configuration that answers; a range is its first bucket and the one after its last."""

    version: int
    model: str
    share: int
    ranges: list[tuple[int, int]]
    counts: bool
    chosen: bool


class LinkAnswer(BaseModel):
    """One model of the chain; `left_out` says why it is never asked."""

    model: str
    provider: str
    model_id: str
    left_out: str | None


class AskedAnswer(BaseModel):
    """What was asked."""

    interaction: str
    tier: str | None
    tenant: str | None
    unit: str | None
    conversation: str | None


class InGateAnswer(BaseModel):
    """Whether the unit is inside the gate."""

    included: bool
    bucket: int | None


class TemplateAnswer(BaseModel):
    """Which version of which template."""

    code: str
    version: int


class ExplainAnswer(BaseModel):
    """Why a call gets what it gets: the outcome, and every rule on the way in the order in which it is asked."""

    environment: str
    release: int
    at: str
    request: AskedAnswer
    path: str
    sentence: str
    steps: list[StepAnswer]
    gate: InGateAnswer
    configuration: str | None
    bucket: int | None
    version: int | None
    model: str | None
    template: TemplateAnswer | None
    variants: list[VariantAnswer]
    chain: list[LinkAnswer]
    text: str | None = Field(None, description="What the template becomes with the values given.")
    problem: str | None = Field(None, description="Why it becomes nothing.")


class RenderRequest(Strict):
    """Whose prompt, and its values."""

    interaction: Code
    parameters: Values = Field(default_factory=dict)
    tier: Code | None = None
    tenant: Name | None = None
    unit: Name | None = None
    environment: Code = "production"


class RenderAnswer(BaseModel):
    """The prompt as a model would be sent it, and which one it is."""

    text: str
    resolution: ResolveAnswer
