"""A text tried with every sample set of its interaction, in one job: what "Preview all samples" shows."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from controlplane.db import now
from controlplane.prompts.preview import SHOWN, Previewing, Run, runs, size_of
from controlplane.prompts.render_pool import RenderBusy
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Preview, Problem
from controlplane.samples.models import Sample


@dataclass(frozen=True)
class Tried:
    """What became of the text with one sample set."""

    sample: Sample
    preview: Preview

    @property
    def passes(self) -> bool:
        """Whether a text came out."""
        return self.preview.text is not None

    @property
    def problem(self) -> Problem | None:
        """Why none did."""
        return self.preview.problem

    @property
    def length(self) -> int:
        """Its length in characters."""
        return len(self.preview.text or "")

    @property
    def size(self) -> str:
        """The same in words."""
        return size_of(self.preview.text or "")

    @property
    def shown(self) -> list[Run]:
        """The text, as far as a browser shows it at once."""
        return list(runs((self.preview.text or "")[:SHOWN]))

    @property
    def rest(self) -> int:
        """How many characters are not shown."""
        return max(0, self.length - SHOWN)


@dataclass(frozen=True)
class Trial:
    """What became of the text with all of them; `busy` says that it could not be tried just now."""

    tried: list[Tried] = field(default_factory=list)
    busy: str | None = None
    at: dt.datetime = field(default_factory=now)

    @property
    def summary(self) -> str:
        """How many pass: "5 of 6 pass; of those that must, 1 fails"."""
        failing = [each for each in self.tried if not each.passes]
        if not failing:
            return "All pass" if len(self.tried) != 1 else "It passes"
        passing = f"{len(self.tried) - len(failing)} of {len(self.tried)} pass"
        must = sum(each.sample.must_pass for each in failing)
        return f"{passing}; of those that must, {must} fail{'s' if must == 1 else ''}" if must else passing

    @property
    def tone(self) -> str:
        """As a notice would have it: nothing can be published while one that must pass fails."""
        if any(each.sample.must_pass and not each.passes for each in self.tried):
            return "danger"
        return "good" if all(each.passes for each in self.tried) else "warning"

    @property
    def lengths(self) -> str | None:
        """The shortest and the longest, where there is a difference."""
        found = sorted(each.length for each in self.tried if each.passes)
        return f"{found[0]:,} to {found[-1]:,} characters" if found and found[0] != found[-1] else None


def trial(pool: Previewing, body: str, declared: Sequence[Parameter], samples: Sequence[Sample]) -> Trial:
    """Render the text with every sample set; when the workers are busy, say so instead of raising."""
    try:
        found = pool.render_all(normalise(body), declared, [sample.values for sample in samples])
    except RenderBusy as busy:
        return Trial(busy=str(busy))
    if isinstance(found, Problem):
        found = [Preview(None, problem=found)] * len(samples)
    return Trial([Tried(sample, preview) for sample, preview in zip(samples, found, strict=True)])
