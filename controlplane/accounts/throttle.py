"""How often a sign-in may be tried: counted in Postgres, so that every web process counts together.

A try is written down before the password is looked at and struck out when it was right. So many tries at once cannot
all slip through before the first is counted, and a try that is turned away here does not make the wait longer.
"""

import datetime as dt

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from controlplane.accounts.models import SignInAttempt
from controlplane.db import now
from controlplane.errors import ControlPlaneError

WINDOW = dt.timedelta(minutes=15)
# Per account: what a forgetful person needs. Per address: an office behind one address.
PER_ACCOUNT = 8
PER_ADDRESS = 40


class TooManyAttempts(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """Wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        minutes = -(-retry_after // 60)
        super().__init__(
            f"Too many attempts. Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}."
        )


def take(session: Session, *, email: str, address: str) -> SignInAttempt:
    """Count one more try and return it, or raise TooManyAttempts."""
    # Two tries on one account at the same moment must not both find the last free place.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"sign-in {email}"))))
    moment = now()
    session.execute(delete(SignInAttempt).where(SignInAttempt.at < moment - WINDOW))
    _check(session, SignInAttempt.email == email, PER_ACCOUNT, moment)
    _check(session, SignInAttempt.address == address, PER_ADDRESS, moment)
    attempt = SignInAttempt(email=email, address=address, at=moment)
    session.add(attempt)
    session.flush()
    return attempt


def give_back(session: Session, attempt: SignInAttempt) -> None:
    """The password was never looked at: this one was no try."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.id == attempt.id))


def forgive(session: Session, *, email: str) -> None:
    """The password was right: the tries on this account count no more."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.email == email))


def _check(session: Session, of_whom: ColumnElement[bool], limit: int, moment: dt.datetime) -> None:
    """Refuse while `limit` tries lie within the window; the wait ends when the oldest of them leaves it."""
    oldest = session.scalar(
        select(SignInAttempt.at)
        .where(of_whom, SignInAttempt.at >= moment - WINDOW)
        .order_by(SignInAttempt.at.desc(), SignInAttempt.id)
        .offset(limit - 1)
        .limit(1)
    )
    if oldest is not None:
        raise TooManyAttempts(max(1, int((oldest + WINDOW - moment).total_seconds()) + 1))
