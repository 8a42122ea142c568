"""Snippets, their immutable versions, and the private draft of each person."""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, Identity
from controlplane.drafts import Draft


class Snippet(Base):
    """A text that templates of any interaction may include, as shared/<code>."""

    __tablename__ = "snippets"

    code: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(default="")
    archived_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]

    versions: Mapped[list["SnippetVersion"]] = relationship(
        back_populates="snippet", order_by="SnippetVersion.number.desc()", lazy="raise"
    )

    @property
    def name(self) -> str:
        """As templates write it."""
        return f"shared/{self.code}"


class SnippetVersion(Base):
    """What was saved, for ever: a trigger refuses to change or remove it. Line ends are LF."""

    __tablename__ = "snippet_versions"
    __table_args__ = (
        UniqueConstraint("snippet_code", "number"),
        CheckConstraint("number >= 1", name="number_is_positive"),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    snippet_code: Mapped[str] = mapped_column(ForeignKey("snippets.code"))
    number: Mapped[int]
    body: Mapped[str]
    sha256: Mapped[str]
    reason: Mapped[str]
    author_id: Mapped[str]
    author_name: Mapped[str]
    created_at: Mapped[dt.datetime]

    snippet: Mapped[Snippet] = relationship(back_populates="versions", lazy="raise")


class SnippetDraft(Draft, Base):
    """Somebody's unsaved text of a snippet, and why it is being written."""

    __tablename__ = "snippet_drafts"

    snippet_code: Mapped[str] = mapped_column(
        ForeignKey("snippets.code", ondelete="CASCADE"), primary_key=True
    )
    body: Mapped[str]
    reason: Mapped[str]
