"""What is sent to try a template out."""

from pydantic import BaseModel, Field


class TryInput(BaseModel):
    """A text, whose call it is to be, and whom the page said would answer. The values stand beside them, as typed."""

    body: str = Field(default="", max_length=200_000)
    configuration: str = Field(min_length=1)
    mode: str = ""
