"""How what is saved stands to what is live in one environment. Pure; documents come in, words and tones go out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from controlplane.configurations.wording import moment_words
from controlplane.db import Json
from controlplane.runtime import bucketing
from controlplane.runtime.entries import Variant

_OFF: Final = "switched off"


class State(StrEnum):
    """The state of a configuration in an environment; the value stands in addresses as `status=`."""

    LIVE = "live"
    IDLE = "idle"
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
    State.IDLE: "Live for nobody",
    State.ROLLING: "Rolling out",
    State.DIFFERS: "Differs",
    State.NOT_LIVE: "Not live",
    State.ARCHIVED: "Archived",
}
_TONES = {
    State.LIVE: "live",
    State.IDLE: "paused",
    State.ROLLING: "rolling",
    State.DIFFERS: "differs",
    State.NOT_LIVE: "draft",
    State.ARCHIVED: "archived",
}


@dataclass(frozen=True)
class LiveVariant:
    """One live variant: its version, how many of the 100,000 buckets it owns, and its document.

    `idle` says why calls pass over it now: "switched off", "counts from …", "ended on …"; None when it counts.
    """

    version: int
    buckets: int
    document: Json
    idle: str | None = None

    @property
    def percent(self) -> float:
        """Its share in percent, for drawing."""
        return self.buckets * 100 / bucketing.BUCKETS

    @property
    def tone(self) -> str:
        """The tone of a chip that says where it is live."""
        return (State.IDLE if self.idle else State.LIVE).tone

    @property
    def share(self) -> str:
        """Its share, and why nobody gets it now: "10 %", "100 %, switched off"."""
        return _with(share_words(self.buckets), self.idle)


@dataclass(frozen=True)
class Standing:
    """What is live of a configuration, and how its newest saved version stands to that."""

    state: State
    saved_version: int
    variants: tuple[LiveVariant, ...]
    archived: bool = False

    @property
    def label(self) -> str:
        """The chip's words: "Rolling out 10 %", "Version 3 not live", "Live, switched off"."""
        if self.state is State.ROLLING:
            several = len(self.variants) > 2
            return (
                f"Rolling out {len(self.variants) - 1} versions"
                if several
                else f"Rolling out {self.variants[-1].share}"
            )
        if self.state is State.IDLE:
            if self.rolling:
                return "Rolling out, for nobody"
            return _with("Archived, still live" if self.archived else "Live", self.variants[0].idle)
        if self.state is State.DIFFERS:
            return "Archived, still live" if self.archived else f"Version {self.saved_version} not live"
        return self.state.label

    @property
    def rolling(self) -> bool:
        """Whether a rollout is under way, whether or not any of its variants counts now."""
        return len(self.variants) > 1

    @property
    def counting(self) -> bool:
        """Whether anybody gets this now."""
        return any(each.idle is None for each in self.variants)

    @property
    def heading(self) -> str:
        """What its values are, over the table of them."""
        if self.counting:
            return "What people get"
        return "What is live, for nobody now" if self.variants else "What is saved"

    @property
    def others(self) -> str | None:
        """Whose calls go to another configuration meanwhile; None when they all end here."""
        if not self.counting:
            return "Calls"
        return "The other calls" if self.variants[0].idle else None

    @property
    def waiting(self) -> bool:
        """Whether the newest saved version waits for a rollout to end."""
        return self.rolling and all(each.version != self.saved_version for each in self.variants)

    @property
    def sentence(self) -> str:
        """What people get, in one sentence."""
        if not self.variants:
            return "Nothing of this is live here."
        idle = ", ".join(_why(each) for each in self.variants if each.idle)
        if not self.counting:
            return f"Nobody gets it: {idle}."
        first, *rest = self.variants
        parts = [f"version {each.version} for {share_words(each.buckets)}" for each in rest if not each.idle]
        # As the runtime does it: the baseline stands in for a variant that does not count, nothing for the baseline.
        taken = "nothing of this" if first.idle else f"version {first.version}"
        parts.append(f"{taken} for {'the rest' if parts else 'everyone'}")
        words = ", ".join(parts) + (f": {idle}" if idle else "")
        return f"{words[0].upper()}{words[1:]}."


def standing(live: Json | None, *, saved_version: int, archived: bool, now: dt.datetime) -> Standing:
    """Compare an entry (None: there is none) with what is saved, as it counts at this moment (aware)."""
    variants = tuple(
        LiveVariant(variant["version"], bucketing.size(variant["ranges"]), variant, _idle(variant, now))
        for variant in (live or {}).get("variants", ())
    )
    return Standing(_state(variants, saved_version, archived=archived), saved_version, variants, archived)


def share_words(buckets: int) -> str:
    """A number of buckets as a share: "12.5 %"."""
    return f"{buckets * 100 / bucketing.BUCKETS:.3f}".rstrip("0").rstrip(".") + " %"


def _state(variants: Sequence[LiveVariant], saved_version: int, *, archived: bool) -> State:
    if not variants:
        return State.ARCHIVED if archived else State.NOT_LIVE
    if all(each.idle for each in variants):
        # Before all else: what nobody gets must not look like an answer, whatever is saved beside it.
        return State.IDLE
    if len(variants) > 1:
        return State.ROLLING
    return State.DIFFERS if archived or variants[0].version != saved_version else State.LIVE


def _idle(document: Json, now: dt.datetime) -> str | None:
    variant = msgspec.convert(document, Variant)
    if variant.counts(now):
        return None
    if not variant.active:
        return _OFF
    if variant.effective_from is not None and now < variant.effective_from:
        return f"counts from {moment_words(document['effective_from'])}"
    return f"ended on {moment_words(document['effective_until'])}"


def _why(variant: LiveVariant) -> str:
    return f"version {variant.version} {'is ' if variant.idle == _OFF else ''}{variant.idle}"


def _with(words: str, idle: str | None) -> str:
    return f"{words}, {idle}" if idle else words
