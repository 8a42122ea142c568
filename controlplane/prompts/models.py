"""Prompts, their immutable versions, and the private draft of each person."""

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, Identity, Json
from controlplane.drafts import Draft


class Prompt(Base):
    """A prompt template of one interaction. The screen calls it "Template"."""

    __tablename__ = "prompts"

    code: Mapped[str] = mapped_column(primary_key=True)
    interaction: Mapped[str] = mapped_column(ForeignKey("interactions.code"), index=True)
    description: Mapped[str] = mapped_column(default="")
    archived_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]

    versions: Mapped[list["PromptVersion"]] = relationship(
        back_populates="prompt", order_by="PromptVersion.number.desc()", lazy="raise"
    )


class PromptVersion(Base):
    """What was saved, for ever: a trigger refuses to change or remove it. Line ends are LF.

    `body` is as somebody wrote it. Where it includes snippets, `expanded` is the text with them put in, and `snippets` says
    which version of each that was; a new version of a snippet makes one of every template that follows it. So a version's
    number means one text, wherever it stands: `text`, which has the digest `sha256`.
    """

    __tablename__ = "prompt_versions"
    __table_args__ = (
        UniqueConstraint("prompt_code", "number"),
        CheckConstraint("number >= 1", name="number_is_positive"),
        CheckConstraint("(expanded IS NULL) = (snippets IS NULL)", name="expanded_with_snippets"),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    prompt_code: Mapped[str] = mapped_column(ForeignKey("prompts.code"))
    number: Mapped[int]
    body: Mapped[str]
    expanded: Mapped[str | None]
    snippets: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    sha256: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str]
    author_id: Mapped[str]
    author_name: Mapped[str]
    created_at: Mapped[dt.datetime]

    prompt: Mapped[Prompt] = relationship(back_populates="versions", lazy="raise")

    @property
    def text(self) -> str:
        """What releases hold of it, and the runtime renders."""
        return self.body if self.expanded is None else self.expanded


class PromptDraft(Draft, Base):
    """Somebody's unsaved text of a prompt."""

    __tablename__ = "prompt_drafts"

    prompt_code: Mapped[str] = mapped_column(ForeignKey("prompts.code", ondelete="CASCADE"), primary_key=True)
    body: Mapped[str]
    parameters: Mapped[Json]  # the values chosen for the preview, as typed


class NewPromptDraft(Draft, Base):
    """Somebody's unsaved first text for an interaction: a prompt that is not there yet."""

    __tablename__ = "new_prompt_drafts"

    interaction: Mapped[str] = mapped_column(
        ForeignKey("interactions.code", ondelete="CASCADE"), primary_key=True
    )
    fields: Mapped[Json]  # name -> values, as the form sent them


class PromptPresence(Base):
    """Somebody has the editor of a prompt open, or had until a moment ago."""

    __tablename__ = "prompt_presences"

    prompt_code: Mapped[str] = mapped_column(ForeignKey("prompts.code", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("people.id", ondelete="CASCADE"), primary_key=True
    )
    since: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime]
