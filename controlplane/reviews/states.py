"""What may become of a review, and how its states and levels are called. Pure."""

import enum


class State(enum.StrEnum):
    """How the look at one change stands."""

    UNREVIEWED = "unreviewed"
    QUERIED = "queried"  # somebody asked, and whoever did it has to answer
    REVIEWED = "reviewed"
    DISPUTED = "disputed"

    @property
    def label(self) -> str:
        """As shown on the screen."""
        return self.value.capitalize()

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return {"unreviewed": "scheduled", "queried": "review", "reviewed": "live", "disputed": "failed"}[
            self.value
        ]

    @property
    def is_open(self) -> bool:
        """Whether it still waits for somebody."""
        return self in OPEN

    def may_become(self, other: "State") -> bool:
        """Whether an answer may lead from here to there; what was reviewed stays reviewed."""
        return other in _NEXT[self]


OPEN = (State.UNREVIEWED, State.QUERIED)
# A dispute is settled by somebody who says what was done about it; it stays in the history and in the report.
_NEXT = {
    State.UNREVIEWED: {State.REVIEWED, State.QUERIED, State.DISPUTED},
    State.QUERIED: {State.REVIEWED, State.QUERIED, State.DISPUTED},
    State.DISPUTED: {State.REVIEWED},
    State.REVIEWED: set(),
}


class Level(enum.IntEnum):
    """How much attention a change deserves; a number, so that the queue can be sorted by it."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def label(self) -> str:
        """As shown on the screen and in addresses."""
        return self.name.lower()

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return {1: "archived", 2: "paused", 3: "failed"}[self]
