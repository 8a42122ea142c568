"""People and their signing in: the only writers of `people` and `sign_in_attempts`."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts import passwords, throttle
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Forbidden, NotFound, Refused

Transactions = Callable[[], AbstractContextManager[Session]]

_LONGEST_ADDRESS = 200  # of what was asked for, in the record
WRONG = "The e-mail address or the password is wrong."


class SignInRefused(Refused):
    """Wrong password, unknown or disabled account: one answer for all three."""

    def __init__(self) -> None:
        super().__init__({"": WRONG})


def list_people(session: Session) -> Sequence[Person]:
    """Everybody, those who may sign in first."""
    return session.scalars(
        select(Person).order_by(Person.active.desc(), func.lower(Person.name), Person.id)
    ).all()


def get_person(session: Session, person_id: uuid.UUID) -> Person:
    """One person, or NotFound."""
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound("person", person_id)
    return person


def find_person(session: Session, email: str) -> Person | None:
    """The person with this e-mail address, in whatever case it is written."""
    return session.scalar(select(Person).where(func.lower(Person.email) == email.strip().lower()))


def ensure_first_administrator(session: Session, *, email: str, password: str, actor: Actor) -> Person | None:
    """Make an administrator when there is none who may sign in; the person, or None when nothing was needed."""
    actor.require(Role.ADMIN)
    if _active_administrators(session):
        return None
    existing = find_person(session, email)
    if existing is not None:
        raise Refused({"email": f"{email} exists, but is no administrator who may sign in."})
    return _insert(
        session, email=email, name=email.partition("@")[0], role=Role.ADMIN, password=password, actor=actor
    )


def add_person(session: Session, *, email: str, name: str, role: Role, actor: Actor) -> tuple[Person, str]:
    """A new person and the password to tell them once; it is kept nowhere."""
    actor.require(Role.ADMIN)
    password = passwords.one_time_password()
    return _insert(session, email=email, name=name, role=role, password=password, actor=actor), password


def change_role(session: Session, person: Person, *, role: Role, actor: Actor) -> None:
    """Give another role; the person has to sign in again."""
    actor.require(Role.ADMIN)
    _lock(session, person)
    before = Role(person.role)
    if before == role:
        raise Refused({"role": f"{person.name} is {role.label} already."})
    _keep_an_administrator(session, person, "role")
    person.role, person.session_epoch, person.role_since = role.value, person.session_epoch + 1, now()
    record(
        session,
        actor=actor,
        action="person.role_changed",
        object_kind="person",
        object_key=person.email,
        sentence=f"made {person.name} {role.label} (was {before.label}); they have to sign in again",
        before={"role": before.value},
        after={"role": role.value},
    )


def set_reviewer(session: Session, person: Person, *, may_review: bool, actor: Actor) -> None:
    """Let somebody look at changes after the fact whatever their role, or no longer; it takes effect with their next click."""
    actor.require(Role.ADMIN)
    _lock(session, person)
    if person.may_review == may_review:
        raise Refused({"": f"{person.name} is {'a' if may_review else 'no'} reviewer already."})
    person.may_review = may_review
    record(
        session,
        actor=actor,
        action="person.reviewer_made" if may_review else "person.reviewer_unmade",
        object_kind="person",
        object_key=person.email,
        sentence=(
            f"made {person.name} a reviewer: they may look at others’ changes after the fact"
            if may_review
            else f"took the right to review from {person.name}"
        ),
        before={"may_review": not may_review},
        after={"may_review": may_review},
    )


def disable(session: Session, person: Person, *, actor: Actor) -> None:
    """Nobody signs in as this person any more; open sessions end with their next request."""
    actor.require(Role.ADMIN)
    _lock(session, person)
    if not person.active:
        raise Refused({"": f"{person.name} is disabled already."})
    _keep_an_administrator(session, person, "")
    _set_active(session, person, active=False, actor=actor)


def enable(session: Session, person: Person, *, actor: Actor) -> None:
    """Let a disabled person sign in again, with the password they had."""
    actor.require(Role.ADMIN)
    _lock(session, person)
    if person.active:
        raise Refused({"": f"{person.name} may sign in already."})
    _set_active(session, person, active=True, actor=actor)


def reset_password(session: Session, person: Person, *, actor: Actor) -> str:
    """A new password to tell once, for somebody who lost theirs; open sessions end."""
    actor.require(Role.ADMIN)
    password = passwords.one_time_password()
    _set_password(session, person, password)
    record(
        session,
        actor=actor,
        action="person.password_reset",
        object_kind="person",
        object_key=person.email,
        sentence=f"gave {person.name} a new one-time password; their sessions ended",
    )
    return password


def change_own_password(
    session: Session, transactions: Transactions, person: Person, *, current: str, new: str, actor: Actor
) -> None:
    """Change the password of whoever acts; all their other sessions end.

    Raises Refused, TooManyAttempts or Busy. Tries are counted with those at sign-in, in transactions of their own: a
    session left open on somebody's desk is no place to guess in.
    """
    if actor.id != str(person.id):
        raise Forbidden(Role.ADMIN.label)
    email, address = person.email.lower(), actor.address or ""
    if not _is_right(transactions, person.password_hash, current, email=email, address=address):
        raise Refused({"current": "This is not your present password."})
    if new.lower() in {person.email.lower(), person.name.lower()} or new == current:
        raise Refused({"new": "Choose another one than your name, your address or the present password."})
    throttle.forgive(session, email=email)
    _set_password(session, person, new)
    record(
        session,
        actor=actor,
        action="person.password_changed",
        object_kind="person",
        object_key=person.email,
        sentence="changed their own password; their other sessions ended",
    )


def sign_in(transactions: Transactions, *, email: str, password: str, origin: Actor) -> Person:
    """The person, when the password is right; otherwise SignInRefused, TooManyAttempts or Busy.

    The one service that opens transactions itself: what it counts and tells the audit must survive the refusal, and
    no connection may be held during the 0.2 s that argon2 takes. `origin` carries where the request came from.
    """
    email, address = email.strip().lower(), origin.address or ""
    with transactions() as session:
        known = find_person(session, email)
        stored = known.password_hash if known and known.active else None
    right = _is_right(transactions, stored, password, email=email, address=address)
    with transactions() as session:
        person = find_person(session, email)
        # Asked again: meanwhile they may have been disabled, or given another password.
        if right and person is not None and person.active and person.password_hash == stored:
            _signed_in(session, person, password, origin)
            return person
        _sign_in_refused(session, person, email, origin)
    raise SignInRefused


def sign_out(session: Session, *, actor: Actor, email: str) -> None:
    """Tell the audit; the session itself is ended by the web."""
    record(
        session,
        actor=actor,
        action="person.signed_out",
        object_kind="person",
        object_key=email,
        sentence="signed out",
    )


def tell_refused(
    session: Session, *, actor: Actor, email: str, what: str, needs: str, environment: str | None
) -> None:
    """Tell the audit that somebody who is signed in tried to change what their role does not cover."""
    record(
        session,
        actor=actor,
        action="person.refused",
        object_kind="person",
        object_key=email,
        sentence=f"was refused as {actor.role.label}: {what[:_LONGEST_ADDRESS]} needs the role {needs}",
        environment=environment,
    )


def person_actor(person: Person, origin: Actor) -> Actor:
    """The person as actor, with where the request came from."""
    return Actor(
        kind="person",
        id=str(person.id),
        name=person.name,
        role=Role(person.role),
        via=origin.via,
        request_id=origin.request_id,
        address=origin.address,
        user_agent=origin.user_agent,
        may_review=person.may_review,
    )


def _insert(session: Session, *, email: str, name: str, role: Role, password: str, actor: Actor) -> Person:
    moment = now()
    person = Person(
        id=uuid.uuid4(),
        email=email.strip(),
        name=name.strip(),
        role=role.value,
        password_hash=passwords.hash_password(password),
        created_at=moment,
        role_since=moment,
    )
    try:
        # The savepoint keeps the caller's transaction usable when the address turns out to be taken.
        with session.begin_nested():
            session.add(person)
    except IntegrityError as taken:
        raise Refused({"email": "Somebody has this address already."}) from taken
    record(
        session,
        actor=actor,
        action="person.added",
        object_kind="person",
        object_key=person.email,
        sentence=f"added {person.name} ({person.email}) as {role.label}",
        after={"name": person.name, "email": person.email, "role": role.value},
    )
    return person


def _is_right(
    transactions: Transactions, stored: str | None, password: str, *, email: str, address: str
) -> bool:
    """Whether the password belongs to the hash, counted as a try; one that found no place to be checked is none."""
    with transactions() as session:
        attempt = throttle.take(session, email=email, address=address)
    try:
        return passwords.verify_password(stored, password)
    except passwords.Busy:
        with transactions() as session:
            throttle.give_back(session, attempt)
        raise


def _signed_in(session: Session, person: Person, password: str, origin: Actor) -> None:
    throttle.forgive(session, email=person.email.lower())
    person.last_sign_in_at = now()
    if passwords.is_outdated(person.password_hash):
        person.password_hash = passwords.hash_password(password)
    record(
        session,
        actor=person_actor(person, origin),
        action="person.signed_in",
        object_kind="person",
        object_key=person.email,
        sentence="signed in",
    )


def _sign_in_refused(session: Session, known: Person | None, email: str, origin: Actor) -> None:
    # People now and then type their password where the address belongs: what is no address is not written down.
    name = known.email if known else email if "@" in email else "(not an address)"
    reason = (
        "wrong password" if known and known.active else "account disabled" if known else "no such account"
    )
    record(
        session,
        actor=origin,
        action="person.sign_in_refused",
        object_kind="person",
        object_key=name,
        sentence=f"was refused at sign-in as {name}: {reason}",
    )


def _set_password(session: Session, person: Person, password: str) -> None:
    person.password_hash = passwords.hash_password(password)
    person.session_epoch += 1
    session.flush()


def _set_active(session: Session, person: Person, *, active: bool, actor: Actor) -> None:
    person.active, person.session_epoch = active, person.session_epoch + 1
    effect = (
        "enabled {}: they may sign in again"
        if active
        else "disabled {}: they cannot sign in, their sessions ended"
    )
    record(
        session,
        actor=actor,
        action="person.enabled" if active else "person.disabled",
        object_kind="person",
        object_key=person.email,
        sentence=effect.format(person.name),
        before={"active": not active},
        after={"active": active},
    )


def _lock(session: Session, person: Person) -> None:
    """Hold the row, as it is by now: two who do the same at once must not both find that there is something to do."""
    _active_administrators(session)  # always before the one row, so that nobody waits for anybody in a circle
    session.refresh(person, with_for_update=True)


def _keep_an_administrator(session: Session, person: Person, field: str) -> None:
    """Refuse to take the last administrator away; the lock makes two such requests wait for each other."""
    if [each.id for each in _active_administrators(session)] == [person.id]:
        raise Refused({field: f"{person.name} is the last administrator. Make somebody else one first."})


def _active_administrators(session: Session) -> Sequence[Person]:
    query = (
        select(Person)
        .where(Person.active, Person.role == Role.ADMIN.value)
        .order_by(Person.id)
        .with_for_update()
    )
    return session.scalars(query).all()
