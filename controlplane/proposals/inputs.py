"""What people send about a proposal. The length of a reason depends on the environment: services check it."""

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, Field, model_validator

from controlplane.errors import FieldError

# Offered while typing; every other name of the time zone database is taken as well.
COMMON_ZONES: Final = (
    *(
        "UTC",
        "Europe/London",
        "Europe/Berlin",
        "Europe/Paris",
        "Europe/Madrid",
        "Europe/Warsaw",
        "Europe/Kyiv",
    ),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo"),
    *("Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney"),
)


class SeenInput(BaseModel):
    """What the page showed: the revision of the proposal, and the digest of its content."""

    revision: int = Field(ge=1, le=2**31 - 1)
    seen_sha256: str | None = Field(default=None, max_length=64, pattern="^[0-9a-f]*$")
    # Where the page's own words are asked for; which of the two a form has depends on what it does.
    reason: str | None = Field(default=None, max_length=10_000)
    comment: str | None = Field(default=None, max_length=10_000)


class ScheduleInput(SeenInput):
    """A time on the clocks of a zone."""

    due: str = Field(max_length=40)
    zone: str = Field(default="UTC", max_length=60)

    @model_validator(mode="after")
    def _a_time_that_exists(self) -> "ScheduleInput":
        moment_of(self.due, self.zone)
        return self

    @property
    def due_at(self) -> dt.datetime:
        """The moment that is meant, aware."""
        return moment_of(self.due, self.zone)


def moment_of(due: str, zone: str) -> dt.datetime:
    """Return the moment (in UTC) at which the clocks of a zone show `due`; of two such moments the earlier.

    Raises `FieldError` for what is no date and time, no zone, or an hour that its clocks pass over.
    """
    try:
        local = dt.datetime.fromisoformat(due)
    except ValueError:
        raise FieldError("due", "Enter a date and a time, such as 2026-12-01T09:00.") from None
    if local.tzinfo is not None:
        raise FieldError("due", "Leave the zone out here: it has a field of its own.")
    if zone not in available_timezones():
        raise FieldError("zone", f"There is no time zone {zone}. Enter one such as Europe/Berlin, or UTC.")
    moment = local.replace(tzinfo=ZoneInfo(zone))
    try:
        utc = moment.astimezone(dt.UTC)
        back = utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except OverflowError:
        raise FieldError("due", "This is too far away.") from None
    if back != local:
        raise FieldError("due", f"The clocks of {zone} pass over this hour: choose another one.")
    return utc


class CommentInput(BaseModel):
    """What somebody says. That there is something is checked by the service."""

    body: str | None = Field(default=None, max_length=10_000)
