"""Answering for changes after the fact: the only writers of reviews, their steps, sign-offs and rules.

Whoever did something never answers for it: the services refuse, a check on the row and a trigger on its steps refuse again.
Each answer is an event of the record; of those nobody has to look at any.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, insert, select, update
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
from controlplane.reviews.listing import Wanted, conditions_of, count_of
from controlplane.reviews.models import EventReview, ReviewRules, ReviewStep, SignOff
from controlplane.reviews.opening import rules_of
from controlplane.reviews.rules import Rules
from controlplane.reviews.states import Level, State

LONGEST_COMMENT = 2_000
SHORTEST_STATEMENT = 10
MOST_SIGNED_OFF = 5_000
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
    """Say something in the look at a change. From whoever did it, it is the answer to what was asked of them."""
    review, event = _held(session, event_id)
    if actor.kind != "person" or not (actor.role.includes(Role.EDITOR) or actor.is_reviewer):
        raise Forbidden("Editor, Reviewer")
    comment = _checked(comment)
    if not comment:
        raise Refused({"comment": "Write something."})
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


@dataclass(frozen=True)
class Chosen:
    """The exact set that a sign-off is of: ids in order, their digest, and what is in it."""

    ids: tuple[str, ...]
    levels: Counter[Level]
    places: Counter[str]
    people: Counter[str]
    through: str  # the newest change there was when the set was made
    own: int
    emergencies: int

    @property
    def count(self) -> int:
        """How many changes it has."""
        return len(self.ids)

    @property
    def sha256(self) -> str:
        """The digest that names the set: of its ids in order, a line each."""
        return digest_of(self.ids)


def digest_of(ids: Sequence[str]) -> str:
    """The digest of a set of changes."""
    return hashlib.sha256("".join(f"{each}\n" for each in sorted(ids)).encode()).hexdigest()


def choose(
    session: Session,
    wanted: Wanted,
    *,
    actor: Actor,
    at: dt.datetime,
    through: str | None = None,
    lock: bool = False,
) -> Chosen:
    """What a sign-off of this filter would be of, as it was when `through` was the newest change (None: now).

    One's own changes are left out and counted; emergencies as well: each is to be looked at by itself.
    """
    through = (
        through or session.scalar(select(AuditEvent.id).order_by(AuditEvent.sequence.desc()).limit(1)) or ""
    )
    then = EventReview.event_id <= through
    base = conditions_of(wanted, actor=actor, now=at)
    query = (
        select(EventReview.event_id, EventReview.level, EventReview.environment, AuditEvent.actor_name)
        .join(AuditEvent, (AuditEvent.id == EventReview.event_id) & (AuditEvent.at == EventReview.at))
        .where(*base, then, EventReview.asked != "emergency")
        .order_by(EventReview.event_id)
        .limit(MOST_SIGNED_OFF + 1)
    )
    if lock:
        query = query.with_for_update(of=EventReview)
    rows = session.execute(query).all()
    own = conditions_of(wanted, actor=actor, now=at, own=True)
    return Chosen(
        ids=tuple(row.event_id for row in rows),
        levels=Counter(Level(row.level) for row in rows),
        places=Counter(row.environment or "saved for all" for row in rows),
        people=Counter(row.actor_name for row in rows),
        through=through,
        own=count_of(session, [*own, then]),
        emergencies=count_of(session, [*base, then, EventReview.asked == "emergency"]),
    )


def sign_off(
    session: Session,
    wanted: Wanted,
    *,
    statement: str,
    through: str,
    count: int,
    sha256: str,
    at: dt.datetime,
    actor: Actor,
) -> SignOff:
    """Review everything of a filter at once, with a statement that stands for each of it.

    `count` and `sha256` name the set that the page showed; `at` is when it did, so that what is overdue stays the same.
    Another set by now is a `Conflict`, and nothing is signed off.
    """
    if not actor.is_reviewer:
        raise Forbidden(NEEDS)
    statement = one_line(" ".join(statement.split()))
    if not SHORTEST_STATEMENT <= len(statement) <= LONGEST_COMMENT:
        raise Refused(
            {
                "statement": f"Say what you looked at, in {SHORTEST_STATEMENT} to {LONGEST_COMMENT:,} characters."
            }
        )
    statement = without_keys(statement)
    chosen = choose(session, wanted, actor=actor, at=at, through=through, lock=True)
    if (chosen.count, chosen.sha256) != (count, sha256):
        raise Conflict(
            f"Others answered meanwhile: {chosen.count} changes are left of the {count} that you saw. "
            "Nothing was signed off; this is the set as it is now."
        )
    if not chosen.ids:
        raise Refused({"": "There is nothing to sign off."})
    if chosen.count > MOST_SIGNED_OFF:
        raise Refused({"": f"{MOST_SIGNED_OFF:,} at once are the most. Narrow the filter."})
    signed = SignOff(
        at=now(),
        person_id=actor.id,
        person_name=actor.name,
        statement=statement,
        query=wanted.query,
        words=wanted.words,
        count=chosen.count,
        sha256=chosen.sha256,
    )
    session.add(signed)
    session.flush()
    _review_all(session, chosen.ids, signed, actor)
    record(
        session,
        actor=actor,
        action="review.signed_off",
        object_kind="sign-off",
        object_key=str(signed.number),
        sentence=(
            f"signed off {'1 change' if signed.count == 1 else f'{signed.count:,} changes'} at once, as sign-off "
            f"{signed.number} ({signed.words}), the set {signed.sha256[:12]}"
        ),
        environment=wanted.environment if wanted.environment != "*" else None,
        reason=statement,
        after={"count": signed.count, "sha256": signed.sha256, "filter": signed.query, "through": through},
    )
    return signed


def _review_all(session: Session, ids: Sequence[str], signed: SignOff, actor: Actor) -> None:
    session.execute(
        update(EventReview)
        .where(EventReview.event_id.in_(ids))
        .values(
            state=State.REVIEWED.value,
            reviewer_id=actor.id,
            reviewer_name=actor.name,
            reviewed_at=signed.at,
            answered_at=None,
            steps=EventReview.steps + 1,
        )
        .execution_options(synchronize_session=False)
    )
    step = {
        "kind": _VERBS[State.REVIEWED],
        "person_id": actor.id,
        "person_name": actor.name,
        "at": signed.at,
        "comment": signed.statement,
        "sign_off": signed.number,
    }
    session.execute(insert(ReviewStep), [{"event_id": each, **step} for each in ids])
    session.expire_all()


def get_sign_off(session: Session, number: int) -> tuple[SignOff, Sequence[str]]:
    """One sign-off and the ids it is of."""
    found = session.get(SignOff, number)
    if found is None:
        raise NotFound("sign-off", number)
    query = select(ReviewStep.event_id).where(ReviewStep.sign_off == number).order_by(ReviewStep.event_id)
    return found, session.scalars(query).all()


def set_rules(session: Session, rules: Rules, *, revision: int, actor: Actor) -> ReviewRules:
    """Change what has to be looked at from now on; what was opened before keeps what it was opened with."""
    actor.require(Role.ADMIN)
    row = session.get(ReviewRules, 1, with_for_update=True, populate_existing=True)
    if revision != (row.revision if row else 0):
        raise Conflict("Somebody changed the rules since you opened this page. Nothing was changed.")
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
    query = select(ReviewStep).where(ReviewStep.event_id == review.event_id).order_by(ReviewStep.id.desc())
    last = session.scalars(query.limit(1)).first()
    if last is None:
        return "It was answered meanwhile. Nothing was changed."
    words = {"answered": "answered", "commented": "said something about it"}.get(last.kind, "looked at it")
    return f"{last.person_name} has {words} already. Nothing was changed."


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
