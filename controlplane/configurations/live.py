"""What is live of configurations, read from the releases.

Releases stand above configurations, so importing their models would turn the order round. Their tables are named here
column by column instead; the tests run on the real schema and fail when a name goes.
"""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import column, select, table
from sqlalchemy.orm import Session

from controlplane.db import Json
from controlplane.runtime import canonical

_entries = table(
    "release_entries", *map(column, ("environment", "key", "valid_from", "valid_to", "document"))
)
_releases = table("releases", *map(column, ("environment", "number", "created_at", "author_name")))


@dataclass(frozen=True)
class Since:
    """The release that last touched a live entry."""

    release: int
    at: dt.datetime
    by: str


def live_entries(session: Session, environment: str) -> dict[str, Json]:
    """The live set of an environment; empty before the first release."""
    query = select(_entries.c.key, _entries.c.document).where(
        _entries.c.environment == environment, _entries.c.valid_to.is_(None)
    )
    return {
        key: canonical.loads(document) for key, document in session.execute(query.order_by(_entries.c.key))
    }


def since(session: Session, environment: str, key: str) -> Since | None:
    """Since when an entry is live as it is; None when it is not live."""
    query = (
        select(_releases.c.number, _releases.c.created_at, _releases.c.author_name)
        .join(
            _entries,
            (_entries.c.environment == _releases.c.environment)
            & (_entries.c.valid_from == _releases.c.number),
        )
        .where(_entries.c.environment == environment, _entries.c.key == key, _entries.c.valid_to.is_(None))
    )
    found = session.execute(query).one_or_none()
    return Since(*found) if found else None


def releases_of(session: Session, environment: str, key: str, *, limit: int = 20) -> list[int]:
    """The newest releases that changed an entry, made or took away."""
    query = select(_entries.c.valid_from, _entries.c.valid_to).where(
        _entries.c.environment == environment, _entries.c.key == key
    )
    numbers = {number for row in session.execute(query) for number in row if number is not None}
    return sorted(numbers, reverse=True)[:limit]


def environments_with(session: Session, key: str) -> dict[str, Json]:
    """The live document of an entry in every environment that has one."""
    query = (
        select(_entries.c.environment, _entries.c.document)
        .where(_entries.c.key == key, _entries.c.valid_to.is_(None))
        .order_by(_entries.c.environment)
    )
    return {environment: canonical.loads(document) for environment, document in session.execute(query)}
