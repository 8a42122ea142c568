"""What may be asked: whose call, of what, when. Checked once for the page and for the command line. Pure."""

import datetime as dt
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, Field, model_validator

from controlplane.errors import FieldError
from controlplane.runtime import canonical
from controlplane.runtime.resolver import Request

_LONGEST_ID: Final = 256
MOST_UNITS: Final = 2
"""Beside each other on one page."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question; `at` is None for now. `values` are those of the template, None when it is not to be rendered."""

    request: Request
    at: dt.datetime | None = None
    values: dict[str, Any] | None = field(default=None)

    def of(self, unit: str | None) -> "Asked":
        """The same question about another unit."""
        known = self.request
        return replace(
            self,
            request=Request(known.interaction, known.tier, known.tenant_id, unit, known.conversation_id),
        )


class ExplainInput(BaseModel):
    """The form, or the address that somebody was sent."""

    interaction: str = Field(min_length=1, max_length=64)
    tier: str | None = Field(default=None, max_length=64)
    tenant: str | None = Field(default=None, max_length=_LONGEST_ID)
    unit: str | None = Field(default=None, max_length=_LONGEST_ID)
    other: str | None = Field(default=None, max_length=_LONGEST_ID)
    conversation: str | None = Field(default=None, max_length=_LONGEST_ID)
    at: dt.datetime | None = None
    values: str | None = Field(default=None, max_length=16_384)

    @model_validator(mode="after")
    def _check(self) -> "ExplainInput":
        self.asked()
        return self

    def asked(self) -> Asked:
        """The question about the first unit."""
        request = Request(self.interaction, self.tier, self.tenant, self.unit, self.conversation)
        return Asked(request=request, at=aware(self.at), values=values_of(self.values))

    def questions(self) -> list[Asked]:
        """One question for each unit that is named, at least one."""
        first = self.asked()
        return [first] if self.other is None else [first, first.of(self.other)]


def aware(at: dt.datetime | None) -> dt.datetime | None:
    """Return a moment in UTC; one without a zone was typed as UTC, as the field says. `FieldError` beyond the calendar."""
    if at is None or at.tzinfo is None:
        return None if at is None else at.replace(tzinfo=dt.UTC)
    try:
        return at.astimezone(dt.UTC)
    except OverflowError:
        raise FieldError("at", "This date is out of reach.") from None


def values_of(text: str | None) -> dict[str, Any] | None:
    """Read a template's values from JSON; raises `FieldError` with what is wrong."""
    if text is None or not text.strip():
        return None
    try:
        found = canonical.loads(text)
    except json.JSONDecodeError as problem:
        raise FieldError(
            "values", f"This is not JSON: line {problem.lineno}, column {problem.colno}: {problem.msg}."
        ) from None
    except (ValueError, RecursionError) as problem:
        raise FieldError("values", f"This JSON cannot be used: {problem}.") from None
    if not isinstance(found, dict):
        raise FieldError("values", 'Enter an object, in { }: {"goal": "Grow"}.')
    return found
