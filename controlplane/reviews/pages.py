"""What the pages of reviews show, prepared: templates only put it in place."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.audit.pages import Line, line_of
from controlplane.reviews.listing import Row, review_of, thread
from controlplane.reviews.models import EventReview, ReviewStep
from controlplane.reviews.services import reviewers
from controlplane.reviews.states import Level, State

_WHY = {
    "emergency": "It was an emergency: somebody else has to look at it.",
    "rule": "The rule of its environment asks for a review.",
    "sample": "It is one of those that are sampled.",
    None: "Nobody has to review it; anybody who may can.",
}
_VERBS = {
    "reviewed": "reviewed it",
    "queried": "asked",
    "disputed": "disputed it",
    "answered": "answered",
    "commented": "said",
}


@dataclass(frozen=True)
class Said:
    """One step in words."""

    who: str
    verb: str
    at: dt.datetime
    comment: str | None
    sign_off: int | None


@dataclass(frozen=True)
class Look:
    """The look at one change, for its page and for its row in the queue."""

    review: EventReview
    said: Sequence[Said]
    own: bool  # this person made the change, or had a part in it
    may_answer: bool
    may_reply: bool
    ask: str  # who may answer, where this person may not
    now: dt.datetime

    @property
    def state(self) -> State:
        """How it stands."""
        return State(self.review.state)

    @property
    def level(self) -> Level:
        """How risky it is."""
        return Level(self.review.level)

    @property
    def is_over(self) -> bool:
        """Whether nothing but talk may follow."""
        return self.state is State.REVIEWED

    @property
    def why(self) -> str:
        """Why somebody has to look, in words."""
        return _WHY[self.review.asked]

    @property
    def by(self) -> str:
        """How it stands, with who: "Queried by Grace"."""
        if self.state is State.UNREVIEWED:
            return "Nobody has looked at it since"
        return f"{self.state.label} by {self.review.reviewer_name}"

    @property
    def outcome(self) -> str:
        """What a query has come to, for the end of a sentence."""
        if self.state is not State.QUERIED:
            return ""
        return ", and answered" if self.review.answered_at else ", and not answered yet"

    @property
    def words(self) -> str:
        """Both in one: "Queried by Grace, and not answered yet"."""
        return self.by + self.outcome

    @property
    def reasons(self) -> str:
        """What makes it risky: "production · 100 % of premium users · at 03:12"."""
        return reasons_words(self.review)

    @property
    def due(self) -> str | None:
        """By when it has to be looked at: "due in 3 d", "overdue by 2 d"; None where it need not, or was."""
        if self.review.due_at is None or not self.state.is_open:
            return None
        return due_words(self.review.due_at, self.now)

    @property
    def is_overdue(self) -> bool:
        """Whether it waits for longer than it should."""
        return self.due is not None and self.review.due_at is not None and self.review.due_at < self.now


@dataclass(frozen=True)
class QueueRow:
    """One row of the queue."""

    line: Line
    look: Look


def look_at(session: Session, event: AuditEvent, *, actor: Actor, now: dt.datetime) -> Look | None:
    """The look at a change for its page; None for one of a kind that is never looked at."""
    review = review_of(session, event.id)
    if review is None:
        return None
    found = look_of(review, thread(session, event.id), actor=actor, now=now)
    if found.may_answer or found.is_over:
        return found
    return look_of(review, thread(session, event.id), actor=actor, now=now, ask=reviewers(session, review))


def look_of(
    review: EventReview, steps: Sequence[ReviewStep], *, actor: Actor, now: dt.datetime, ask: str = ""
) -> Look:
    """A look, of what was loaded for it."""
    own = actor.id in review.barred
    return Look(
        review=review,
        said=[
            Said(each.person_name, _VERBS[each.kind], each.at, each.comment, each.sign_off) for each in steps
        ],
        own=own,
        may_answer=actor.is_reviewer and not own and State(review.state) is not State.REVIEWED,
        may_reply=actor.is_reviewer or actor.role.includes(Role.EDITOR),
        ask=ask,
        now=now,
    )


def rows_of(
    rows: Sequence[Row], steps: dict[str, list[ReviewStep]], *, actor: Actor, now: dt.datetime
) -> list[QueueRow]:
    """The rows of the queue."""
    return [
        QueueRow(
            line_of(each.event), look_of(each.review, steps.get(each.event.id, ()), actor=actor, now=now)
        )
        for each in rows
    ]


def reasons_words(review: EventReview) -> str:
    """The reasons of a risk in one line."""
    return " · ".join(each["words"] for each in review.reasons)


def due_words(due: dt.datetime, now: dt.datetime) -> str:
    """A deadline as people say it."""
    seconds = (due - now).total_seconds()
    distance = abs(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if distance >= size or unit == "min":
            words = f"{max(1, int(distance // size))} {unit}"
            break
    return f"due in {words}" if seconds > 0 else f"overdue by {words}"
