import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from tests.proposals.stage import person, rule


@pytest.fixture
def ada(first_data: Session) -> Actor:
    """Writes proposals; one other has to agree to them."""
    rule(first_data, approvals=1)
    return person(first_data, Role.EDITOR, "Ada")


@pytest.fixture
def grace(first_data: Session) -> Actor:
    return person(first_data, Role.PUBLISHER, "Grace")


@pytest.fixture
def joan(first_data: Session) -> Actor:
    return person(first_data, Role.PUBLISHER, "Joan")
