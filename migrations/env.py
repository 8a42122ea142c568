"""Alembic's entry point: runs on the connection handed to it, or on DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text

from controlplane.models import Base

# Two starts at once must not migrate twice; the number is arbitrary and only has to be the same everywhere.
MIGRATION_LOCK = 7_205_114_093


def run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        # A plain ALTER waiting behind a long reader would queue everybody else behind itself.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_alone(connection: Connection) -> None:
    """Run while nobody else does; whoever waited finds nothing left to do."""
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()
    try:
        run_on(connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run_alone(given)
        return
    engine = create_engine(os.environ["DATABASE_URL"])
    with engine.connect() as connection:
        run_alone(connection)
    engine.dispose()


main()
