"""The states of a proposal and which may follow which: pure, and the only place that says so."""

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.StrEnum):
    """How a proposal stands."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    CONFLICTED = "conflicted"
    REJECTED = "rejected"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> str:
        """As on its chip."""
        return self.value.replace("_", " ").capitalize()

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return not FOLLOWING[self]

    def may_become(self, other: "State") -> bool:
        """Whether `other` may follow."""
        return other in FOLLOWING[self]


# An edit leads to "draft" where it was nobody's turn yet, else to "in review": whoever agreed has to look again. Going live
# from "draft" or "in review" is for environments that ask for nobody's agreement, or no longer for so much of it.
FOLLOWING: Final[Mapping[State, frozenset[State]]] = {
    state: frozenset(map(State, following.split()))
    for state, following in {
        State.DRAFT: "draft in_review approved scheduled conflicted published withdrawn",
        State.IN_REVIEW: "in_review approved scheduled conflicted rejected published withdrawn",
        State.APPROVED: "in_review scheduled conflicted rejected published withdrawn",
        State.SCHEDULED: "in_review approved scheduled conflicted rejected published withdrawn",
        State.CONFLICTED: "in_review approved conflicted withdrawn",
        State.REJECTED: "draft in_review approved conflicted withdrawn",
        State.PUBLISHED: "",
        State.WITHDRAWN: "",
    }.items()
}

OPEN: Final = frozenset(state for state in State if not state.is_over)
# From here it goes live, once as many agree as the environment asks for.
PUBLISHABLE: Final = frozenset(state for state in State if state.may_become(State.PUBLISHED))
