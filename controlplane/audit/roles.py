"""Who may do what to the record in the database: an application adds to it and reads it, and its owner keeps it.

The owner makes tables, moves months to the archive and can do everything else; its password belongs into no program that
serves people. The application's role may add events, but not choose their numbers and hashes, and may alter, remove or
empty none. What the site finds it may do is shown on the record's page, as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.db import Base
from controlplane.errors import Refused

# Filled by the append's trigger: whoever could give them would write a chain of their own.
_NUMBERED = frozenset({"sequence", "previous_hash", "hash"})
# Written by triggers and by the owner; everybody else reads.
READ_ONLY = ("audit_head", "audit_archives")


def grant(connection: Connection, role: str) -> None:
    """Give a role what an application needs, and take from it what it must not have. May be done again at any time."""
    if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
        raise Refused(
            {"role": f"There is no role {role}. Make it first: CREATE ROLE {role} LOGIN PASSWORD '…'"}
        )
    if connection.scalar(text(_IS_OWNER), {"role": role}):
        raise Refused(
            {"role": f"{role} owns the record, or may become its owner: nothing can be kept from it."}
        )
    for statement in _statements(connection.dialect.identifier_preparer.quote(role)):
        connection.execute(text(statement))


def grant_again(connection: Connection) -> list[str]:
    """Give every role that has it already what an application needs: a migration may have made new tables."""
    if not connection.scalar(text(_IS_OWNER), {"role": connection.scalar(text("SELECT current_user"))}):
        return []  # an application that looks whether there is something to migrate, and found nothing
    roles = list(connection.scalars(text(_GRANTED)))
    for role in roles:
        grant(connection, role)
    return roles


def _statements(role: str) -> Iterable[str]:
    tables = sorted(set(Base.metadata.tables) - {AuditEvent.__tablename__, *READ_ONLY})
    columns = [column.name for column in AuditEvent.__table__.columns if column.name not in _NUMBERED]
    quoted = ", ".join(f'"{name}"' for name in columns)
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {role}"
    yield f"GRANT SELECT ON alembic_version TO {role}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    yield f"REVOKE ALL ON {', '.join([AuditEvent.__tablename__, *READ_ONLY])} FROM {role}"
    yield f"GRANT SELECT ON {', '.join([AuditEvent.__tablename__, *READ_ONLY])} TO {role}"
    yield f"GRANT INSERT ({quoted}) ON {AuditEvent.__tablename__} TO {role}"
    yield f"GRANT EXECUTE ON FUNCTION audit_events_add_months() TO {role}"


_IS_OWNER = """
    SELECT rolsuper OR pg_has_role(:role, tableowner, 'MEMBER')
    FROM pg_roles, pg_tables
    WHERE rolname = :role AND schemaname = 'public' AND tablename = 'audit_events'
"""

_GRANTED = """
    SELECT DISTINCT grantee.rolname
    FROM pg_attribute AS attribute, aclexplode(attribute.attacl) AS acl
    JOIN pg_roles AS grantee ON grantee.oid = acl.grantee
    WHERE attribute.attrelid = 'audit_events'::regclass AND acl.privilege_type = 'INSERT'
    ORDER BY 1
"""

_MAY = """
    SELECT current_user AS role,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
           pg_has_role(current_user, tableowner, 'MEMBER') AS owner,
           has_table_privilege('audit_events', 'UPDATE') OR has_any_column_privilege('audit_events', 'UPDATE') AS update,
           has_table_privilege('audit_events', 'DELETE') AS delete,
           has_table_privilege('audit_events', 'TRUNCATE') AS truncate
    FROM pg_tables
    WHERE schemaname = 'public' AND tablename = 'audit_events'
"""


@dataclass(frozen=True)
class Standing:
    """What the role that somebody is connected as could do to the record, triggers apart."""

    role: str
    may: tuple[str, ...]

    @property
    def append_only(self) -> bool:
        """Whether it can only add."""
        return not self.may

    @property
    def words(self) -> str:
        """For the record's page."""
        if self.append_only:
            return f"The site's role in the database, {self.role}, can add to the record and read it, nothing else."
        could = " and ".join(self.may)
        return (
            f"The site connects as {self.role}, which {could}. Triggers still refuse every change, but whoever has its password"
            " could switch them off. Give the site a role of its own: see “A role of its own” in docs/audit.md."
        )


def standing(session: Session) -> Standing:
    """What the connected role could do."""
    found = session.execute(text(_MAY)).one()
    may: list[str] = []
    if found.superuser:
        may.append("may do anything in the database")
    elif found.owner:
        may.append("owns the record")
    else:
        allowed = [word for word in ("update", "delete", "truncate") if getattr(found, word)]
        if allowed:
            may.append(f"has the right to {' and '.join(allowed)}")
    return Standing(role=found.role, may=tuple(may))
