"""Releases, the entries that changed with each, and how far each has been exported."""

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class Release(Base):
    """A numbered, immutable state of one environment."""

    __tablename__ = "releases"
    __table_args__ = (CheckConstraint("number >= 1", name="number_is_positive"),)

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]  # "saved", "release 3", "rollout", "gate": where the chosen entries came from
    summary: Mapped[str]  # one line in words
    reason: Mapped[str]
    author_id: Mapped[str]
    author_name: Mapped[str]
    created_at: Mapped[dt.datetime]
    snapshot_sha256: Mapped[str]
    snapshot_size: Mapped[int]  # bytes, uncompressed
    entry_count: Mapped[int]
    proposal: Mapped[int | None]  # the proposal that was published; null: it went live without one
    emergency: Mapped[bool] = mapped_column(
        default=False
    )  # without the approvals that the environment asks for


class ReleaseEntry(Base):
    """One key's document from release `valid_from` until before `valid_to` (null: it is live).

    The document is kept as canonical JSON text, not as jsonb: a rollback must restore the bytes, and jsonb keeps
    numbers by value and not by spelling.
    """

    __tablename__ = "release_entries"
    __table_args__ = (
        CheckConstraint("valid_to > valid_from", name="validity_in_order"),
        Index(
            "uq_release_entries_live",
            "environment",
            "key",
            unique=True,
            postgresql_where=text("valid_to IS NULL"),
        ),
        Index("ix_release_entries_validity", "environment", "valid_from", "valid_to"),
    )

    environment: Mapped[str] = mapped_column(ForeignKey("environments.code"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[int] = mapped_column(primary_key=True)
    valid_to: Mapped[int | None]
    document: Mapped[str]
    digest: Mapped[str]


class ExportStep(Base):
    """How far a release has come on its way to the stores; written by the worker, shown on the release's page."""

    __tablename__ = "export_steps"
    __table_args__ = (
        ForeignKeyConstraint(["environment", "number"], ["releases.environment", "releases.number"]),
    )

    environment: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]  # "running", "done", "failed", "superseded"
    started_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(default=1)
    detail: Mapped[Json | None]


class ImportedText(Base):
    """A prompt text that came with a bundle, by its SHA-256; saved versions have theirs in `prompt_versions`."""

    __tablename__ = "imported_texts"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str]
    imported_at: Mapped[dt.datetime]
