"""What the pages of tokens show, prepared."""

import datetime as dt
from dataclasses import dataclass

from controlplane.accounts.actor import Role
from controlplane.accounts.models import Person
from controlplane.audit.language import Query, Term
from controlplane.tokens import minting
from controlplane.tokens.models import ApiToken
from controlplane.tokens.scopes import Scope, in_force, in_order

# Somebody should make another one before it stops working.
_SOON = dt.timedelta(days=14)


@dataclass(frozen=True)
class TokenView:
    """A token as lists and its page show it."""

    key: str
    public: str
    name: str
    owner: str
    is_mine: bool
    scopes: tuple[str, ...]
    where: str
    created_at: dt.datetime
    expires_at: dt.datetime
    last_used_at: dt.datetime | None
    last_used_from: str | None
    revoked_at: dt.datetime | None
    revoked_by: str | None
    state: tuple[str, str]
    hindrance: str | None

    @property
    def is_live(self) -> bool:
        """Whether it can still be revoked."""
        return self.state[1] not in {"Revoked", "Expired"}


def view_of(token: ApiToken, owner: Person, *, me: str, moment: dt.datetime) -> TokenView:
    """Return a token with how it stands at a moment."""
    role = Role(owner.role)
    return TokenView(
        key=token.key,
        public=f"{minting.PREFIX}_{token.key}",
        name=token.name,
        owner=owner.name,
        is_mine=str(owner.id) == me,
        scopes=tuple(each.label for each in in_order(token.scopes)),
        where=token.environment or "All environments",
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        last_used_from=token.last_used_from,
        revoked_at=token.revoked_at,
        revoked_by=token.revoked_by,
        state=_state(token, owner, moment),
        hindrance=_hindrance(token, owner, role) if token.is_live(moment) else None,
    )


def did(token: ApiToken) -> Query:
    """Return the query for what was done with a token: by its owner, through a token, under its name."""
    return Query((Term(str(token.owner_id), "actor"), Term("token", "via"), Term(f"(token {token.name})")))


def scope_choices(role: Role) -> list[tuple[str, str, bool]]:
    """Return the scopes to choose from; what one's own role does not cover is seen and cannot be chosen."""
    return [(each.value, each.label, not role.includes(each.needs)) for each in Scope]


def scope_hints(role: Role) -> dict[str, str]:
    """Return what each allows, and what is missing for it."""
    return {each.value: each.words + _needs(each, role) for each in Scope}


def _needs(each: Scope, role: Role) -> str:
    return "" if role.includes(each.needs) else f" Needs {each.needs.label}."


def _state(token: ApiToken, owner: Person, moment: dt.datetime) -> tuple[str, str]:
    if token.revoked_at is not None:
        return "archived", "Revoked"
    if moment >= token.expires_at:
        return "archived", "Expired"
    if not owner.active:
        return "paused", "Owner disabled"
    if token.expires_at - moment < _SOON:
        return "draft", "Expires soon"
    return "live", "In use" if token.last_used_at else "Not used yet"


def _hindrance(token: ApiToken, owner: Person, role: Role) -> str | None:
    """Return what keeps a token from what it was made for."""
    if not owner.active:
        return f"{owner.name} can no longer sign in, so calls with it are refused."
    lost = [each.label for each in in_order(token.scopes) if each not in in_force(token.scopes, role)]
    return f"{owner.name} is {role.label} now: {', '.join(lost)} has no effect." if lost else None
