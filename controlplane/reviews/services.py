"""Answering for changes after the fact: the only writers of reviews, their steps and rules; `signing_off` reviews many at once.

Whoever did something never answers for it: the services refuse, a check on the row and a trigger on its steps refuse again.
Each answer is an event of the record; of those nobody has to look at any.
"""

from sqlalchemy import Text, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.keys_in_text import without_keys
from controlplane.audit.models import AuditEvent
from controlplane.audit.plain import one_line
from controlplane.audit.services import record
from controlplane.db import Json, now
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.reviews.models import EventReview, ReviewRules, ReviewStep
from controlplane.reviews.opening import rules_of
from controlplane.reviews.rules import Rules
from controlplane.reviews.states import Level, State

LONGEST_COMMENT = 2_000
NEEDS = "Reviewer, Publisher"
_VERBS = {State.REVIEWED: "reviewed", State.QUERIED: "queried", State.DISPUTED: "disputed"}


def answer(
    session: Session,
    event_id: str,
    *,
    state: State,
    comment: str = "",
    actor: Actor,
    steps: int | None = None,
) -> EventReview:
    """Say of somebody else's change that it is all right, ask about it, or dispute it.

    `steps` is how many steps the page showed: where there are more by now, somebody was faster, and that is a `Conflict`.
    A query, a dispute and the end of a dispute say why. Raises `Forbidden` to whoever did it and to all but reviewers.
    """
    review, event = _held(session, event_id)
    _check_reviewer(review, actor)
    comment = _checked(comment)
    before = State(review.state)
    if (steps is not None and steps != review.steps) or not before.may_become(state):
        raise Conflict(_faster(session, review))
    if not comment and (state is not State.REVIEWED or before is State.DISPUTED):
        raise Refused({"comment": _WHY_NEEDED[before if before is State.DISPUTED else state]})
    review.state, review.reviewer_id, review.reviewer_name = state.value, actor.id, actor.name
    review.reviewed_at = now()
    review.answered_at = None
    _add_step(session, review, _VERBS[state], comment, actor)
    _tell(
        session, event, review, _VERBS[state], _sentence(event, review, before, state), comment, before, actor
    )
    return review


_WHY_NEEDED = {
    State.QUERIED: "Say what you want to know.",
    # Said when a dispute is made, and when one is ended.
    State.DISPUTED: "Say what is wrong with it, or what was done about it.",
}


def reply(session: Session, event_id: str, *, comment: str, actor: Actor) -> EventReview:
    """Say something in the look at a change. From whoever did it, it is the answer to what was asked of them.

    The same words once more from the same person, with nothing between, are a button pressed twice: said once.
    """
    review, event = _held(session, event_id)
    if actor.kind != "person" or not (actor.role.includes(Role.EDITOR) or actor.is_reviewer):
        raise Forbidden("Editor, Reviewer")
    comment = _checked(comment)
    if not comment:
        raise Refused({"comment": "Write something."})
    last = _last_step(session, review)
    if last is not None and (last.person_id, last.comment) == (actor.id, comment):
        return review
    answers = actor.id in review.barred and review.state == State.QUERIED.value
    if answers:
        review.answered_at = now()
    kind = "answered" if answers else "commented"
    _add_step(session, review, kind, comment, actor)
    said = (
        f"answered what {review.reviewer_name} asked about: {event.sentence}"
        if answers
        else f"commented on the change of {event.actor_name}: {event.sentence}"
    )
    _tell(session, event, review, kind, said, comment, State(review.state), actor)
    return review


def set_rules(session: Session, rules: Rules, *, revision: int, actor: Actor) -> ReviewRules:
    """Change what has to be looked at from now on; what was opened before keeps what it was opened with."""
    actor.require(Role.ADMIN)
    row = session.get(ReviewRules, 1, with_for_update=True, populate_existing=True)
    if revision != (row.revision if row else 0):
        raise Conflict(
            "Somebody changed the rules since you opened this page. Nothing of yours was saved: look at what holds now, and send it again if it is still meant."
        )
    before = rules_of(session)
    if before == rules:
        raise Refused({"": "Nothing is different."})
    old, new = before.as_json(), rules.as_json()
    if row is None:
        row = ReviewRules(id=1, content=new, revision=1)
        session.add(row)
    else:
        row.content, row.revision = new, row.revision + 1
    session.flush()
    record(
        session,
        actor=actor,
        action="review.rules_changed",
        object_kind="review rules",
        object_key="rules",
        sentence=f"changed the rules of review: {_rules_told(before, rules)}",
        before=old,
        after=new,
    )
    return row


def _rules_told(before: Rules, after: Rules) -> str:
    told = []
    for code in sorted(before.environments.keys() | after.environments.keys()):
        if before.environments.get(code) != after.environments.get(code):
            rule = after.environments.get(code)
            where = "what is saved for all" if code == "*" else code
            told.append(f"{where}: {rule.words if rule else 'as it is by default'}")
    days = [(f"{level.label} risk", before.days(level), after.days(level)) for level in reversed(Level)]
    told += [f"{name} within {new} instead of {old} days" for name, old, new in days if old != new]
    if before.hours != after.hours:
        told.append(f"working hours {after.hours.begin}:00 to {after.hours.end}:00 {after.hours.zone}")
    if before.newcomer_days != after.newcomer_days:
        told.append(f"new in a role for {after.newcomer_days} days")
    return "; ".join(told)


def reviewers(session: Session, review: EventReview | None = None, *, limit: int = 5) -> str:
    """Names of those who may answer, for "Ask: …"; those who were made reviewers first."""
    enough = [role.value for role in Role if role.includes(Role.PUBLISHER)]
    query = (
        select(Person.name)
        .where(Person.active, Person.may_review | Person.role.in_(enough))
        .order_by(Person.may_review.desc(), Person.name, Person.id)
    )
    if review is not None:
        query = query.where(sql_cast(Person.id, Text).not_in(review.barred))
    names = list(session.scalars(query))
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def _held(session: Session, event_id: str) -> tuple[EventReview, AuditEvent]:
    storable = event_id.replace("\x00", "").upper()
    review = session.get(EventReview, storable, with_for_update=True, populate_existing=True)
    if review is None:
        raise NotFound("review of the change", storable)
    where = (AuditEvent.id == review.event_id, AuditEvent.at == review.at)
    event = session.scalars(select(AuditEvent).where(*where)).one_or_none()
    if event is None:  # its month is archived
        raise NotFound("change", storable)
    return review, event


def _check_reviewer(review: EventReview, actor: Actor) -> None:
    if not actor.is_reviewer:
        raise Forbidden(NEEDS)
    if actor.id in review.barred:
        raise Forbidden(f"{NEEDS}, and somebody else than who made the change or agreed to it")


def _checked(comment: str) -> str:
    comment = one_line(" ".join(comment.split()))
    if len(comment) > LONGEST_COMMENT:
        raise Refused({"comment": f"This has {len(comment)} characters; {LONGEST_COMMENT:,} is the most."})
    return without_keys(comment)


def _faster(session: Session, review: EventReview) -> str:
    last = _last_step(session, review)
    if last is None:
        return "It was answered meanwhile. Nothing was changed."
    words = {"answered": "answered", "commented": "said something about it"}.get(last.kind, "looked at it")
    return f"{last.person_name} has {words} already. Nothing was changed."


def _last_step(session: Session, review: EventReview) -> ReviewStep | None:
    query = select(ReviewStep).where(ReviewStep.event_id == review.event_id).order_by(ReviewStep.id.desc())
    return session.scalars(query.limit(1)).first()


def _add_step(session: Session, review: EventReview, kind: str, comment: str, actor: Actor) -> None:
    review.steps += 1
    session.flush()
    session.add(
        ReviewStep(
            event_id=review.event_id,
            kind=kind,
            person_id=actor.id,
            person_name=actor.name,
            at=now(),
            comment=comment or None,
        )
    )
    session.flush()


def _sentence(event: AuditEvent, review: EventReview, before: State, state: State) -> str:
    what = f"of {event.actor_name}: {event.sentence}"
    if before is State.DISPUTED:
        return f"settled the dispute about the change {what}"
    if review.asked == "emergency":
        verb = {State.REVIEWED: "agreed to", State.QUERIED: "asked about", State.DISPUTED: "disputed"}[state]
        return f"{verb} the emergency {what}"
    verb = {State.REVIEWED: "reviewed", State.QUERIED: "asked about", State.DISPUTED: "disputed"}[state]
    return f"{verb} the change {what}"


def _tell(
    session: Session,
    event: AuditEvent,
    review: EventReview,
    verb: str,
    sentence: str,
    comment: str,
    before: State,
    actor: Actor,
) -> None:
    facts: Json = {"change": event.id, "state": review.state}
    record(
        session,
        actor=actor,
        action=f"review.{verb}",
        object_kind=event.object_kind,
        object_key=event.object_key,
        sentence=sentence,
        environment=event.environment,
        reason=comment or None,
        before={"change": event.id, "state": before.value} if before.value != review.state else None,
        after=facts,
        proposal=event.proposal,
    )
