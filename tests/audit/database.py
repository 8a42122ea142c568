"""A database of its own for what has to be real: roles that connect with a password, and owners who tamper."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import Session

from controlplane.audit import roles
from controlplane.db import make_engine
from tests.audit.events import told
from tests.conftest import Databases


@dataclass(frozen=True)
class Place:
    """One database, as its owner and as the application's role."""

    owner: Engine
    application: Engine

    def tell(self, count: int = 1, **more: object) -> None:
        with Session(self.application) as session, session.begin():
            for number in range(count):
                told(session, f"change {number + 1}", **more)

    @contextmanager
    def tampered(self, *statements: str) -> Iterator[Session]:
        """What the database would be after an owner did this with every trigger off; undone at the end."""
        with self.owner.connect() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                yield session
            connection.rollback()


@contextmanager
def place(databases: Databases, template: str) -> Iterator[Place]:
    name, url = databases.copy(template)
    role, password = f"app_{secrets.token_hex(4)}", secrets.token_hex(8)
    owner = make_engine(url)
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'"))
        roles.grant(connection, role)
    application = make_engine(
        make_url(url).set(username=role, password=password).render_as_string(hide_password=False)
    )
    yield Place(owner, application)
    application.dispose()
    owner.dispose()
    databases.drop(name)
    databases.run(f"DROP ROLE {role}")
