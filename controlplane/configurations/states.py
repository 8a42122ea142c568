"""How what is saved stands to what is live in one environment. Pure; documents come in, words and tones go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from controlplane.db import Json
from controlplane.runtime import bucketing


class State(StrEnum):
    """The state of a configuration in an environment; the value stands in addresses as `status=`."""

    LIVE = "live"
    ROLLING = "rolling"
    DIFFERS = "differs"
    NOT_LIVE = "not-live"
    ARCHIVED = "archived"

    @property
    def label(self) -> str:
        """As shown on the screen."""
        return _LABELS[self]

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return _TONES[self]


_LABELS = {
    State.LIVE: "Live",
    State.ROLLING: "Rolling out",
    State.DIFFERS: "Differs",
    State.NOT_LIVE: "Not live",
    State.ARCHIVED: "Archived",
}
_TONES = {
    State.LIVE: "live",
    State.ROLLING: "rolling",
    State.DIFFERS: "differs",
    State.NOT_LIVE: "draft",
    State.ARCHIVED: "archived",
}


@dataclass(frozen=True)
class LiveVariant:
    """One live variant: its version, how many of the 100,000 buckets it owns, and its document."""

    version: int
    buckets: int
    document: Json

    @property
    def percent(self) -> float:
        """Its share in percent, for drawing."""
        return self.buckets * 100 / bucketing.BUCKETS


@dataclass(frozen=True)
class Standing:
    """What is live of a configuration, and how its newest saved version stands to that."""

    state: State
    saved_version: int
    variants: tuple[LiveVariant, ...]
    archived: bool = False

    @property
    def label(self) -> str:
        """The chip's words: "Rolling out 10 %", "Version 3 not live"."""
        if self.state is State.ROLLING:
            return f"Rolling out {share_words(self.variants[-1].buckets)}"
        if self.state is State.DIFFERS:
            return "Archived, still live" if self.archived else f"Version {self.saved_version} not live"
        return self.state.label

    @property
    def waiting(self) -> bool:
        """Whether the newest saved version waits for a rollout to end."""
        return self.state is State.ROLLING and all(
            each.version != self.saved_version for each in self.variants
        )

    @property
    def sentence(self) -> str:
        """What people get, in one sentence."""
        if not self.variants:
            return "Nothing of this is live here."
        if len(self.variants) == 1:
            return f"Version {self.variants[0].version} for everyone."
        first, *rest = self.variants
        newer = ", ".join(f"version {each.version} for {share_words(each.buckets)}" for each in rest)
        return f"{newer[0].upper()}{newer[1:]}, version {first.version} for the rest."


def standing(live: Json | None, *, saved_version: int, archived: bool) -> Standing:
    """Compare an entry (None: there is none) with what is saved."""
    variants = tuple(
        LiveVariant(variant["version"], bucketing.size(variant["ranges"]), variant)
        for variant in (live or {}).get("variants", ())
    )
    return Standing(_state(variants, saved_version, archived=archived), saved_version, variants, archived)


def share_words(buckets: int) -> str:
    """A number of buckets as a share: "12.5 %"."""
    return f"{buckets * 100 / bucketing.BUCKETS:.3f}".rstrip("0").rstrip(".") + " %"


def _state(variants: Sequence[LiveVariant], saved_version: int, *, archived: bool) -> State:
    if not variants:
        return State.ARCHIVED if archived else State.NOT_LIVE
    if len(variants) > 1:
        return State.ROLLING
    return State.DIFFERS if archived or variants[0].version != saved_version else State.LIVE
