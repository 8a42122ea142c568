"""People, their browser sessions, and what the sign-in throttle counts."""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.accounts.actor import Role
from controlplane.db import Base, Identity, Json


class Person(Base):
    """Somebody who may sign in."""

    __tablename__ = "people"
    __table_args__ = (
        CheckConstraint(
            "role IN ({})".format(", ".join(f"'{role.value}'" for role in Role)), name="role_is_known"
        ),
        # People type their address in any case; two accounts that differ only in case would be a trap.
        Index("uq_people_email_lower", func.lower(text("email")), unique=True),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    # May look at changes after the fact whatever the role: a compliance reviewer need not be able to publish.
    may_review: Mapped[bool] = mapped_column(default=False)
    # Since when they have had the role: what somebody does who is new in it is looked at more closely.
    role_since: Mapped[dt.datetime | None]
    # Raised when the role, the password or `active` changes: sessions of an older epoch are over.
    session_epoch: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[dt.datetime]
    last_sign_in_at: Mapped[dt.datetime | None]


class BrowserSession(Base):
    """One browser's session. The cookie holds a random token; only its SHA-256 is kept here."""

    __tablename__ = "browser_sessions"

    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("people.id", ondelete="CASCADE"), index=True
    )
    data: Mapped[Json]
    created_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime] = mapped_column(index=True)


class SignInAttempt(Base):
    """A try to sign in that was not right (yet), counted per account and per address; the throttle sweeps old rows."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (
        Index("ix_sign_in_attempts_email_at", "email", "at"),
        Index("ix_sign_in_attempts_address_at", "address", "at"),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    email: Mapped[str]
    address: Mapped[str]
    at: Mapped[dt.datetime]
