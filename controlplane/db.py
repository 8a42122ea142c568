"""The database: the declarative base, the kinds of column decided once, and the engine.

Nothing here opens a connection on import. Engines are made after a server has forked (`web.unit_of_work`), by the
worker, the command line and the tests, each for itself.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from sqlalchemy import DateTime, Engine, MetaData, Text, create_engine
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

# Names of constraints are part of the schema: a migration must be able to say which one it drops.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# What is raised when the database cannot be asked: it does not answer, or all connections to it are taken.
NoConnectionFree = PoolTimeout
UNAVAILABLE = (OperationalError, InterfaceError, NoConnectionFree)

Json = dict[str, Any]

Moment = Annotated[dt.datetime, mapped_column(DateTime(timezone=True))]
Identity = Annotated[uuid.UUID, mapped_column(UUID(as_uuid=True), primary_key=True)]


class Base(DeclarativeBase):
    """Every table; `type_annotation_map` is where a kind of column is decided, once."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        str: Text,
        dt.datetime: DateTime(timezone=True),
        uuid.UUID: UUID(as_uuid=True),
        Json: JSONB,
        list[Json]: JSONB,
        list[str]: JSONB,
    }


def now() -> dt.datetime:
    """The present moment, aware, in UTC: the only clock the site reads."""
    return dt.datetime.now(dt.UTC)


def make_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine for `url`; `pool_pre_ping` because Postgres may restart under a long-lived process."""
    return create_engine(url, pool_pre_ping=True, pool_size=pool_size, max_overflow=20)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One session, committed at the end and rolled back on any error: for the worker, the command line, first data."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
