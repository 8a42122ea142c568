"""What a token may be used for, and what that comes to with the role that its owner has now. Pure."""

import enum
from collections.abc import Iterable
from typing import Final

from controlplane.accounts.actor import Role

LONGEST_LIFE: Final = 365
"""In days. There is none that lives for ever: what nobody renews is not needed any more."""


class Scope(enum.StrEnum):
    """One kind of use. They do not include one another: a pipeline that saves need not be able to publish."""

    READ = "read"
    EDIT = "edit"
    PUBLISH = "publish"
    OPERATE = "operate"

    @property
    def needs(self) -> Role:
        """The role without which a person could not do it either."""
        return _NEEDS[self]

    @property
    def label(self) -> str:
        """As shown on the screen."""
        return self.value.capitalize()

    @property
    def words(self) -> str:
        """What it allows, for the form."""
        return _WORDS[self]


_NEEDS = {
    Scope.READ: Role.VIEWER,
    Scope.EDIT: Role.EDITOR,
    Scope.PUBLISH: Role.PUBLISHER,
    Scope.OPERATE: Role.ON_CALL,
}
_WORDS = {
    Scope.READ: "Sees what is live, releases, changes, and why a call gets what it gets.",
    Scope.EDIT: "Saves versions of templates and configurations, and proposes them. Nothing of that is live.",
    Scope.PUBLISH: "Publishes what is saved; where others have to agree first, it asks them to.",
    Scope.OPERATE: "Rolls back, aborts rollouts and turns kill switches.",
}


def in_order(scopes: Iterable[str]) -> tuple[Scope, ...]:
    """Return these scopes as `Scope`, in the order in which they are listed; what is none is left out."""
    given = set(scopes)
    return tuple(each for each in Scope if each.value in given)


def in_force(scopes: Iterable[str], owner: Role) -> frozenset[Scope]:
    """Return those scopes that the owner's role covers now."""
    return frozenset(each for each in in_order(scopes) if owner.includes(each.needs))


def role_of(scopes: Iterable[str], owner: Role) -> Role:
    """Return the role that a token acts with: what its scopes ask for and its owner has, at most Publisher."""
    return max(
        (each.needs for each in in_force(scopes, owner)), key=lambda role: role.rank, default=Role.VIEWER
    )
