"""What a guard does when it is set off. Pure."""

import enum
from typing import Final


class OnBreach(enum.StrEnum):
    """One of three, each of which includes that somebody is told."""

    WATCH = "watch"
    HOLD = "hold"
    ABORT = "abort"

    @property
    def label(self) -> str:
        """As one chooses it."""
        return _LABELS[self]

    @property
    def hint(self) -> str:
        """What it does, in one sentence."""
        return _HINTS[self]

    @property
    def effect(self) -> str:
        """As the end of a sentence that begins with a breach."""
        return _EFFECTS[self]

    @property
    def done(self) -> str:
        """What it did, as it is kept."""
        return {OnBreach.WATCH: "told", OnBreach.HOLD: "held", OnBreach.ABORT: "aborted"}[self]


_LABELS: Final = {
    OnBreach.WATCH: "Tell only",
    OnBreach.HOLD: "Hold",
    OnBreach.ABORT: "Abort",
}
_HINTS: Final = {
    OnBreach.WATCH: "Nothing is changed; it stands on the overview and in the record.",
    OnBreach.HOLD: "The rollout is paused: nobody moves, and nothing raises it until somebody resumes it.",
    OnBreach.ABORT: "Everyone goes back to the version before, at once, without asking.",
}
_EFFECTS: Final = {
    OnBreach.WATCH: "tell, and change nothing",
    OnBreach.HOLD: "hold it where it is",
    OnBreach.ABORT: "abort it",
}
