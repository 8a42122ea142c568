"""What a call of the LLM service comes back with: the text, and everything needed to explain it."""

from dataclasses import dataclass
from enum import StrEnum


class Path(StrEnum):
    """Where the model and the prompt of a call came from."""

    CONFIGURATION = "configuration"
    LEGACY = "legacy"


class KeptOut(StrEnum):
    """Who kept a call from configuration look-up: then the legacy path is what was wanted."""

    CALL = "call"
    SERVICE = "service"
    SWITCH = "switch"
    GATE = "gate"


class Step(StrEnum):
    """A step down from what was wanted; each is counted and named in the answer."""

    NO_RELEASE = "no_release"
    NO_CONFIGURATION = "no_configuration"
    ENVIRONMENT_DEFAULT = "environment_default"
    NO_TEMPLATE = "no_template"
    RENDER_FAILED = "render_failed"
    LAST_GOOD_TEMPLATE = "last_good_template"
    FALLBACK_MODEL = "fallback_model"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None when it did not say."""

    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of one model: `outcome` is "answered" or the kind of error."""

    provider: str
    model_code: str | None
    model_id: str
    outcome: str
    error: str | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMResponse:
    """A model's answer. What the legacy path does not know is None."""

    text: str
    path: Path
    why: str
    """In words: which row and variant, or why the legacy path was taken."""
    provider: str
    stands_in_for: str | None
    """The provider that was not called because an echo answered in its place."""
    model_code: str | None
    model_id: str
    usage: Usage
    cost: float | None
    """In the currency of the registry's prices; None when a price or a count is not known."""
    finish_reason: str | None
    latency_ms: float
    attempts: tuple[Attempt, ...]
    degraded: tuple[Step, ...] = ()
    degraded_because: tuple[str, ...] = ()
    dropped_parameters: tuple[str, ...] = ()
    """Set in the configuration, but not taken by the model that answered."""
    environment: str | None = None
    release: int | None = None
    release_age_seconds: float | None = None
    """Since the release was last known to be the live one."""
    interaction: str | None = None
    configuration: str | None = None
    configuration_version: int | None = None
    """The chosen variant: variants are named by the configuration's version."""
    reason: str | None = None
    bucket: int | None = None
    template: str | None = None
    template_version: int | None = None
    parsed: dict[str, object] | list[object] | None = None
    """An analysis whose prompt asks for JSON: the answer as data, never anything that the model did not say."""
    parse_error: str | None = None
    """Why the answer could not be read as JSON although it should be; `text` has all of it."""
