"""What a service counts while it answers, and the steps down that one call has taken."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypedDict

from controlplane.runtime.metrics import Metrics
from controlplane.runtime.resolver import Resolution
from controlplane.runtime.services.answers import LLMResponse, Path, Step


class Labels(TypedDict):
    """The labels that only a call knows."""

    tier: str | None
    model: str | None
    variant: int | None


@dataclass(slots=True)
class Descent:
    """The steps down that a call has taken, with the words for each, and what it was served by when it took them."""

    tier: str | None = None
    found: Resolution | None = None
    steps: list[Step] = field(default_factory=list)
    because: list[str] = field(default_factory=list)

    @property
    def labels(self) -> "Labels":
        """What its steps and errors are counted under, so that a variant answers for its own."""
        chosen = self.found.variant if self.found else None
        return {
            "tier": self.tier,
            "model": chosen.model if chosen else None,
            "variant": chosen.version if chosen else None,
        }


class Measurements:
    """Counts in `counters` always, and in `metrics` when there are any."""

    def __init__(self, metrics: Metrics | None, counters: Counter[str] | None) -> None:
        self.metrics = metrics
        self.counters: Counter[str] = Counter() if counters is None else counters

    def resolved(self, found: Resolution, seconds: float) -> None:
        """A configuration was looked up."""
        if self.metrics is not None:
            asked, chosen = found.request, found.variant
            self.metrics.lookup(asked.interaction, asked.tier, chosen.model, chosen.version, seconds)

    def rendered(self, found: Resolution, seconds: float) -> None:
        """A prompt was rendered."""
        if self.metrics is not None:
            asked, chosen = found.request, found.variant
            self.metrics.render(asked.interaction, asked.tier, chosen.model, chosen.version, seconds)

    def stepped_down(self, interaction: str, step: Step, kind: str, descent: Descent) -> None:
        """A call stepped down; `kind` is one of few words."""
        self.counters[f"step:{step}"] += 1
        if self.metrics is not None:
            self.metrics.fallback(interaction, step, kind, **descent.labels)

    def failed(self, interaction: str, kind: str, descent: Descent) -> None:
        """Something went wrong that the caller sees."""
        self.counters[f"error:{kind}"] += 1
        if self.metrics is not None:
            self.metrics.error(interaction, kind, **descent.labels)

    def took(self, interaction: str, path: Path) -> None:
        """A call takes a path."""
        self.counters[f"path:{path}"] += 1
        if self.metrics is not None:
            self.metrics.path(interaction, path)

    def answered(self, interaction: str, tier: str | None, response: LLMResponse, seconds: float) -> None:
        """A model answered."""
        if self.metrics is not None:
            self.metrics.answered(
                interaction,
                tier,
                response.model_code,
                response.configuration_version,
                path=response.path,
                seconds=seconds,
                input_tokens=response.usage.input_tokens,
                output_tokens=response.usage.output_tokens,
                cost=response.cost,
            )
