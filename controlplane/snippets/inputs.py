"""What people send about snippets, checked once."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from controlplane.prompts.inputs import AsTyped, Body, Reason, ReasonInput

__all__ = ["AsTyped", "NewSnippetInput", "ReasonInput", "SnippetVersionInput"]

Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class SnippetVersionInput(BaseModel):
    """A text to be saved as the next version; `base_version` is the one it was made from."""

    body: Body
    base_version: Annotated[int, Field(ge=1)]
    reason: Reason


class NewSnippetInput(BaseModel):
    """A snippet with its first text."""

    code: Annotated[str, StringConstraints(strip_whitespace=True)]
    description: Description | None = None
    body: Body
    reason: Reason
