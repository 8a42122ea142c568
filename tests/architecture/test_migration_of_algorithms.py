import pytest
from alembic import command
from sqlalchemy import Engine, text

from controlplane.db import make_engine
from tests.architecture.test_migrations import configuration
from tests.conftest import Databases

INSERTED = """
INSERT INTO interactions (code, category, description, parameters, gate_salt, revision)
VALUES ('OLD', 'test', '', '[]', 'salt', 1);
INSERT INTO configurations (id, interaction, salt, unit, created_at)
VALUES (gen_random_uuid(), 'OLD', 'salt', 'user', now())
"""
KEPT = "SELECT algorithm, gate_algorithm FROM configurations JOIN interactions ON interaction = code"
DEFAULTS = """
SELECT count(*) FROM information_schema.columns
WHERE column_name IN ('algorithm', 'gate_algorithm') AND column_default IS NOT NULL
"""


@pytest.fixture
def before(databases: Databases) -> Engine:
    """A database as it was before there was a second algorithm."""
    engine = make_engine(databases.create("before_algorithms"))
    with engine.connect() as connection:
        command.upgrade(configuration(connection), "0002")
    return engine


def test_rows_from_before_keep_the_first_algorithm_and_nothing_is_assumed_of_new_ones(before: Engine) -> None:
    with before.connect() as connection:
        connection.execute(text(INSERTED))
        connection.commit()
        command.upgrade(configuration(connection), "0003")
        assert connection.execute(text(KEPT)).all() == [("v1", "v1")]
        assert connection.scalar(text(DEFAULTS)) == 0
        connection.commit()
        command.downgrade(configuration(connection), "0002")
        assert connection.scalar(text("SELECT count(*) FROM configurations")) == 1
        connection.commit()
        command.upgrade(configuration(connection), "0003")
        assert connection.execute(text(KEPT)).all() == [("v1", "v1")]
    before.dispose()
