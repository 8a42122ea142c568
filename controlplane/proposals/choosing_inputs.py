"""What people send to choose what to propose, and to decide where others were faster.

What is decided about single fields has names of its own for each entry: `proposals.decisions` reads them.
"""

from typing import Literal

from pydantic import BaseModel, Field

from controlplane.releases.inputs import ChosenInput, digests_of


class ChoosingInput(ChosenInput):
    """Ticked entries, why, and what is to become of them."""

    step: Literal["draft", "review", "now"] = "review"


class DecidingInput(BaseModel):
    """Which proposal the page showed, and what was live then: each key with a digest, parted by a space."""

    revision: int = Field(ge=1, le=2**31 - 1)
    seen: list[str] = Field(default=[], max_length=100_000)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of what was live, by key."""
        return digests_of(self.seen)
