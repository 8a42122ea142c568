"""The registry's tables: what is saved. What is live stands in the releases."""

import datetime as dt
from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class Tier(Base):
    """A subscription level; `rank` orders them from the lowest."""

    __tablename__ = "tiers"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    rank: Mapped[int]
    archived_at: Mapped[dt.datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class Model(Base):
    """A language model of a provider, with its limits and prices. Prices are in US dollars per million tokens."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint("context_window > 0", name="context_window_is_positive"),
        CheckConstraint("max_output_tokens > 0", name="max_output_tokens_is_positive"),
        CheckConstraint("input_price_per_million >= 0", name="input_price_is_not_negative"),
        CheckConstraint("output_price_per_million >= 0", name="output_price_is_not_negative"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str]
    provider_model_id: Mapped[str]
    context_window: Mapped[int]
    max_output_tokens: Mapped[int]
    input_price_per_million: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    output_price_per_million: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    capabilities: Mapped[list[str]]
    parameters: Mapped[list[str]]
    active: Mapped[bool] = mapped_column(default=True)
    retires_on: Mapped[
        dt.date | None
    ]  # when its provider takes it away; only for people: no release holds it
    note: Mapped[str | None]
    archived_at: Mapped[dt.datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class Interaction(Base):
    """A named place in the product that calls a model, with the parameters its prompts may use."""

    __tablename__ = "interactions"

    code: Mapped[str] = mapped_column(primary_key=True)
    category: Mapped[str]
    description: Mapped[str]
    parameters: Mapped[
        list[Json]
    ]  # in order: name, type, required, description, example, and untrusted and recorded where they hold
    # Buckets of the gate are counted with this salt and algorithm for ever, so that pausing and resuming moves nobody.
    gate_salt: Mapped[str]
    gate_algorithm: Mapped[str]
    archived_at: Mapped[dt.datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class Environment(Base):
    """A place with its own live set. `next_release` is the row-locked counter: no gaps, no inverted order."""

    __tablename__ = "environments"
    __table_args__ = (
        CheckConstraint("next_release >= 1", name="next_release_is_positive"),
        CheckConstraint("approvals BETWEEN 0 AND 2", name="approvals_in_range"),
        CheckConstraint("publish_role IN ('publisher', 'admin')", name="publish_role_is_known"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    protected: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
    next_release: Mapped[int] = mapped_column(default=1)
    next_proposal: Mapped[int] = mapped_column(default=1)
    # The rules of going live here: how many others have to agree, whether one's own agreement counts, who publishes.
    approvals: Mapped[int] = mapped_column(default=0)
    self_approval: Mapped[bool] = mapped_column(default=False)
    publish_role: Mapped[str] = mapped_column(default="publisher")
    archived_at: Mapped[dt.datetime | None]
    revision: Mapped[int] = mapped_column(default=1)

    @property
    def is_guarded(self) -> bool:
        """Whether going live here has rules that an emergency goes around."""
        return self.protected or self.approvals > 0 or self.publish_role != "publisher"
