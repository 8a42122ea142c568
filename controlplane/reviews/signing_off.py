"""Reviewing everything of a filter at once: the exact set, the statement over it, and what was signed off. The only writer of sign-offs.

The set is named by its count and digest: what is signed is what the page showed, or nothing.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.keys_in_text import without_keys
from controlplane.audit.models import AuditEvent
from controlplane.audit.plain import one_line
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.reviews.listing import Wanted, conditions_of, count_of, of_its_event
from controlplane.reviews.models import EventReview, ReviewStep, SignOff
from controlplane.reviews.services import LONGEST_COMMENT, NEEDS
from controlplane.reviews.states import Level, State

SHORTEST_STATEMENT = 10
MOST_SIGNED_OFF = 5_000


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
        .join(AuditEvent, of_its_event())
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
    statement = _checked(statement)
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


def _checked(statement: str) -> str:
    statement = one_line(" ".join(statement.split()))
    if not SHORTEST_STATEMENT <= len(statement) <= LONGEST_COMMENT:
        raise Refused(
            {
                "statement": f"Say what you looked at, in {SHORTEST_STATEMENT} to {LONGEST_COMMENT:,} characters."
            }
        )
    return without_keys(statement)


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
        "kind": "reviewed",
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
