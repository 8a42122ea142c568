"""What somebody tried: theirs alone, and gone after a day. The record has who, what and how much, and none of the words."""

import datetime as dt
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Json


class Try(Base):
    """One call of a model. The answer is kept so that its page can be read again without paying again."""

    __tablename__ = "tries"
    __table_args__ = (Index("ix_tries_person_id_begun_at", "person_id", "begun_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)  # a ULID: sorts by time
    person_id: Mapped[str]
    begun_at: Mapped[dt.datetime] = mapped_column(index=True)
    ended_at: Mapped[dt.datetime | None]  # null: under way, or broken off with its process
    prompt_code: Mapped[str]
    configuration: Mapped[str]  # its name, as it was
    model: Mapped[str]
    provider: Mapped[str]
    sent: Mapped[Json]  # the form as it was sent, so that it can be gone on from
    text: Mapped[str]
    estimated_tokens: Mapped[int]
    outcome: Mapped[str | None]  # "answered", or the kind of error
    problem: Mapped[str | None]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None]  # the provider's own id of the model
    is_echo: Mapped[bool] = mapped_column(default=False)
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    cost: Mapped[Decimal | None]
    latency_ms: Mapped[int | None]
    finish_reason: Mapped[str | None]
    dropped: Mapped[list[str] | None]  # parameters that the model does not take
