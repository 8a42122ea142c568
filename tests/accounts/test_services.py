from collections.abc import Callable
from contextlib import nullcontext

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from controlplane.accounts import services
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.models import AuditEvent
from controlplane.errors import Forbidden, Refused
from tests.site import PASSWORD, ROOT_ACTOR, add_person

ActorAs = Callable[[Role | str], Actor]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.PUBLISHER])
def test_only_an_administrator_changes_people(session: Session, actor_as: ActorAs, role: Role) -> None:
    person, actor = add_person(session, Role.VIEWER), actor_as(role)
    events = session.scalar(select(func.count()).select_from(AuditEvent))
    writes: list[Callable[[], object]] = [
        lambda: services.add_person(session, email="a@b.c", name="A", role=Role.ADMIN, actor=actor),
        lambda: services.change_role(session, person, role=Role.ADMIN, actor=actor),
        lambda: services.disable(session, person, actor=actor),
        lambda: services.enable(session, person, actor=actor),
        lambda: services.reset_password(session, person, actor=actor),
        lambda: services.ensure_first_administrator(session, email="a@b.c", password="x", actor=actor),
    ]
    for write in writes:
        with pytest.raises(Forbidden):
            write()
    assert session.scalar(select(func.count()).select_from(AuditEvent)) == events


def test_nobody_chooses_a_password_for_somebody_else(session: Session) -> None:
    person = add_person(session, Role.VIEWER)
    before = person.password_hash
    with pytest.raises(Forbidden):
        services.change_own_password(
            session,
            lambda: nullcontext(session),
            person,
            current=PASSWORD,
            new="another long password",
            actor=ROOT_ACTOR,
        )
    assert person.password_hash == before


def test_what_somebody_else_did_meanwhile_is_seen_before_it_is_done_again(session: Session) -> None:
    add_person(session, Role.ADMIN)
    person = add_person(session, Role.VIEWER)
    elsewhere = update(Person).where(Person.id == person.id).values(active=False)
    session.execute(elsewhere, execution_options={"synchronize_session": False})
    assert person.active, "as it was read"
    with pytest.raises(Refused, match="disabled already"):
        services.disable(session, person, actor=ROOT_ACTOR)
