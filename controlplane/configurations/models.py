"""Configurations and their immutable versions."""

import datetime as dt
import uuid
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, Identity, Json
from controlplane.drafts import Draft


class Configuration(Base):
    """What one interaction uses for one tier (null: the default) and one tenant (null: all of them)."""

    __tablename__ = "configurations"
    __table_args__ = (
        # NULLs are distinct in a plain unique constraint, which would let two defaults in.
        Index(
            "uq_configurations_place",
            "interaction",
            func.coalesce(text("tier"), ""),
            func.coalesce(text("tenant"), ""),
            unique=True,
        ),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    interaction: Mapped[str] = mapped_column(ForeignKey("interactions.code"))
    tier: Mapped[str | None] = mapped_column(ForeignKey("tiers.code"))
    tenant: Mapped[str | None]
    # Made once and kept: renaming, pausing and restarting a rollout must move nobody.
    salt: Mapped[str]
    algorithm: Mapped[str]  # what buckets are made with; kept as the salt is
    unit: Mapped[str] = mapped_column(default="user")
    archived_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]

    versions: Mapped[list["ConfigurationVersion"]] = relationship(
        back_populates="configuration", order_by="ConfigurationVersion.number.desc()", lazy="raise"
    )


class ConfigurationVersion(Base):
    """What was saved, for ever: a trigger refuses to change or remove it."""

    __tablename__ = "configuration_versions"
    __table_args__ = (
        UniqueConstraint("configuration_id", "number"),
        CheckConstraint("number >= 1", name="number_is_positive"),
        CheckConstraint("temperature BETWEEN 0 AND 2", name="temperature_in_range"),
        CheckConstraint("top_p BETWEEN 0 AND 1", name="top_p_in_range"),
        CheckConstraint("frequency_penalty BETWEEN -2 AND 2", name="frequency_penalty_in_range"),
        CheckConstraint("presence_penalty BETWEEN -2 AND 2", name="presence_penalty_in_range"),
        CheckConstraint("max_tokens > 0", name="max_tokens_is_positive"),
        CheckConstraint("effective_until > effective_from", name="effective_dates_in_order"),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    configuration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("configurations.id"))
    number: Mapped[int]
    model: Mapped[str] = mapped_column(ForeignKey("models.code"), index=True)
    prompt_code: Mapped[str] = mapped_column(ForeignKey("prompts.code"), index=True)
    prompt_version: Mapped[int | None]  # null: follows the live version
    temperature: Mapped[Decimal | None] = mapped_column(Numeric(5, 3))
    max_tokens: Mapped[int | None]
    top_p: Mapped[Decimal | None] = mapped_column(Numeric(5, 3))
    frequency_penalty: Mapped[Decimal | None] = mapped_column(Numeric(5, 3))
    presence_penalty: Mapped[Decimal | None] = mapped_column(Numeric(5, 3))
    fallbacks: Mapped[list[str]]
    effective_from: Mapped[dt.datetime | None]
    effective_until: Mapped[dt.datetime | None]
    active: Mapped[bool] = mapped_column(default=True)
    reason: Mapped[str]
    author_id: Mapped[str]
    author_name: Mapped[str]
    created_at: Mapped[dt.datetime]

    configuration: Mapped[Configuration] = relationship(back_populates="versions", lazy="raise")


class ConfigurationDraft(Draft, Base):
    """Somebody's unsaved form of the configuration at a place, where there may be none yet."""

    __tablename__ = "configuration_drafts"

    place: Mapped[str] = mapped_column(primary_key=True)  # as `Place.path` writes it
    fields: Mapped[Json]  # every field of the form with the list of its values, as typed
