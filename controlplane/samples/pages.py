"""What the pages about sample sets show, prepared as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from controlplane.runtime.entries import Parameter
from controlplane.samples import fitting, services, values
from controlplane.samples.models import Sample


@dataclass(frozen=True)
class Listed:
    """One sample set, and how it stands to the declaration of today."""

    sample: Sample
    problems: Mapping[str, str]

    @property
    def fits(self) -> bool:
        """Whether a call with these values would be taken."""
        return not self.problems

    @property
    def problem_words(self) -> str:
        """All that is wrong, parameter by parameter."""
        return " ".join(f"{name}: {words}" if name else words for name, words in self.problems.items())

    @property
    def summary(self) -> str:
        """The values in a line: what a person knows a sample by."""
        return ", ".join(f"{name} {_short(value)}" for name, value in self.sample.values.items())

    @property
    def json(self) -> str:
        """The values as JSON."""
        return values.as_json(self.sample.values, indent=2)


def listed(session: Session, interaction: str) -> list[Listed]:
    """Return the sample sets of an interaction, the default first."""
    declared = services.declared_parameters(session, interaction)
    return [look(sample, declared) for sample in services.list_samples(session, interaction)]


def look(sample: Sample, declared: Sequence[Parameter]) -> Listed:
    """Return one, with what stands against it."""
    return Listed(sample, fitting.misfits(declared, sample.values))


def _short(value: Any) -> str:
    if isinstance(value, str):
        words = " ".join(value.split())
        return f"“{words[:40]}…”" if len(words) > 41 else f"“{words}”"
    if isinstance(value, list):
        return f"({len(value)} item{'s' if len(value) != 1 else ''})"
    if isinstance(value, dict):
        return f"({', '.join(list(value)[:3])}{', …' if len(value) > 3 else ''})"
    return values.as_json(value)
