from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.db import make_engine
from controlplane.registry.models import Interaction
from tests.architecture.test_migrations import configuration
from tests.conftest import Databases

INSERTED = """
INSERT INTO interactions (code, category, description, parameters, gate_salt, revision)
VALUES ('OLD', 'test', '', '[]', 'salt', 1);
INSERT INTO configurations (id, interaction, salt, unit, created_at)
VALUES (gen_random_uuid(), 'OLD', 'salt', 'user', now())
"""
KEPT = "SELECT algorithm, gate_algorithm FROM configurations JOIN interactions ON interaction = code"


@pytest.fixture
def before(databases: Databases) -> Engine:
    """A database as it was before there was a second algorithm."""
    engine = make_engine(databases.create(f"before_{uuid4().hex}"))
    with engine.connect() as connection:
        command.upgrade(configuration(connection), "0002")
    return engine


def test_rows_from_before_keep_the_first_algorithm(before: Engine) -> None:
    with before.connect() as connection:
        connection.execute(text(INSERTED))
        connection.commit()
        command.upgrade(configuration(connection), "0003")
        assert connection.execute(text(KEPT)).all() == [("v1", "v1")]
        connection.commit()
        command.downgrade(configuration(connection), "0002")
        assert connection.scalar(text("SELECT count(*) FROM configurations")) == 1
        connection.commit()
        command.upgrade(configuration(connection), "0003")
        assert connection.execute(text(KEPT)).all() == [("v1", "v1")]
    before.dispose()


def test_a_site_of_the_version_before_goes_on_while_a_new_one_starts(before: Engine) -> None:
    with before.connect() as connection:
        command.upgrade(configuration(connection), "0003")
        connection.execute(text(INSERTED))
        assert connection.execute(text(KEPT)).all() == [("v1", "v1")]
    before.dispose()


def test_nothing_is_assumed_of_rows_that_this_version_makes(session: Session) -> None:
    session.add(Interaction(code="NEW", category="test", description="", parameters=[], gate_salt="salt"))
    with pytest.raises(IntegrityError, match="gate_algorithm"):
        session.flush()
