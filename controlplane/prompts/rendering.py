"""One template rendered with many sets of values: what each comes to, or why it comes to nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controlplane.prompts.render_jobs import PATIENT_WALL_SECONDS
from controlplane.prompts.render_pool import RenderPool
from controlplane.runtime.entries import Parameter
from controlplane.runtime.renderer import Preview, Problem

EXAMPLES: Final = "examples"
SAMPLE: Final = "sample"
RECORDED: Final = "recorded"

# A page may wait longer for the workers than somebody's typing may, and less long than a save.
PATIENCE: Final = 4.0
# A job has one second, and its answer so many bytes. What is too much for one is halved so often; a hostile template is
# then known for what it is, and the rest of its inputs are not tried.
_MOST_JOBS: Final = 6


@dataclass(frozen=True)
class Input:
    """A set of values to try templates with. `required`: a template that fails with it may not go live."""

    name: str
    values: Mapping[str, Any]
    origin: str
    required: bool = False
    is_default: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a template makes of one input: a text, or a problem in words."""

    input: Input
    text: str | None
    problem: str | None = None
    line: int | None = field(default=None, compare=False)

    @property
    def told(self) -> str:
        """The problem with its line."""
        return f"line {self.line}: {self.problem}" if self.line else self.problem or ""


def render_inputs(
    pool: RenderPool,
    source: str,
    declared: Sequence[Parameter],
    inputs: Sequence[Input],
    *,
    patience: float = PATIENCE,
) -> list[Outcome]:
    """Render `source` with each input, in their order and in as few jobs as it takes; raises only `RenderBusy`."""
    left = _MOST_JOBS

    def job(some: Sequence[Input]) -> list[Outcome]:
        nonlocal left
        left -= 1
        found = pool.render_all(
            source,
            declared,
            [each.values for each in some],
            patience=patience,
            wall=PATIENT_WALL_SECONDS,
        )
        if not isinstance(found, Problem):
            return [_outcome(each, preview) for each, preview in zip(some, found, strict=True)]
        if len(some) == 1 or left < 2:
            return [Outcome(each, None, found.message, found.line) for each in some]
        half = len(some) // 2
        return [*job(some[:half]), *job(some[half:])]

    return job(inputs) if inputs else []


def check_inputs(
    pool: RenderPool, source: str, declared: Sequence[Parameter], inputs: Sequence[Input]
) -> list[Outcome]:
    """Say of each input whether `source` renders with it, without the text that comes out; before those who look only.

    Raises only `RenderBusy`.
    """
    if not inputs:
        return []
    found = pool.check_all(source, declared, [each.values for each in inputs])
    problems = [found] * len(inputs) if isinstance(found, Problem) else found
    return [
        Outcome(each, None) if problem is None else Outcome(each, None, problem.message, problem.line)
        for each, problem in zip(inputs, problems, strict=True)
    ]


def _outcome(given: Input, preview: Preview) -> Outcome:
    if preview.problem is None:
        return Outcome(given, preview.text)
    return Outcome(given, None, preview.problem.message, preview.problem.line)
