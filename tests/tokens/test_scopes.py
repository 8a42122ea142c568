"""A token is its owner with less, whatever the two are."""

from itertools import combinations

import pytest

from controlplane.accounts.actor import Role
from controlplane.tokens.scopes import Scope, in_force, in_order, role_of

SETS = [set(each) for size in range(5) for each in combinations(Scope, size)]


@pytest.mark.parametrize("owner", list(Role))
def test_a_token_never_has_more_than_its_owner_or_than_its_scopes(owner: Role) -> None:
    for scopes in SETS:
        role = role_of(scopes, owner)
        assert owner.includes(role)
        assert role is not Role.ADMIN, "no token manages people"
        assert in_force(scopes, owner) == {each for each in scopes if owner.includes(each.needs)}
        assert role is Role.VIEWER or any(each.needs is role for each in scopes)


def test_scopes_have_an_order_and_what_is_none_is_left_out() -> None:
    assert in_order(["publish", "administer", "read"]) == (Scope.READ, Scope.PUBLISH)
