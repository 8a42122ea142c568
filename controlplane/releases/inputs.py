"""What people send to publish or to roll back. The length of the reason depends on the environment: services check it."""

from pydantic import BaseModel, Field, field_validator


class ChosenInput(BaseModel):
    """Ticked entries, the reason, and what the page showed when they were ticked."""

    entries: list[str] = Field(default=[], max_length=100_000)
    seen: list[str] = Field(default=[], max_length=100_000)
    base: int = Field(ge=0, le=2**31 - 1)
    reason: str | None = Field(default=None, max_length=10_000)

    @field_validator("entries")
    @classmethod
    def _some(cls, entries: list[str]) -> list[str]:
        if not entries:
            raise ValueError("Tick at least one entry.")
        if any("\x00" in key for key in entries):
            raise ValueError("One of these is not the key of an entry.")
        return entries

    @property
    def digests(self) -> dict[str, str]:
        """What the page showed of each entry: its digest by key."""
        return digests_of(self.seen)


def digests_of(seen: list[str]) -> dict[str, str]:
    """Return digests by key, from what a form has of each entry: key and digest, parted by a space."""
    parted = (item.rpartition(" ") for item in seen)
    return {key: digest for key, _, digest in parted}
