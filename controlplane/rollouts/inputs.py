"""What people may send: a share as typed, a reason, and the release their page was made from."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, model_validator

from controlplane.errors import FieldError
from controlplane.rollouts.ranges import Candidate, parse_share
from controlplane.runtime.bucketing import BUCKETS


def _share(value: object) -> int:
    return parse_share(value if isinstance(value, str) else "")


def _release(value: object) -> int:
    # A page always sends it. One that does not is treated as older than everything: shown again, nothing done.
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _version(value: object) -> int:
    text = (value if isinstance(value, str) else "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("Choose a version.")
    return int(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


Share = Annotated[int, BeforeValidator(_share)]
Version = Annotated[int, BeforeValidator(_version)]
Base = Annotated[int, BeforeValidator(_release)]
Reason = Annotated[str, BeforeValidator(_text)]


class ReasonInput(BaseModel):
    """For abort, pause, resume and finish."""

    reason: Reason = ""
    base: Base = 0


class OtherShare(BaseModel):
    """Another candidate of the same configuration, moved along."""

    version: Version
    share: Share


class ShareInput(ReasonInput):
    """For moving a share, and those of other candidates beside it."""

    share: Share
    others: list[OtherShare] = []

    @property
    def other_shares(self) -> dict[int, int]:
        """The other candidates' shares by version."""
        return {each.version: each.share for each in self.others}


class AlsoInput(BaseModel):
    """A further version to start with."""

    to_version: Version
    share: Share


class StartInput(ReasonInput):
    """For starting a rollout of one version or several."""

    to_version: Version
    share: Share
    also: list[AlsoInput] = []
    unit: str | None = None
    plan: str | None = None

    @model_validator(mode="after")
    def _fit_for_a_plan(self) -> Self:
        if self.plan and self.also:
            raise FieldError("plan", "A plan is for one version: give each its own on its page.")
        if self.plan and self.share == BUCKETS:
            raise FieldError("plan", "It begins at 100 %: there is nothing to plan.")
        return self

    @property
    def candidates(self) -> list[Candidate]:
        """All of them, in the order of the form."""
        also = [Candidate(each.to_version, each.share) for each in self.also]
        return [Candidate(self.to_version, self.share), *also]
