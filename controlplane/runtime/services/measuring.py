"""What a service counts while it answers, and the steps down that one call has taken."""

from dataclasses import dataclass, field
from typing import Final, TypedDict

from controlplane.runtime.entries import gate_key, interaction_key, tier_key
from controlplane.runtime.interaction_codes import InteractionCode
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.resolver import Request, Resolution, gate_unit
from controlplane.runtime.services.answers import LLMResponse, Path, Step
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.units import OUTSIDE, Units

UNKNOWN: Final = "unknown"
"""What names are counted under that no release knows."""
_BUILT_IN: Final = frozenset(map(str, InteractionCode))


class Labels(TypedDict):
    """What one call is counted under."""

    interaction: str
    tier: str | None
    model: str | None
    variant: int | None


def labels_of(
    interaction: str, tier: str | None, release: Snapshot | None, found: Resolution | None = None
) -> Labels:
    """The labels of a call.

    Interaction and tier come from whoever calls. Only names that the release knows (or the built-in codes) are labels of
    their own: a thousand made-up ones would leave no room for the real series.
    """
    known = release if release is not None else ()
    variant = found.variant if found is not None else None
    return {
        "interaction": (
            interaction if interaction in _BUILT_IN or interaction_key(interaction) in known else UNKNOWN
        ),
        "tier": tier if tier is None or tier_key(tier) in known else UNKNOWN,
        "model": variant.model if variant is not None else None,
        "variant": variant.version if variant is not None else None,
    }


def count_unit(units: Units, found: Resolution) -> None:
    """Count whose call a configuration answered."""
    row = found.row
    # Most configurations bucket users; what the properties of an answer say better is written out for its speed.
    unit = found.request.unit if row.unit == "user" else found.unit
    units.count(row.key, row.unit, unit, row.variants[found.place].version)


def count_kept_out(units: Units, release: Snapshot, request: Request) -> None:
    """Count whose call a gate kept out of configuration look-up."""
    asked = gate_unit(release, request)
    if asked is not None:
        units.count(gate_key(request.interaction), *asked, OUTSIDE)


@dataclass(slots=True)
class Descent:
    """The steps down that a call has taken, with the words for each, and what it was served by when it took them."""

    interaction: str
    tier: str | None = None
    release: Snapshot | None = None
    found: Resolution | None = None
    steps: list[Step] = field(default_factory=list)
    because: list[str] = field(default_factory=list)

    @property
    def labels(self) -> Labels:
        """What its steps and errors are counted under, so that a variant answers for its own."""
        return labels_of(self.interaction, self.tier, self.release, self.found)


class Measurements:
    """Counts what calls do."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def resolved(self, descent: Descent, seconds: float) -> None:
        """A configuration was looked up."""
        self.metrics.lookup(**descent.labels, seconds=seconds)
        if descent.found is not None:
            count_unit(self.metrics.units, descent.found)

    def kept_out(self, release: Snapshot, request: Request) -> None:
        """A gate kept a call out."""
        count_kept_out(self.metrics.units, release, request)

    def rendered(self, descent: Descent, seconds: float) -> None:
        """A prompt was rendered."""
        self.metrics.render(**descent.labels, seconds=seconds)

    def stepped_down(self, descent: Descent, step: Step, kind: str) -> None:
        """A call stepped down; `kind` is one of few words."""
        self.metrics.fallback(**descent.labels, step=step, reason=kind)

    def failed(self, descent: Descent, kind: str) -> None:
        """Something went wrong that the caller sees."""
        self.metrics.error(**descent.labels, kind=kind)

    def took(self, descent: Descent, path: Path) -> None:
        """A call takes a path."""
        self.metrics.path(descent.labels["interaction"], path)

    def answered(self, descent: Descent, response: LLMResponse, seconds: float) -> None:
        """A model answered."""
        labels = descent.labels
        self.metrics.answered(
            labels["interaction"],
            labels["tier"],
            response.model_code,
            response.configuration_version,
            path=response.path,
            seconds=seconds,
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            cost=response.cost,
        )
