"""What the application's role is kept from by the database, and that the site is honest about the role that it has."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from controlplane.audit import roles
from controlplane.audit.verify import verify
from controlplane.errors import Refused
from tests.audit.database import Place, place
from tests.audit.events import told
from tests.conftest import Databases

_FORGED = "'X', now(), 'person', '1', 'Ada', 'admin', 'browser', 'model.changed', 'model', 'GPT_5', 'nothing', false"
_COLUMNS = "id, at, actor_kind, actor_id, actor_name, actor_role, via, action, object_kind, object_key, sentence, emergency"
ATTACKS = {
    "update": "UPDATE audit_events SET sentence = 'nothing happened'",
    "update of a month": "UPDATE {month} SET sentence = 'nothing happened'",
    "delete": "DELETE FROM audit_events",
    "truncate": "TRUNCATE audit_events",
    "truncate of a month": "TRUNCATE {month}",
    "forged insert": f"INSERT INTO audit_events (sequence, hash, previous_hash, {_COLUMNS}) VALUES (1, '', '', {_FORGED})",
    "insert into a month": f"INSERT INTO {{month}} ({_COLUMNS}) VALUES ({_FORGED})",
    "insert long ago": f"INSERT INTO audit_events ({_COLUMNS}) VALUES ({_FORGED.replace('now()', chr(39) + '2020-01-01' + chr(39))})",
    "copy": "COPY audit_events FROM PROGRAM 'true'",
    "disabled trigger": "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "dropped trigger": "DROP TRIGGER audit_events_append ON audit_events",
    "drop": "DROP TABLE audit_events",
    "drop of a month": "DROP TABLE {month}",
    "detached month": "ALTER TABLE audit_events DETACH PARTITION {month}",
    "replica mode": "SET session_replication_role = replica",
    "replaced function": "CREATE OR REPLACE FUNCTION audit_event_hash(event audit_events) RETURNS text LANGUAGE sql AS 'SELECT $$x$$'",
    "function in front": "CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
    "head": "UPDATE audit_head SET sequence = 0, hash = ''",
    "a month of one's own choice": "SELECT audit_events_add_month('2020-01-01')",
}


@pytest.fixture(scope="module")
def here(databases: Databases, blank_template: str) -> Iterator[Place]:
    with place(databases, blank_template) as made:
        made.tell(3)
        yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_application_cannot_tamper_with_the_record(here: Place, attack: str) -> None:
    with here.owner.connect() as connection:
        month = connection.scalar(text("SELECT max(tableoid::regclass::text) FROM audit_events"))
    with here.application.connect() as connection, pytest.raises(DBAPIError) as refused:
        connection.execute(text(ATTACKS[attack].format(month=month)))
    assert re.search("permission denied|must be owner|of now|append-only", str(refused.value)), refused.value
    with Session(here.owner) as session:
        assert verify(session).intact


def test_it_can_add_and_read_and_make_the_months_ahead(here: Place) -> None:
    with Session(here.application) as session, session.begin():
        event = told(session)
        assert event.previous_hash
        assert session.scalar(text("SELECT audit_events_add_months()")) == 0
        assert verify(session).intact
        session.rollback()


def test_the_site_says_what_its_role_could_do(here: Place) -> None:
    with Session(here.application) as session:
        assert roles.standing(session).append_only
        assert "add to the record and read it, nothing else" in roles.standing(session).words
    with Session(here.owner) as session:
        standing = roles.standing(session)
    assert not standing.append_only
    assert "may do anything in the database" in standing.words


def test_a_role_that_holds_a_right_too_many_is_told_of(here: Place) -> None:
    with Session(here.owner) as session:
        role = here.application.url.username
        session.execute(text(f"GRANT DELETE ON audit_events TO {role}"))
        session.execute(text(f"SET LOCAL ROLE {role}"))
        assert roles.standing(session).may == ("has the right to delete",)
        session.execute(text("RESET ROLE"))
        roles.grant(session.connection(), str(role))
        session.execute(text(f"SET LOCAL ROLE {role}"))
        assert roles.standing(session).append_only
        session.rollback()


@pytest.mark.parametrize(
    ("role", "why"), [("nobody_here", "There is no role"), ("controlplane", "owns the record")]
)
def test_a_grant_that_could_keep_nothing_is_refused(here: Place, role: str, why: str) -> None:
    with here.owner.connect() as connection, pytest.raises(Refused, match=why):
        roles.grant(connection, role)


def test_after_a_migration_the_same_roles_have_what_they_need(here: Place) -> None:
    role = here.application.url.username
    with here.owner.connect() as connection:
        connection.execute(text(f"REVOKE SELECT ON people FROM {role}"))
        assert roles.grant_again(connection) == [role]
        assert connection.scalar(
            text("SELECT has_table_privilege(:role, 'people', 'SELECT')"), {"role": role}
        )
        connection.rollback()
    with here.application.connect() as connection:
        assert roles.grant_again(connection) == []
