"""What `is:` finds in the list of changes of their reviews."""

from sqlalchemy import ColumnElement, select, tuple_

from controlplane.audit import conditions, language
from controlplane.audit.models import AuditEvent
from controlplane.reviews.models import EventReview
from controlplane.reviews.states import Level, State


def _in(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    looks = select(EventReview.event_id, EventReview.at).where(*conditions)
    return tuple_(AuditEvent.id, AuditEvent.at).in_(looks)


_STATES = {
    "unreviewed": (
        "somebody has to look at it, and nobody has",
        _in(EventReview.asked.is_not(None), EventReview.state == State.UNREVIEWED.value),
    ),
    "queried": ("a reviewer asked about it", _in(EventReview.state == State.QUERIED.value)),
    "reviewed": ("somebody else looked at it", _in(EventReview.state == State.REVIEWED.value)),
    "disputed": ("a reviewer says something is wrong", _in(EventReview.state == State.DISPUTED.value)),
    "risky": ("of high risk", _in(EventReview.level == int(Level.HIGH))),
}


def teach() -> None:
    """Add the states to the language and to what it finds."""
    for word, (meaning, condition) in _STATES.items():
        language.STATES[word] = meaning
        conditions.STATES[word] = condition
