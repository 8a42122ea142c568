"""Tokens, of which only a digest is kept, and what is counted about their use."""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base
from controlplane.tokens.scopes import LONGEST_LIFE


class ApiToken(Base):
    """A person's token. Rows stay after revocation: the record speaks of them by their key."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        # For ever, not among those in use: the record names a token by its owner and its name.
        UniqueConstraint("owner_id", "name"),
        CheckConstraint("length(secret_sha256) = 64", name="secret_is_a_digest"),
        # None lives for ever, whoever writes the row.
        CheckConstraint(
            f"expires_at > created_at AND expires_at <= created_at + interval '{LONGEST_LIFE} days'",
            name="life_is_limited",
        ),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="revoked_by_somebody"),
        Index("ix_api_tokens_created_at", "created_at"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str]
    scopes: Mapped[list[str]]
    environment: Mapped[str | None] = mapped_column(ForeignKey("environments.code"))  # null: all of them
    secret_sha256: Mapped[str]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    # Written at most once a minute.
    last_used_at: Mapped[dt.datetime | None]
    last_used_from: Mapped[str | None]
    revoked_at: Mapped[dt.datetime | None]
    revoked_by: Mapped[str | None]

    def covers(self, environment: str) -> bool:
        """Whether it is for this environment."""
        return self.environment is None or self.environment == environment

    def is_live(self, moment: dt.datetime) -> bool:
        """Whether it is neither revoked nor expired; what its owner may do is another question."""
        return self.revoked_at is None and moment < self.expires_at


class TokenCount(Base):
    """How often something happened in a stretch of time: calls of a token, tokens that nobody knows from an address.

    Unlogged, since each call counts one up: nothing is waited for at commit, and after a crash of Postgres counting begins anew.
    """

    __tablename__ = "token_counts"
    __table_args__ = (
        Index("ix_token_counts_since", "since"),
        {"prefixes": ["UNLOGGED"]},
    )

    what: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[dt.datetime] = mapped_column(primary_key=True)
    count: Mapped[int]
