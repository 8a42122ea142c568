"""Counting in Postgres, so that every web process counts together: calls of a token, and what is told once an hour."""

import datetime as dt
from typing import Final

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.errors import ControlPlaneError
from controlplane.tokens.models import TokenCount

MINUTE: Final = dt.timedelta(minutes=1)
HOUR: Final = dt.timedelta(hours=1)
# A pipeline makes some tens of calls, something that looks every second 60. Whoever guesses gets as far with 20 as with a million.
CALLS_A_MINUTE: Final = 300
UNKNOWN_A_MINUTE: Final = 20


class TooManyCalls(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Wait `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(message)


def count_call(session: Session, key: str) -> None:
    """Count a call of a token. Raises `TooManyCalls`."""
    if _count(session, f"calls of {key}", MINUTE) > CALLS_A_MINUTE:
        raise TooManyCalls(f"A token may make {CALLS_A_MINUTE} calls a minute.", _rest_of(MINUTE))


def count_unknown(session: Session, address: str) -> None:
    """Count a token that nobody knows, by where it came from. Raises `TooManyCalls`."""
    if _count(session, f"unknown from {address}", MINUTE) > UNKNOWN_A_MINUTE:
        raise TooManyCalls("Too many calls from here with tokens that are not known.", _rest_of(MINUTE))


def is_first_of_the_hour(session: Session, what: str) -> bool:
    """Count something, and say whether it is the first within this hour: what is told then and not again."""
    return _count(session, what, HOUR) == 1


def _count(session: Session, what: str, window: dt.timedelta) -> int:
    moment = now()
    since = dt.datetime.fromtimestamp(
        moment.timestamp() // window.total_seconds() * window.total_seconds(), dt.UTC
    )
    one = insert(TokenCount).values(what=what, since=since, count=1)
    further = one.on_conflict_do_update(
        index_elements=["what", "since"], set_={"count": TokenCount.count + 1}
    )
    counted: int = session.scalars(further.returning(TokenCount.count)).one()
    if counted == 1:  # a new stretch begins: a good moment to forget those that are over
        over = select(TokenCount.what, TokenCount.since).where(TokenCount.since < moment - 2 * HOUR)
        over = over.with_for_update(skip_locked=True)  # others forget at the same moment
        session.execute(delete(TokenCount).where(tuple_(TokenCount.what, TokenCount.since).in_(over)))
    return counted


def _rest_of(window: dt.timedelta) -> int:
    length = window.total_seconds()
    return max(1, int(length - now().timestamp() % length))
