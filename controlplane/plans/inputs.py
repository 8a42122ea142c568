"""What people may send about a plan: its steps as typed, and why."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from controlplane.plans.steps import Step, parse_hold
from controlplane.rollouts.inputs import ReasonInput, Share


def _hold(value: object) -> int:
    return parse_hold(value if isinstance(value, str) else "")


def _whole(value: object) -> int:
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


class StepInput(BaseModel):
    """One row of the table."""

    share: Share
    hold: Annotated[int, BeforeValidator(_hold)] = 24 * 60
    waits: bool = False
    note: str | None = None

    @property
    def step(self) -> Step:
        """The row as a step."""
        return Step(self.share, self.hold, self.waits, " ".join((self.note or "").split()))


class RevisionInput(ReasonInput):
    """For what depends on what the page showed."""

    revision: Annotated[int, BeforeValidator(_whole)] = 0


class PlanInput(RevisionInput):
    """For giving a plan, and for changing what is ahead in one."""

    steps: list[StepInput] = Field(default_factory=list)

    @property
    def all(self) -> list[Step]:
        """The steps in the order of the table."""
        return [each.step for each in self.steps]
