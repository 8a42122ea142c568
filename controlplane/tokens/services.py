"""Making tokens, ending them, and knowing who calls with one: the only writers of `api_tokens`.

A token is its owner with less: it acts under the owner's id, so that whatever may not be done twice by one person may not be
done by a person and their token either, and with what its scopes and the owner's role of this moment have in common.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.keys_in_text import problem_of
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import ControlPlaneError, Forbidden, NotFound, Refused
from controlplane.registry.models import Environment
from controlplane.tokens import minting
from controlplane.tokens.counting import count_call, count_unknown, is_first_of_the_hour
from controlplane.tokens.models import ApiToken
from controlplane.tokens.scopes import LONGEST_LIFE, Scope, in_force, in_order, role_of

Transactions = Callable[[], AbstractContextManager[Session]]

OBJECT_KIND: Final = "token"
MOST_IN_USE: Final = 20
_LONGEST_ADDRESS = 200  # of what was asked for, in the record
# `last_used_at` is written at most this often: a write for every call would double the work of reading.
_TOUCH: Final = dt.timedelta(minutes=1)


class NotKnown(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Whoever calls cannot be known by what they sent."""


class OutOfScope(ControlPlaneError):  # noqa: N818 - as above
    """The token is in order and does not cover this; `scope` is what is needed, where that is what is missing."""

    def __init__(self, message: str, scope: Scope | None = None) -> None:
        self.scope = scope
        super().__init__(message)


@dataclass(frozen=True)
class Bearer:
    """Who calls: an actor with the token's own limits."""

    actor: Actor
    name: str
    scopes: tuple[Scope, ...]
    in_force: frozenset[Scope]
    owner_role: Role
    environment: str | None
    expires_at: dt.datetime

    def check(self, scope: Scope, environment: str | None) -> None:
        """Raise `OutOfScope` unless the token covers this; `environment` is the one that the address names."""
        if scope not in self.scopes:
            raise OutOfScope(f"This needs the scope {scope}; the token has {_listed(self.scopes)}.", scope)
        if scope not in self.in_force:
            raise OutOfScope(
                f"The scope {scope} needs the role {scope.needs.label}, and {self.actor.owner_name}, whose token this is, "
                f"is {self.owner_role.label}.",
                scope,
            )
        if environment is not None and not self.covers(environment):
            raise self.elsewhere()

    def covers(self, environment: str) -> bool:
        """Whether the token is for this environment."""
        return self.environment is None or self.environment == environment

    def elsewhere(self) -> OutOfScope:
        """What is said of every other environment, which is not named: the record tells of each reason once an hour, and
        whoever calls could name a thousand that there are not.
        """
        return OutOfScope(f"The token is for {self.environment} alone.")


# Reading


def list_tokens(session: Session, *, owner: uuid.UUID | None = None) -> Sequence[tuple[ApiToken, Person]]:
    """Return tokens with their owners, of one person or of all, those in use first, then the newest first."""
    is_over = ApiToken.revoked_at.is_not(None) | (ApiToken.expires_at <= now())
    query = select(ApiToken, Person).join(Person, Person.id == ApiToken.owner_id)
    if owner is not None:
        query = query.where(ApiToken.owner_id == owner)
    rows = session.execute(query.order_by(is_over, ApiToken.created_at.desc(), ApiToken.key))
    return [(token, person) for token, person in rows]


def get_token(session: Session, key: str, *, actor: Actor) -> ApiToken:
    """Return a token of one's own, or for an administrator anybody's; `NotFound` for others, as if there were none."""
    token = session.get(ApiToken, key) if key.isalnum() else None
    if token is None or (str(token.owner_id) != actor.id and not actor.role.includes(Role.ADMIN)):
        raise NotFound("token", key.replace("\x00", "?"))
    return token


# Writing


def create_token(
    session: Session,
    *,
    name: str,
    scopes: Sequence[Scope],
    environment: str | None,
    days: int,
    actor: Actor,
) -> tuple[ApiToken, str]:
    """Make a token for whoever acts, and return it with the text to tell once; only its digest is kept."""
    owner = _owner(session, actor)
    errors = _problems(session, owner, name=name, scopes=scopes, environment=environment, days=days)
    if errors:
        raise Refused(errors)
    minted, moment = minting.mint(), now()
    token = ApiToken(
        key=minted.key,
        owner_id=owner.id,
        name=name,
        scopes=[each.value for each in in_order(scopes)],
        environment=environment,
        secret_sha256=minting.digest(minted.text),
        created_at=moment,
        expires_at=moment + dt.timedelta(days=days),
    )
    try:
        with session.begin_nested():
            session.add(token)
    except IntegrityError:
        raise Refused(
            {
                "name": f"You have, or had, a token called {name}. The record tells them apart by their names: choose another."
            }
        ) from None
    where = environment or "all environments"
    record(
        session,
        actor=actor,
        action="token.created",
        object_kind=OBJECT_KIND,
        object_key=token.key,
        sentence=f"made {named(token)}: it may {_listed(in_order(scopes))} in {where} until {token.expires_at:%Y-%m-%d}",
        after={
            "name": name,
            "owner": owner.email,
            "scopes": list(token.scopes),
            "environment": environment,
            "expires": token.expires_at.isoformat(timespec="seconds"),
        },
    )
    return token, minted.text


def revoke_token(session: Session, token: ApiToken, *, confirm: str, actor: Actor) -> None:
    """End a token at once, for whoever typed its name: its owner, or an administrator."""
    if str(token.owner_id) != actor.id:
        actor.require(Role.ADMIN)
    if actor.kind == "token":
        raise Forbidden("Viewer, and a person")
    session.refresh(token, with_for_update=True)
    if token.revoked_at is not None:
        raise Refused({"": f"{token.revoked_by} has revoked it already."})
    if confirm.strip() != token.name:
        raise Refused({"confirm": f"Type {token.name}, the token's name."})
    owner = session.get_one(Person, token.owner_id)
    token.revoked_at, token.revoked_by = now(), actor.name
    whose = "" if str(owner.id) == actor.id else f" of {owner.name}"
    record(
        session,
        actor=actor,
        action="token.revoked",
        object_kind=OBJECT_KIND,
        object_key=token.key,
        sentence=f"revoked {named(token)}{whose}: calls with it are refused from now on",
        before={"revoked": False},
        after={"revoked": True},
    )


# Calling


def authenticate(transactions: Transactions, text: str, *, origin: Actor) -> Bearer:
    """Return who calls with this token. Raises `NotKnown`, or `TooManyCalls`.

    It opens a transaction itself: what it counts and tells the record must survive the refusal, and whatever the call
    comes to. `origin` carries where the call came from.
    """
    key = minting.key_in(text)
    if key is None:
        raise NotKnown(
            "This is no token of this control plane: it was cut off, mistyped, or is something else."
        )
    with transactions() as session:
        found = session.execute(
            select(ApiToken, Person).join(Person, Person.id == ApiToken.owner_id).where(ApiToken.key == key)
        ).one_or_none()
        # Whether or not there is one, something is compared.
        known = minting.is_token_of(text, found[0].secret_sha256 if found else "0" * 64)
        if found is None or not known:
            refusal = "This token is not known."
            count_unknown(session, origin.address or "")
            if is_first_of_the_hour(session, f"told of unknown from {origin.address}"):
                _tell_unknown(session, key, origin)
        else:
            token, owner = found
            count_call(session, key)
            bearer = _bearer(token, owner, origin)
            refusal = _why_not(token, owner)
            if not refusal:
                _touch(session, token, bearer.actor)
            elif is_first_of_the_hour(session, f"told of {key}: {refusal}"):
                _tell(session, key, bearer.actor, f"was refused: {refusal[0].lower()}{refusal[1:]}")
    if refusal:
        raise NotKnown(refusal)
    return bearer


def tell_refused(session: Session, bearer: Bearer, *, what: str, why: str, environment: str | None) -> None:
    """Tell the record that a token tried what it does not cover: once an hour for each reason, not for each call."""
    key = bearer.actor.token or ""
    if is_first_of_the_hour(session, f"told of {key}: {why}"):
        sentence = f"was refused {what[:_LONGEST_ADDRESS]}: {why}"
        _tell(session, key, bearer.actor, sentence, environment=environment)


def token_actor(token: ApiToken, owner: Person, origin: Actor) -> Actor:
    """Return a token as actor, with where the call came from: under the owner's id and both names."""
    return Actor(
        kind="token",
        id=str(owner.id),
        name=f"{owner.name} (token {token.name})",
        role=role_of(token.scopes, Role(owner.role)),
        via="token",
        request_id=origin.request_id,
        address=origin.address,
        user_agent=origin.user_agent,
        token=token.key,
        owner_id=str(owner.id),
        owner_name=owner.name,
    )


def named(token: ApiToken) -> str:
    """Return a token as sentences name it."""
    return f"token {token.name} ({minting.PREFIX}_{token.key})"


def _owner(session: Session, actor: Actor) -> Person:
    """Return the person who acts, held: whoever is disabled at this moment makes no token any more."""
    if actor.kind != "person":
        raise Forbidden("Viewer, and a person")
    owner = session.get(Person, uuid.UUID(actor.id), with_for_update=True, populate_existing=True)
    if owner is None or not owner.active:
        raise Forbidden(Role.VIEWER.label)
    return owner


def _problems(
    session: Session, owner: Person, *, name: str, scopes: Sequence[Scope], environment: str | None, days: int
) -> dict[str, str]:
    errors: dict[str, str] = {}
    role = Role(owner.role)
    beyond = [each for each in in_order(scopes) if not role.includes(each.needs)]
    if not scopes:
        errors["scopes"] = "Choose what it may do."
    elif beyond:
        errors["scopes"] = f"You are {role.label}: you cannot give away {_listed(beyond)}."
    if environment is not None:
        row = session.get(Environment, environment) if "\x00" not in environment else None
        if row is None or row.archived_at is not None:
            errors["environment"] = "Choose one of the list."
    if not 1 <= days <= LONGEST_LIFE:
        errors["days"] = f"Choose 1 to {LONGEST_LIFE} days."
    if not name.isprintable():  # nor could it be searched for: in the record such signs are spaces
        errors["name"] = "Use signs that can be seen: the record tells tokens apart by their names."
    elif found := problem_of(name):
        errors["name"] = found
    in_use = (
        select(func.count())
        .select_from(ApiToken)
        .where(ApiToken.owner_id == owner.id, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now())
    )
    if (session.scalar(in_use) or 0) >= MOST_IN_USE:
        errors[""] = (
            f"{MOST_IN_USE} tokens in use are the most that one person may have. Revoke one that is not needed."
        )
    return errors


def _bearer(token: ApiToken, owner: Person, origin: Actor) -> Bearer:
    role = Role(owner.role)
    return Bearer(
        actor=token_actor(token, owner, origin),
        name=token.name,
        scopes=in_order(token.scopes),
        in_force=in_force(token.scopes, role),
        owner_role=role,
        environment=token.environment,
        expires_at=token.expires_at,
    )


def _why_not(token: ApiToken, owner: Person) -> str:
    """Return why a token whose secret is right is refused all the same: whoever has it may know; empty when it is not."""
    if token.revoked_at is not None:
        return f"This token was revoked on {token.revoked_at.astimezone(dt.UTC):%Y-%m-%d}."
    if not token.is_live(now()):
        return f"This token expired on {token.expires_at.astimezone(dt.UTC):%Y-%m-%d}."
    if not owner.active:
        return f"{owner.name}, whose token this is, can no longer sign in."
    return ""


def _touch(session: Session, token: ApiToken, actor: Actor) -> None:
    """Write when and from where it was used, at most once a minute; the first time on a day is told."""
    moment = now()
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    due = max(midnight, moment - _TOUCH)
    if token.last_used_at is not None and token.last_used_at >= due:
        return
    # Two calls at once: the one that comes second finds it written.
    session.refresh(token, with_for_update=True)
    if token.last_used_at is not None and token.last_used_at >= due:
        return
    is_first_today = token.last_used_at is None or token.last_used_at < midnight
    token.last_used_at, token.last_used_from = moment, actor.address
    session.flush()
    if is_first_today:
        where = f", from {actor.address}" if actor.address else ""
        record(
            session,
            actor=actor,
            action="token.used",
            object_kind=OBJECT_KIND,
            object_key=token.key,
            sentence=f"used {named(token)} for the first time on {moment:%Y-%m-%d}{where}",
        )


def _tell(session: Session, key: str, actor: Actor, sentence: str, *, environment: str | None = None) -> None:
    record(
        session,
        actor=actor,
        action="token.refused",
        object_kind=OBJECT_KIND,
        object_key=key,
        sentence=f"{sentence.removesuffix('.')} (token {minting.PREFIX}_{key})",
        environment=environment,
    )


def _tell_unknown(session: Session, key: str, origin: Actor) -> None:
    """The key is written down, the secret is not: it may be a living one with a slip in it."""
    _tell(session, key, origin, "was refused: a token that is not known")


def _listed(scopes: Sequence[Scope]) -> str:
    *first, last = [each.value for each in scopes]
    return f"{', '.join(first)} and {last}" if first else last
