"""Sample sets as they are stored."""

import datetime as dt
import json
import uuid
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Dialect,
    ForeignKey,
    Index,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, Identity, Json


class OrderedJson(TypeDecorator[Json]):
    """JSON as text, in the order in which it was written.

    A prompt may go through the fields of an object, and jsonb would give them back in an order of its own: the preview
    would not be the text that an application gets with the same values.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy hands it over
        """To the database; anything beyond ASCII as an escape."""
        return None if value is None else json.dumps(value, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - as above
        """From the database."""
        return None if value is None else json.loads(value)


class Sample(Base):
    """Values for the templates of one interaction, by name.

    At most one of an interaction is the default; while none is stored, the declared examples are (`services.list_samples`).
    """

    __tablename__ = "samples"
    __table_args__ = (
        UniqueConstraint("interaction", "slug"),
        UniqueConstraint("interaction", "name"),
        CheckConstraint("name <> ''", name="name_is_not_empty"),
        Index("ix_samples_default", "interaction", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[Identity] = mapped_column(default=uuid.uuid4)
    interaction: Mapped[str] = mapped_column(ForeignKey("interactions.code"))
    slug: Mapped[str]
    name: Mapped[str]
    values: Mapped[Json] = mapped_column(OrderedJson)
    is_default: Mapped[bool] = mapped_column(default=False)
    must_pass: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str]
    changed_at: Mapped[dt.datetime]
    changed_by: Mapped[str]
    revision: Mapped[int] = mapped_column(default=1)

    @property
    def is_declared(self) -> bool:
        """Whether these are the declared examples, which are stored nowhere else and follow the declaration."""
        return self.created_at is None
