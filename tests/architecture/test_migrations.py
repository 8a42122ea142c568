import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from controlplane.db import Base, make_engine
from controlplane.models import __name__ as models_are_imported
from controlplane.web.cli import migrate
from tests.conftest import Databases

ROOT = Path(__file__).resolve().parents[2]
# What Postgres keeps for itself and what Alembic writes down about where it stands.
NOT_OURS = {"alembic_version"}
# A month of the record is a table too; the models know the whole.
MONTHS = re.compile(r"audit_events_(\d{4}_\d{2}|default)")


def configuration(connection: object = None) -> Config:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["connection"] = connection
    return config


def test_there_is_one_head_and_one_beginning() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1


def test_the_migrated_database_is_what_the_models_say(blank_engine: Engine) -> None:
    assert models_are_imported == "controlplane.models"
    with blank_engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_name": lambda name, *_: not MONTHS.fullmatch(name or "")},
        )
        differences = compare_metadata(context, Base.metadata)
    assert differences == []
    tables = {name for name in inspect(blank_engine).get_table_names() if not MONTHS.fullmatch(name)}
    assert set(Base.metadata.tables) == tables - NOT_OURS


@pytest.fixture
def bare(databases: Databases) -> str:
    return databases.create("from_nothing")


def test_everything_can_be_undone_and_done_again(bare: str) -> None:
    migrate(bare)
    engine = make_engine(bare)
    first = schema_of(engine)
    assert {"audit_events", "releases", "release_entries"} <= set(first["tables"])
    with engine.connect() as connection:
        command.downgrade(configuration(connection), "base")
        connection.commit()
    assert schema_of(engine) == {"tables": [], "functions": [], "triggers": [], "indexes": []}
    engine.dispose()
    migrate(bare)
    migrate(bare)
    engine = make_engine(bare)
    assert schema_of(engine) == first
    engine.dispose()


def test_several_starts_at_once_migrate_once(databases: Databases) -> None:
    url = databases.create("raced_for")
    starts = [
        subprocess.Popen(
            [sys.executable, "-m", "controlplane.web.cli", "migrate"],
            env={**os.environ, "DATABASE_URL": url},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ends = [(start.communicate(timeout=120)[1], start.returncode) for start in starts]
    assert [(said, status) for said, status in ends if status != 0] == []


def schema_of(engine: Engine) -> dict[str, list[str]]:
    """The names of all that a migration makes."""
    queries = {
        "tables": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
        "functions": "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
        "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    }
    with engine.connect() as connection:
        return {what: sorted(connection.scalars(text(query))) for what, query in queries.items()}
